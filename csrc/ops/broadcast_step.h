// A kernel over two broadcast operands. Args is the kernel's: n, a, b, a_step, b_step, c, and parameters of its own.
#pragma once

#include <algorithm>
#include <type_traits>
#include <utility>
#include <vector>

#include "ops/broadcast.h"
#include "ops/elements.h"
#include "ops/table_tail.h"

namespace quaver {

template <class Args>
class BroadcastStep final : public ElementStep {
  using A = std::remove_cvref_t<decltype(*Args::a)>;
  using B = std::remove_cvref_t<decltype(*Args::b)>;
  using C = std::remove_cvref_t<decltype(*Args::c)>;

 public:
  // `args` holds the parameters; the rest is filled in for each run. Where `own_b` is not empty it is the second
  // operand, derived from a constant.
  template <class Kernel>
  BroadcastStep(const LowerContext& context, const Kernel& kernel, const Args& args, std::vector<B> own_b = {})
      : broadcast_(context.input(0).shape, context.input(1).shape, context.output().shape),
        args_(args),
        kernel_(kernel.run),
        a_(context.in(0)),
        b_(context.in(1)),
        c_(context.out()),
        own_b_(std::move(own_b)) {
    names(kernel);
    args_.a_step = broadcast_.a_step();
    args_.b_step = broadcast_.b_step();
    split_elements(broadcast_.elements(), bytes_of(context.input(0)) + bytes_of(context.output()));
    const std::size_t a = broadcast_.repeated_a(), b = broadcast_.repeated_b();
    if (a && a < kTile / 2) scratch = kTile * sizeof(A), tiled_a_ = a;
    if (b && b < kTile / 2) scratch = kTile * sizeof(B), tiled_b_ = b;
  }

  bool absorb_table(std::span<const std::uint8_t> table, IsaSet isa, ValueId out) override {
    if constexpr (!std::is_same_v<C, std::uint8_t>) return false;
    c_ = tail_.add(table, isa, out);
    return true;
  }

 private:
  // A repeated row shorter than half of this is written out as often as it fits, so that the kernel's runs are long.
  static constexpr std::size_t kTile = 1024;

  void run_elements(const RunContext& context, std::size_t begin, std::size_t end) const override {
    Args args = args_;
    const A* a = context.as<const A>(a_);
    const B* b = own_b_.empty() ? context.as<const B>(b_) : own_b_.data();
    auto* c = context.as<C>(c_);
    const auto run = [&](std::size_t a_at, std::size_t b_at, std::size_t c_at, std::size_t n) {
      args.n = n, args.a = a + a_at, args.b = b + b_at, args.c = c + c_at;
      kernel_(args);
      tail_.run(context, c_at, 1, n, n);
    };
    if (tiled_a_) {
      a = fill_tile(a, tiled_a_, context.scratch);
      each_tile(begin, end, tiled_a_, [&](std::size_t at, std::size_t phase, std::size_t n) { run(phase, at, at, n); });
    } else if (tiled_b_) {
      b = fill_tile(b, tiled_b_, context.scratch);
      each_tile(begin, end, tiled_b_, [&](std::size_t at, std::size_t phase, std::size_t n) { run(at, phase, at, n); });
    } else {
      broadcast_.each_run(begin, end, run);
    }
  }

  template <class T>
  static const T* fill_tile(const T* row, std::size_t size, std::byte* scratch) {
    T* tile = reinterpret_cast<T*>(scratch);
    for (std::size_t i = 0; i + size <= kTile; i += size) std::copy_n(row, size, tile + i);
    return tile;
  }

  template <class Run>
  static void each_tile(std::size_t begin, std::size_t end, std::size_t size, Run run) {
    const std::size_t whole = kTile / size * size;
    while (begin < end) {
      const std::size_t phase = begin % size, n = std::min(whole - phase, end - begin);
      run(begin, phase, n);
      begin += n;
    }
  }

  Broadcast broadcast_;
  Args args_;
  void (*kernel_)(const Args&);
  ValueId a_, b_, c_;
  std::vector<B> own_b_;
  TableTail tail_;
  std::size_t tiled_a_ = 0, tiled_b_ = 0;
};

}  // namespace quaver
