#include "passes/permute.h"

#include <algorithm>
#include <cstring>
#include <numeric>

namespace quaver {

Perm perm_of(const Graph& graph, const Node& transpose) {
  if (transpose.attrs.has("perm")) return transpose.attrs.ints("perm");
  const Value& x = graph.value(transpose.inputs[0]);
  Perm perm(x.ranked ? x.shape.size() : 0);
  std::iota(perm.rbegin(), perm.rend(), 0);
  return perm;
}

Perm inverse(const Perm& perm) {
  Perm out(perm.size());
  for (std::size_t i = 0; i < perm.size(); ++i) out[perm[i]] = static_cast<std::int64_t>(i);
  return out;
}

Perm composed(const Perm& first, const Perm& second) { return permuted(first, second); }

bool is_identity(const Perm& perm) { return std::is_sorted(perm.begin(), perm.end()); }

bool moves_nothing(const Perm& perm, const Dims& shape) {
  if (perm.size() != shape.size()) return false;
  Perm moved;
  for (const std::int64_t axis : perm) {
    if (shape[axis] != 1) moved.push_back(axis);
  }
  return is_identity(moved);
}

Dims permuted(const Dims& shape, const Perm& perm) {
  Dims out;
  for (const std::int64_t axis : perm) out.push_back(shape[axis]);
  return out;
}

Blob permuted(const Blob& data, std::size_t element, const Dims& shape, const Perm& perm) {
  const Dims to = permuted(shape, perm), steps = permuted(strides_of(shape), perm);
  std::vector<std::byte> out(data.size());
  Dims at(to.size(), 0);
  for (std::size_t done = 0; done < out.size(); done += element) {
    const std::int64_t from = std::inner_product(at.begin(), at.end(), steps.begin(), std::int64_t{0});
    std::memcpy(&out[done], data.data() + from * static_cast<std::int64_t>(element), element);
    for (std::size_t axis = to.size(); axis-- > 0 && ++at[axis] == to[axis];) at[axis] = 0;
  }
  return Blob::copy(out.data(), out.size());
}

}  // namespace quaver
