#include "ops/copy.h"

#include <algorithm>
#include <cstring>

namespace quaver {
namespace {

// kSize ≤ n ≤ 2 · kSize bytes, those in the middle twice.
template <std::size_t kSize>
inline void copy_ends(const std::byte* x, std::byte* y, std::size_t n) {
  std::byte first[kSize], last[kSize];
  std::memcpy(first, x, kSize), std::memcpy(last, x + n - kSize, kSize);
  std::memcpy(y, first, kSize), std::memcpy(y + n - kSize, last, kSize);
}

template <class Copy>
inline void each(const std::byte* x, std::byte* y, std::size_t rows, std::int64_t in, std::int64_t out, Copy copy) {
  for (; rows > 0; --rows, x += in, y += out) copy(x, y);
}

// Short rows without a call for each.
void copy_rows(const std::byte* x, std::byte* y, std::size_t rows, std::size_t n, std::int64_t in, std::int64_t out) {
  if (n >= 16 && n <= 32) return each(x, y, rows, in, out, [n](auto a, auto b) { copy_ends<16>(a, b, n); });
  if (n >= 8 && n <= 16) return each(x, y, rows, in, out, [n](auto a, auto b) { copy_ends<8>(a, b, n); });
  if (n > 32 && n <= 256) {
    return each(x, y, rows, in, out, [n](auto a, auto b) {
      for (std::size_t i = 0; i + 32 < n; i += 32) std::memcpy(b + i, a + i, 32);
      std::memcpy(b + n - 32, a + n - 32, 32);
    });
  }
  each(x, y, rows, in, out, [n](auto a, auto b) { std::memcpy(b, a, n); });
}

}  // namespace

StridedCopy::StridedCopy(const Dims& dims, const Dims& in_strides, const Dims& out_strides, std::size_t element)
    : element_(element) {
  const auto bytes = static_cast<std::int64_t>(element);
  std::vector<Axis> axes;
  bool empty = false;
  for (std::size_t i = 0; i < dims.size(); ++i) {
    empty |= dims[i] == 0;
    if (dims[i] == 1) continue;
    const Axis axis{dims[i], in_strides[i] * bytes, out_strides[i] * bytes};
    if (!axes.empty() && axes.back().in == axis.in * axis.size && axes.back().out == axis.out * axis.size) {
      axes.back() = {axes.back().size * axis.size, axis.in, axis.out};
    } else {
      axes.push_back(axis);
    }
  }
  if (axes.empty()) axes.push_back({1, bytes, bytes});
  row_ = axes.back();
  contiguous_ = row_.in == bytes && row_.out == bytes;
  axes.pop_back();
  outer_ = std::move(axes);
  for (const Axis& axis : outer_) rows_ *= static_cast<std::size_t>(axis.size);
  if (empty) rows_ = 0;
}

template <class Row>
void StridedCopy::each_row(const std::byte* in, std::byte* out, std::size_t first, std::size_t last, Row row) const {
  static constexpr Axis kSingle{1, 0, 0};
  const Axis& inner = outer_.empty() ? kSingle : outer_.back();
  const auto size = static_cast<std::size_t>(inner.size);
  while (first < last) {
    std::size_t rest = first / size;
    const std::size_t begin = first % size, count = std::min(size - begin, last - first);
    std::int64_t from = static_cast<std::int64_t>(begin) * inner.in, to = static_cast<std::int64_t>(begin) * inner.out;
    for (std::size_t k = outer_.empty() ? 0 : outer_.size() - 1; k-- > 0;) {
      const auto at = static_cast<std::int64_t>(rest % static_cast<std::size_t>(outer_[k].size));
      rest /= static_cast<std::size_t>(outer_[k].size);
      from += at * outer_[k].in;
      to += at * outer_[k].out;
    }
    row(in + from, out + to, count, inner);
    first += count;
  }
}

template <class T>
void StridedCopy::run_elements(const std::byte* in, std::byte* out, std::size_t first, std::size_t last) const {
  const auto from = row_.in / std::int64_t{sizeof(T)}, to = row_.out / std::int64_t{sizeof(T)};
  each_row(in, out, first, last, [&](const std::byte* x, std::byte* y, std::size_t rows, const Axis& axis) {
    for (; rows > 0; --rows, x += axis.in, y += axis.out) {
      const T* source = reinterpret_cast<const T*>(x);
      T* target = reinterpret_cast<T*>(y);
      for (std::int64_t j = 0; j < row_.size; ++j) target[j * to] = source[j * from];
    }
  });
}

void StridedCopy::run(const std::byte* in, std::byte* out, std::size_t first, std::size_t last) const {
  if (contiguous_) {
    const std::size_t bytes = row_elements() * element_;
    each_row(in, out, first, last, [&](const std::byte* x, std::byte* y, std::size_t rows, const Axis& axis) {
      copy_rows(x, y, rows, bytes, axis.in, axis.out);
    });
  } else if (element_ == 1) {
    run_elements<std::uint8_t>(in, out, first, last);
  } else if (element_ == 2) {
    run_elements<std::uint16_t>(in, out, first, last);
  } else if (element_ == 4) {
    run_elements<std::uint32_t>(in, out, first, last);
  } else {
    run_elements<std::uint64_t>(in, out, first, last);
  }
}

// Rows that lie together are looked up together, short ones by way of a buffer.
void StridedCopy::run_table(const kernels::TableKernel& kernel, const std::uint8_t* table, const std::byte* in,
                            std::byte* out, std::size_t first, std::size_t last) const {
  constexpr std::size_t kBuffer = 2048;
  const std::size_t bytes = row_elements();
  const auto look_up = [&](const std::byte* x, std::byte* y, std::size_t n) {
    kernel.run({n, reinterpret_cast<const std::uint8_t*>(x), table, reinterpret_cast<std::uint8_t*>(y)});
  };
  each_row(in, out, first, last, [&](const std::byte* x, std::byte* y, std::size_t rows, const Axis& axis) {
    const bool together = axis.in == static_cast<std::int64_t>(bytes) && bytes <= kBuffer / 8;
    const std::size_t most = together ? kBuffer / bytes : 1;
    std::byte buffer[kBuffer];
    for (std::size_t n; rows > 0; rows -= n) {
      n = std::min(rows, most);
      look_up(x, together ? buffer : y, n * bytes);
      if (together) copy_rows(buffer, y, n, bytes, axis.in, axis.out);
      x += static_cast<std::int64_t>(n) * axis.in, y += static_cast<std::int64_t>(n) * axis.out;
    }
  });
}

CopyStep::CopyStep(const LowerContext& context)
    : table_kernel_(kernels::pick_table(context.isa)), element_(size_of(context.input(0).dtype)) {
  info.kernel = "copy";
}

void CopyStep::add(ValueId in, ValueId out, std::int64_t in_offset, std::int64_t out_offset, StridedCopy copy,
                   std::optional<ByteTable> table) {
  if (table) names(table_kernel_);
  const auto element = static_cast<std::int64_t>(element_);
  const std::size_t begin = rows_;
  rows_ += copy.rows();
  bytes_ += 2 * copy.rows() * copy.row_elements() * element_;
  parts_.push_back({in, out, in_offset * element, out_offset * element, std::move(copy), table, begin});
}

bool CopyStep::absorb_lookup(std::span<const std::uint8_t> table, ValueId x, ValueId looked_up) {
  const auto fits = [&](const Part& part) { return part.in != looked_up || part.copy.contiguous_rows(); };
  if (element_ != 1 || !std::all_of(parts_.begin(), parts_.end(), fits)) return false;
  for (Part& part : parts_) {
    if (part.in != looked_up) continue;
    ByteTable composed;
    for (std::size_t q = 0; q < composed.size(); ++q) composed[q] = part.table ? (*part.table)[table[q]] : table[q];
    part.in = x;
    part.table = composed;
    names(table_kernel_);
  }
  return true;
}

void CopyStep::finish() { split(rows_, bytes_); }

void CopyStep::run_rows(const RunContext& context, std::size_t first, std::size_t last) const {
  for (const Part& part : parts_) {
    const std::size_t end = part.begin + part.copy.rows();
    if (end <= first || part.begin >= last) continue;
    const std::size_t from = std::max(first, part.begin) - part.begin, to = std::min(last, end) - part.begin;
    const std::byte* in = context.as<std::byte>(part.in) + part.in_offset;
    std::byte* out = context.as<std::byte>(part.out) + part.out_offset;
    if (part.table) {
      part.copy.run_table(table_kernel_, part.table->data(), in, out, from, to);
    } else {
      part.copy.run(in, out, from, to);
    }
  }
}

std::unique_ptr<Step> copy_whole(LowerContext& context) {
  auto step = std::make_unique<CopyStep>(context);
  const Dims flat{count(context.output().shape)};
  if (count(context.input(0).shape) != flat[0]) {
    context.fail(to_string(context.input(0).shape), " cannot be seen as ", to_string(context.output().shape));
  }
  step->add(context.in(0), context.out(), 0, 0, StridedCopy(flat, {1}, {1}, size_of(context.input(0).dtype)),
            requantize_table(context, context.input(0), context.output()));
  step->finish();
  return step;
}

}  // namespace quaver
