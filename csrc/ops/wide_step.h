// y = f(x0, x1, …) of any element types: operands are read as W, f works on blocks of them and gives R.
#pragma once

#include <functional>

#include "ops/row_step.h"
#include "ops/walk.h"
#include "ops/wide.h"

namespace quaver {

template <class W, class R, std::size_t K>
class WideStep final : public RowStep {
 public:
  using Blocks = std::array<const W*, K>;
  using Function = std::function<void(const Blocks& x, std::size_t n, R* y)>;

  WideStep(const LowerContext& context, Function function)
      : function_(std::move(function)),
        walk_(context.output().shape, strides(context)),
        y_(context.out()),
        y_size_(size_of(context.output().dtype)),
        write_(writer_of<R>(context.output().dtype)),
        y_as_stored_(stored_as<R>(context.output().dtype)) {
    for (std::size_t k = 0; k < K; ++k) {
      x_[k] = context.in(k);
      x_size_[k] = static_cast<std::int64_t>(size_of(context.input(k).dtype));
      read_[k] = reader_of<W>(context.input(k).dtype);
      as_stored_[k] = stored_as<W>(context.input(k).dtype);
    }
    info.kernel = "wide";
    // A function of libm costs some 16 times what moving an element does.
    split(walk_.rows(), 16 * bytes_of(context.output()));
  }

 private:
  static constexpr std::size_t kBlock = 512;

  static std::array<Dims, K + 1> strides(const LowerContext& context) {
    const Dims& to = context.output().shape;
    std::array<Dims, K + 1> all;
    for (std::size_t k = 0; k < K; ++k) all[k] = broadcast_strides(context.input(k).shape, to);
    all[K] = strides_of(to);
    return all;
  }

  void run_rows(const RunContext& context, std::size_t first, std::size_t last) const override {
    walk_.each_row(first, last, [&](const auto& at) {
      for (std::size_t j = 0; j < walk_.row_elements(); j += kBlock) {
        run_block(context, at, static_cast<std::int64_t>(j), std::min(kBlock, walk_.row_elements() - j));
      }
    });
  }

  void run_block(const RunContext& context, const std::array<std::int64_t, K + 1>& at, std::int64_t j,
                 std::size_t n) const {
    W wide[K][kBlock];
    R result[kBlock];
    Blocks blocks;
    for (std::size_t k = 0; k < K; ++k) {
      const std::int64_t step = walk_.steps()[k];
      const std::byte* x = context.as<const std::byte>(x_[k]) + (at[k] + j * step) * x_size_[k];
      blocks[k] = wide[k];
      if (as_stored_[k] && step == 1) {
        blocks[k] = reinterpret_cast<const W*>(x);
      } else {
        read_[k](x, step, n, wide[k]);
      }
    }
    std::byte* y = context.as<std::byte>(y_) + static_cast<std::size_t>(at[K] + j) * y_size_;
    if (y_as_stored_) return function_(blocks, n, reinterpret_cast<R*>(y));
    function_(blocks, n, result);
    write_(result, 1, n, y);
  }

  Function function_;
  Walk<K + 1> walk_;
  std::array<ValueId, K> x_;
  std::array<std::int64_t, K> x_size_;
  std::array<ReadWide<W>, K> read_;
  std::array<bool, K> as_stored_;
  ValueId y_;
  std::size_t y_size_;
  WriteWide<R> write_;
  bool y_as_stored_;
};

template <class W, class R, class F>
std::unique_ptr<Step> wide_unary(const LowerContext& context, F f) {
  return std::make_unique<WideStep<W, R, 1>>(context, [f](const auto& x, std::size_t n, R* y) {
    for (std::size_t i = 0; i < n; ++i) y[i] = f(x[0][i]);
  });
}

template <class W, class R, class F>
std::unique_ptr<Step> wide_binary(const LowerContext& context, F f) {
  return std::make_unique<WideStep<W, R, 2>>(context, [f](const auto& x, std::size_t n, R* y) {
    for (std::size_t i = 0; i < n; ++i) y[i] = f(x[0][i], x[1][i]);
  });
}

}  // namespace quaver
