#include "ops/families.h"

#include <algorithm>

#include "base/error.h"
#include "kernels/attention/attention.h"
#include "kernels/depthwise/depthwise_f32.h"
#include "kernels/depthwise/depthwise_u8.h"
#include "kernels/elementwise/binary.h"
#include "kernels/elementwise/table.h"
#include "kernels/elementwise/unary.h"
#include "kernels/gemm/gemm_bf16.h"
#include "kernels/gemm/gemm_f32.h"
#include "kernels/gemm/gemm_u8.h"
#include "kernels/move/transpose.h"
#include "kernels/nibble/nibble.h"
#include "kernels/norm/norm.h"
#include "kernels/pool/pool.h"
#include "kernels/quantize/quantize.h"
#include "kernels/reduce/reduce.h"
#include "kernels/resize/resize.h"
#include "kernels/softmax/softmax.h"
#include "kernels/tree/tree.h"

namespace quaver {
namespace {

using namespace kernels;

struct Row {
  std::string_view name;
  Isa isa;
  int family, kind;
};

// Kernels of one list that do different work are told apart by a field.
template <class Kernel>
int kind_of(const Kernel& kernel) {
  if constexpr (requires { kernel.kind; }) return static_cast<int>(kernel.kind);
  if constexpr (requires { kernel.element; }) return static_cast<int>(kernel.element);
  if constexpr (requires { kernel.f32; }) return kernel.f32;
  return 0;
}

template <class... Lists>
std::vector<Row> rows_of(const Lists&... lists) {
  std::vector<Row> rows;
  int family = 0;
  const auto add = [&](const auto& list) {
    for (std::size_t i = 0; i < list.size; ++i) {
      rows.push_back({list.items[i]->name, list.items[i]->isa, family, kind_of(*list.items[i])});
    }
    ++family;
  };
  (add(lists), ...);
  return rows;
}

const std::vector<Row>& all_rows() {
  static const std::vector<Row> rows = rows_of(
      gemm_u8_kernels(), gemm_f32_kernels(), gemm_bf16_kernels(), depthwise_u8_kernels(), depthwise_f32_kernels(),
      binary_f32_kernels(), binary_u8_kernels(), prelu_u8_kernels(), unary_f32_kernels(), table_kernels(),
      transpose_kernels(), pool_kernels(), quantize_kernels(), dequantize_kernels(), range_kernels(), reduce_kernels(),
      resize_kernels(), softmax_kernels(), attention_kernels(), layer_norm_kernels(), nibble_kernels(),
      tree_kernels<float>(), tree_kernels<double>());
  return rows;
}

const Row* find(std::string_view name) {
  const auto& rows = all_rows();
  const auto found = std::find_if(rows.begin(), rows.end(), [&](const Row& row) { return row.name == name; });
  return found == rows.end() ? nullptr : &*found;
}

void expect_kernel(std::string_view name, IsaSet set, std::string_view source) {
  const Row* row = find(name);
  if (!row) {
    fail(Status::invalid_input, source, name, ": there is no such kernel; `quaver inspect --profile` shows the names");
  }
  if (!set.has(row->isa)) {
    fail(Status::isa, source, name, ": needs ", name_of(row->isa), ", which this CPU lacks or the model may not use");
  }
}

}  // namespace

std::vector<std::string> candidates_for(std::string_view name, IsaSet set) {
  std::vector<std::string> names;
  const Row* picked = find(name);
  for (const Row& row : all_rows()) {
    if (picked && row.family == picked->family && row.kind == picked->kind && set.has(row.isa)) {
      names.emplace_back(row.name);
    }
  }
  return names;
}

void expect_kernels(std::string_view names, IsaSet set, std::string_view source) {
  while (!names.empty()) {
    const std::size_t end = std::min(names.find(','), names.size());
    expect_kernel(names.substr(0, end), set, source);
    names.remove_prefix(std::min(end + 1, names.size()));
  }
}

}  // namespace quaver
