#include "kernels/attention/bf16.h"
#include "kernels/attention/lists.h"
#include "kernels/rounding.h"
#include "kernels/softmax/exp.h"

namespace quaver::kernels {
namespace {

constexpr std::size_t kPanel = kAttentionPanel;

template <class T>
T* offset(void* base, std::size_t bytes) {
  return reinterpret_cast<T*>(static_cast<char*>(base) + bytes);
}

void pack_f32(const AttentionPackArgs& args) {
  const auto *k = static_cast<const float*>(args.k), *v = static_cast<const float*>(args.v);
  auto *to_k = static_cast<float*>(args.packed_k), *to_v = static_cast<float*>(args.packed_v);
  for (std::size_t first = 0; first < args.keys; first += kPanel) {
    for (std::size_t p = 0; p < args.depth; ++p) {
      for (std::size_t j = first; j < first + kPanel; ++j) *to_k++ = j < args.keys ? k[j * args.k_stride + p] : 0.0F;
    }
  }
  for (std::size_t first = 0; first < args.v_depth; first += kPanel) {
    for (std::size_t j = 0; j < args.keys; ++j) {
      for (std::size_t o = first; o < first + kPanel; ++o) {
        *to_v++ = o < args.v_depth ? v[j * args.v_stride + o] : 0.0F;
      }
    }
  }
}

void pack_u8(const AttentionPackArgs& args) {
  const auto *k = static_cast<const std::uint8_t*>(args.k), *v = static_cast<const std::uint8_t*>(args.v);
  const std::size_t keys = attention_pad(args.keys, kPanel), depth = attention_pad(args.depth, 4);
  auto* to_k = static_cast<std::int8_t*>(args.packed_k);
  auto* sums = offset<std::int32_t>(args.packed_k, keys * depth);
  for (std::size_t j = 0; j < keys; ++j) {
    sums[j] = 0;
    for (std::size_t p = 0; p < depth; ++p) {
      const bool inside = j < args.keys && p < args.depth;
      const auto byte = static_cast<std::int8_t>(inside ? k[j * args.k_stride + p] ^ 0x80 : 0);
      to_k[(j / kPanel * (depth / 4) + p / 4) * 64 + j % kPanel * 4 + p % 4] = byte;
      sums[j] += byte;
    }
  }
  auto* to_v = static_cast<std::int8_t*>(args.packed_v);
  for (std::size_t o = 0; o < attention_pad(args.v_depth, kPanel); ++o) {
    for (std::size_t j = 0; j < keys; ++j) {
      const bool inside = j < args.keys && o < args.v_depth;
      to_v[(o / kPanel * (keys / 4) + j / 4) * 64 + o % kPanel * 4 + j % 4] =
          static_cast<std::int8_t>(inside ? v[j * args.v_stride + o] ^ 0x80 : 0);
    }
  }
}

// x[j] of a row from its products, and its greatest.
float scores(const AttentionArgs& args, std::size_t i, float* x) {
  float m = -__builtin_inff();
  for (std::size_t j = 0; j < args.keys; ++j) {
    x[j] = args.mask ? __builtin_fmaf(x[j], args.scale, args.mask[i * args.mask_stride + j]) : x[j] * args.scale;
    m = x[j] > m ? x[j] : m;
  }
  return m;
}

float weight(float d) {
  d = d > -8.0F ? d : -8.0F;
  const float s = __builtin_fmaf(d, kLog2E, kRound), n = s - kRound;
  const float r = __builtin_fmaf(d, kLog2E, -n);
  float p = kAttentionWeight[0];
  for (int k = 1; k < 4; ++k) p = __builtin_fmaf(p, r, kAttentionWeight[k]);
  return p * __builtin_bit_cast(float, (__builtin_bit_cast(std::uint32_t, s) + 127U) << 23);
}

float folded(float (&t)[16]) {
  for (int h = 8; h > 0; h /= 2) {
    for (int l = 0; l < h; ++l) t[l] = t[l] + t[l + h];
  }
  return t[0];
}

void run_f32(const AttentionArgs& args) {
  const auto *k = static_cast<const float*>(args.k), *v = static_cast<const float*>(args.v);
  auto* x = static_cast<float*>(args.scratch);
  for (std::size_t i = 0; i < args.rows; ++i) {
    const float* q = static_cast<const float*>(args.q) + i * args.q_stride;
    for (std::size_t j = 0; j < args.keys; ++j) {
      x[j] = 0;
      for (std::size_t p = 0; p < args.depth; ++p) {
        x[j] = __builtin_fmaf(q[p], k[(j / kPanel * args.depth + p) * kPanel + j % kPanel], x[j]);
      }
    }
    const float m = scores(args, i, x);
    float t[16] = {};
    for (std::size_t j = 0; j < args.keys; ++j) {
      x[j] = exp_negative(x[j] - m);
      t[j % 16] = t[j % 16] + x[j];
    }
    const float sum = folded(t);
    const bool nothing = (args.nan_is_zero && sum != sum) || (args.hidden_is_zero && shows_nothing(args, i));
    for (std::size_t o = 0; o < args.v_depth; ++o) {
      float y = 0;
      for (std::size_t j = 0; j < args.keys; ++j) {
        y = __builtin_fmaf(x[j], v[(o / kPanel * args.keys + j) * kPanel + o % kPanel], y);
      }
      static_cast<float*>(args.c)[i * args.c_stride + o] = nothing ? 0.0F : y / sum;
    }
  }
}

void run_bf16(const AttentionArgs& args) {
  const Bf16Scratch scratch(args);
  for (std::size_t i = 0; i < args.rows; ++i) {
    score_bf16<gemm_bf16_scalar>(args, scratch, i, 1);
    const float m = scores(args, i, scratch.x);
    float t[16] = {};
    for (std::size_t j = 0; j < args.keys; ++j) {
      const float e = exp_negative(scratch.x[j] - m);
      t[j % 16] = t[j % 16] + e;
      scratch.w[j] = round_bf16(e);
    }
    const float sum = folded(t);
    const bool nothing = (args.nan_is_zero && sum != sum) || (args.hidden_is_zero && shows_nothing(args, i));
    sum_bf16<gemm_bf16_scalar>(args, scratch, i, 1);
    float* c = static_cast<float*>(args.c) + i * args.c_stride;
    for (std::size_t o = 0; o < args.v_depth; ++o) c[o] = nothing ? 0.0F : c[o] / sum;
  }
}

void write(const AttentionArgs& args, std::size_t at, float y) {
  if (!args.c_u8) {
    static_cast<float*>(args.c)[at] = y;
  } else {
    const std::int32_t q = round_even(clamp_to(y, args.lo, args.hi));
    static_cast<std::uint8_t*>(args.c)[at] = static_cast<std::uint8_t>(q + args.zero);
  }
}

void run_u8(const AttentionArgs& args) {
  const std::size_t keys = attention_pad(args.keys, kPanel), depth = attention_pad(args.depth, 4);
  const auto *k = static_cast<const std::int8_t*>(args.k), *v = static_cast<const std::int8_t*>(args.v);
  const auto* sums = reinterpret_cast<const std::int32_t*>(k + keys * depth);
  auto* x = static_cast<float*>(args.scratch);
  auto* w = offset<std::uint8_t>(args.scratch, args.keys * sizeof(float));
  for (std::size_t i = 0; i < args.rows; ++i) {
    const std::uint8_t* q = static_cast<const std::uint8_t*>(args.q) + i * args.q_stride;
    for (std::size_t j = 0; j < args.keys; ++j) {
      std::int32_t acc = -args.q_zero * sums[j];
      for (std::size_t p = 0; p < args.depth; ++p) {
        acc += q[p] * k[(j / kPanel * (depth / 4) + p / 4) * 64 + j % kPanel * 4 + p % 4];
      }
      x[j] = static_cast<float>(acc);
    }
    const float m = scores(args, i, x);
    std::int32_t t = 0;
    for (std::size_t j = 0; j < args.keys; ++j) {
      w[j] = static_cast<std::uint8_t>(round_even(weight(x[j] - m)));
      t += w[j];
    }
    const float factor = t == 0 ? 0.0F : args.mul / static_cast<float>(t);
    for (std::size_t o = 0; o < args.v_depth; ++o) {
      std::int32_t acc = -(args.v_zero - 128) * t;
      for (std::size_t j = 0; j < args.keys; ++j) {
        acc += w[j] * v[(o / kPanel * (keys / 4) + j / 4) * 64 + o % kPanel * 4 + j % 4];
      }
      write(args, i * args.c_stride + o, static_cast<float>(acc) * factor);
    }
  }
}

}  // namespace

const AttentionKernel kAttentionF32Scalar = {"attention_f32_scalar", Isa::scalar, AttentionKind::f32, &pack_f32,
                                             &run_f32};
const AttentionKernel kAttentionBf16Scalar = {"attention_bf16_scalar", Isa::scalar, AttentionKind::bf16,
                                              &pack_bf16<gemm_bf16_scalar>, &run_bf16};
const AttentionKernel kAttentionU8Scalar = {"attention_u8_scalar", Isa::scalar, AttentionKind::u8, &pack_u8, &run_u8};

}  // namespace quaver::kernels
