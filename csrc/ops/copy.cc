#include "ops/copy.h"

#include <cstring>

namespace quaver {

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
  for (std::size_t i = first; i < last; ++i) {
    std::size_t rest = i;
    std::int64_t from = 0, to = 0;
    for (std::size_t k = outer_.size(); k-- > 0;) {
      const auto size = static_cast<std::size_t>(outer_[k].size);
      const auto at = static_cast<std::int64_t>(rest % size);
      rest /= size;
      from += at * outer_[k].in;
      to += at * outer_[k].out;
    }
    row(in + from, out + to);
  }
}

template <class T>
void StridedCopy::run_elements(const std::byte* in, std::byte* out, std::size_t first, std::size_t last) const {
  const auto from = row_.in / std::int64_t{sizeof(T)}, to = row_.out / std::int64_t{sizeof(T)};
  each_row(in, out, first, last, [&](const std::byte* x, std::byte* y) {
    const T* source = reinterpret_cast<const T*>(x);
    T* target = reinterpret_cast<T*>(y);
    for (std::int64_t j = 0; j < row_.size; ++j) target[j * to] = source[j * from];
  });
}

void StridedCopy::run(const std::byte* in, std::byte* out, std::size_t first, std::size_t last) const {
  if (contiguous_) {
    const std::size_t bytes = row_elements() * element_;
    each_row(in, out, first, last, [&](const std::byte* x, std::byte* y) { std::memcpy(y, x, bytes); });
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

void StridedCopy::run_table(const kernels::TableKernel& kernel, const std::uint8_t* table, const std::byte* in,
                            std::byte* out, std::size_t first, std::size_t last) const {
  each_row(in, out, first, last, [&](const std::byte* x, std::byte* y) {
    kernel.run({row_elements(), reinterpret_cast<const std::uint8_t*>(x), table, reinterpret_cast<std::uint8_t*>(y)});
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
