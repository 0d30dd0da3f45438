#include "ops/weights.h"

#include <algorithm>
#include <numeric>

namespace quaver {
namespace {

template <class T>
T at(const std::vector<T>& one_or_many, std::size_t row) {
  return one_or_many[one_or_many.size() == 1 ? 0 : row];
}

}  // namespace

WeightPlanes weight_planes(const Value& value, std::size_t rows, const std::vector<std::int32_t>& zero,
                           const std::vector<float>& scale) {
  WeightPlanes out;
  out.rows = rows;
  out.depth = rows ? value.data->size() / rows : 0;
  out.sums.resize(rows);
  for (std::size_t row = 0; row < rows; ++row) out.scale.push_back(at(scale, row));

  const std::byte* bytes = value.data->data();
  const bool is_signed = value.dtype == DType::s8;
  std::vector<int> rest(rows * out.depth);
  bool symmetric = is_signed;
  for (std::size_t row = 0; row < rows; ++row) {
    for (std::size_t i = row * out.depth; i < (row + 1) * out.depth; ++i) {
      const int stored = is_signed ? static_cast<std::int8_t>(bytes[i]) : static_cast<std::uint8_t>(bytes[i]);
      rest[i] = stored - at(zero, row);
      out.sums[row] += rest[i];
    }
    symmetric = symmetric && at(zero, row) == 0;
  }
  if (symmetric) {
    out.planes.push_back(reinterpret_cast<const std::int8_t*>(bytes));
    return out;
  }
  do {
    std::vector<std::int8_t>& plane = out.owned.emplace_back(rest.size());
    for (std::size_t i = 0; i < rest.size(); ++i) {
      plane[i] = static_cast<std::int8_t>(std::clamp(rest[i], -128, 127));
      rest[i] -= plane[i];
    }
  } while (std::any_of(rest.begin(), rest.end(), [](int r) { return r != 0; }));
  for (const auto& plane : out.owned) out.planes.push_back(plane.data());
  return out;
}

bool is_symmetric(DType dtype, const std::vector<std::int32_t>& zero) {
  return dtype == DType::s8 && std::all_of(zero.begin(), zero.end(), [](std::int32_t z) { return z == 0; });
}

std::vector<std::int64_t> cached_sums(PackCache& cache, PackCache::Source source, const std::string& order,
                                      std::size_t count, std::size_t depth,
                                      const std::function<const std::int8_t*()>& rows) {
  const std::size_t bytes = count * sizeof(std::int64_t);
  const PackedBlock block = cache.get(source, text("sums ", order, count, "x", depth), bytes, [&](std::byte* out) {
    const std::int8_t* at = rows();
    for (std::size_t row = 0; row < count; ++row, at += depth) {
      reinterpret_cast<std::int64_t*>(out)[row] = std::accumulate(at, at + depth, std::int64_t{0});
    }
  });
  const auto sums = block->as<std::int64_t>();
  const auto most = static_cast<std::int64_t>(128 * depth);
  for (const std::int64_t sum : sums) {
    if (sum < -most || sum > most) fail(Status::corrupt_file, "damaged: a sum of ", depth, " weights is ", sum);
  }
  return {sums.begin(), sums.end()};
}

WeightPlanes weight_planes(PackCache& cache, const Value& value, std::size_t rows,
                           const std::vector<std::int32_t>& zero, const std::vector<float>& scale) {
  if (!is_symmetric(value.dtype, zero)) return weight_planes(value, rows, zero, scale);
  const auto* bytes = reinterpret_cast<const std::int8_t*>(value.data->data());
  WeightPlanes out;
  out.rows = rows;
  out.depth = rows ? value.data->size() / rows : 0;
  out.planes = {bytes};
  for (std::size_t row = 0; row < rows; ++row) out.scale.push_back(at(scale, row));
  out.sums = cached_sums(cache, bytes, "", rows, out.depth, [&] { return bytes; });
  return out;
}

WeightPlanes weight_planes(const LowerContext& context, const Value& value, std::size_t rows) {
  if (!value.constant()) context.fail("its weight '", value.name, "' is computed at run time");
  if (!value.quant) context.fail("its weight '", value.name, "' carries no scale");
  const Quant& quant = *value.quant;
  if (!quant.per_tensor() && (quant.axis != 0 || quant.scale.size() != rows)) {
    context.fail("its weight '", value.name, "' is quantized along axis ", quant.axis, "; output channels are axis 0");
  }
  return weight_planes(context.cache, value, rows, quant.zero_point, quant.scale);
}

std::vector<std::int32_t> fold_bias(const WeightPlanes& weights, std::int32_t zero_x,
                                    std::span<const std::int32_t> bias) {
  std::vector<std::int32_t> out(weights.rows);
  for (std::size_t row = 0; row < weights.rows; ++row) {
    const std::int64_t sum = (bias.empty() ? 0 : bias[row]) - zero_x * weights.sums[row];
    out[row] = static_cast<std::int32_t>(static_cast<std::uint32_t>(sum));
  }
  return out;
}

}  // namespace quaver
