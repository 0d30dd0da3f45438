#include "ops/block_step.h"

#include <cstring>

namespace quaver {
namespace {

// Takes kSize bytes of every `apart`; 0: `size` of them.
template <std::size_t kSize>
void part(const std::uint8_t* from, std::size_t count, std::size_t apart, std::size_t size, std::uint8_t* to) {
  const std::size_t n = kSize ? kSize : size;
  for (; count > 0; --count, from += apart, to += n) std::memcpy(to, from, n);
}

auto parting(std::size_t size) {
  switch (size) {
    case 2: return &part<2>;
    case 4: return &part<4>;
    case 8: return &part<8>;
    default: return &part<0>;
  }
}

}  // namespace

BlockStep::BlockStep(const ConvGeometry& g, const GemmStep<U8Gemm>& made, std::vector<std::int32_t> bias,
                     std::vector<float> scale, PackedBlock w)
    : g_(g),
      kernel_(made.kernel),
      args_(made.args),
      bias_(std::move(bias)),
      scale_(std::move(scale)),
      w_(std::move(w)),
      x_(made.x),
      y_(made.y) {
  args_.m = g.w;
  args_.n = args_.c_stride = g.taps() * g.o;
  args_.w = reinterpret_cast<const std::int8_t*>(w_->data());
  args_.bias = bias_.data();
  args_.scale = scale_.data();
  scratch = args_.m * args_.n;
  units = g.images * g.h;
  info.kernel = kernel_->name;
  info.isa = kernel_->isa;
  info.macs = g.images * g.h * args_.m * args_.n * args_.k;
}

bool BlockStep::absorb_table(std::span<const std::uint8_t> table, IsaSet isa, ValueId out) {
  y_ = tail_.add(table, isa, out);
  return true;
}

void BlockStep::run(const RunContext& context, std::size_t first, std::size_t last) const {
  auto* blocks = reinterpret_cast<std::uint8_t*>(context.scratch);
  const std::size_t run = g_.kw * g_.o, row = g_.ow * g_.o;
  const auto take = parting(run);
  kernels::GemmU8Args call = args_;
  call.c = blocks;
  for (std::size_t unit = first; unit < last; ++unit) {
    call.a = context.as<std::uint8_t>(x_) + unit * g_.w * g_.c;
    kernel_->run(call);
    const std::size_t place = unit * g_.kh * row;
    for (std::size_t ky = 0; ky < g_.kh; ++ky) {
      take(blocks + ky * run, g_.w, args_.n, run, context.as<std::uint8_t>(y_) + place + ky * row);
    }
    tail_.run(context, place, 1, g_.kh * row, 0);
  }
}

}  // namespace quaver
