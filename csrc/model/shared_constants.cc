#include "model/shared_constants.h"

#include <algorithm>

namespace quaver {
namespace {

const void* bytes_of(const Value& value) { return value.data ? value.data->data() : nullptr; }

bool alike(const Value& a, const Value& b) {
  return a.dtype == b.dtype && a.ranked == b.ranked && a.shape == b.shape && a.quant == b.quant &&
         a.constant() == b.constant() && bytes_of(a) == bytes_of(b);
}

bool alike(const Graph& a, const std::vector<ValueId>& of_a, const Graph& b, const std::vector<ValueId>& of_b) {
  return std::equal(of_a.begin(), of_a.end(), of_b.begin(), of_b.end(), [&](ValueId x, ValueId y) {
    return x == kNone || y == kNone ? x == y : alike(a.value(x), b.value(y));
  });
}

bool alike(const Graph& a, const Node& of_a, const Graph& b, const Node& of_b) {
  return of_a.op == of_b.op && of_a.attrs.items() == of_b.attrs.items() && alike(a, of_a.inputs, b, of_b.inputs) &&
         alike(a, of_a.outputs, b, of_b.outputs);
}

}  // namespace

std::set<const void*> constants_used_alike(const Graph& base, const Graph& next) {
  std::set<const void*> shared, changed;
  for (std::size_t i = 0; i < next.nodes.size(); ++i) {
    const bool same = i < base.nodes.size() && alike(base, base.nodes[i], next, next.nodes[i]);
    for (const ValueId id : next.nodes[i].inputs) {
      if (id != kNone && next.value(id).data) (same ? shared : changed).insert(bytes_of(next.value(id)));
    }
  }
  for (const void* bytes : changed) shared.erase(bytes);
  return shared;
}

}  // namespace quaver
