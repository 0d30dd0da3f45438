#include "kernels/attention/attention.h"

#include "cpp/kernels_compare.h"

namespace quaver::kernels {
namespace {

using testing::Fenced;

struct Shape {
  std::size_t rows, keys, depth, v_depth;
};

// Around the edges of blocks of rows (3, 4, 6), panels (16) and tiles (64), and of four bytes of depth.
constexpr Shape kShapes[] = {{1, 1, 1, 1},    {2, 15, 3, 5},   {3, 16, 4, 16},   {5, 17, 7, 17},  {6, 63, 32, 32},
                             {7, 64, 33, 31}, {12, 65, 64, 8}, {13, 129, 5, 33}, {4, 47, 16, 48}, {6, 128, 32, 64}};

template <class T>
Fenced<T> values(std::mt19937& random, std::size_t n) {
  if constexpr (sizeof(T) == 1) {
    return Fenced<T>(testing::random_bytes(random, n));
  } else {
    return Fenced<T>(testing::random_floats(random, n));
  }
}

// Operands of T lie in rows `gap` wider than they are, as heads do.
template <class T>
struct Case {
  Case(unsigned seed, const Shape& shape, bool with_mask, AttentionKind kind)
      : random(seed),
        gap(seed % 3 * 5),
        q(values<T>(random, shape.rows * (shape.depth + gap) - gap)),
        k(values<T>(random, shape.keys * (shape.depth + gap) - gap)),
        v(values<T>(random, shape.keys * (shape.v_depth + gap) - gap)),
        mask(std::vector<float>(shape.rows * shape.keys)),
        memory(attention_scratch(kind, shape.keys, shape.depth, shape.v_depth) + 64) {
    for (float& x : mask) x = random() % 4 ? 0.0F : random() % 2 ? -INFINITY : -3.0F;
    if (seed % 4 == 1) std::fill_n(mask.begin(), shape.keys, -INFINITY);  // nothing to see for the first row
    args.rows = shape.rows, args.keys = shape.keys, args.depth = shape.depth, args.v_depth = shape.v_depth;
    args.q = q.data(), args.q_stride = shape.depth + gap;
    args.scale = sizeof(T) == 1 ? 4e-4F : 0.3F;
    if (with_mask) args.mask = mask.data(), args.mask_stride = seed % 2 ? shape.keys : 0;
    args.nan_is_zero = seed % 2;
    args.hidden_is_zero = seed == 5;
    if (seed == 5) args.nan_is_zero = false;
    args.q_zero = static_cast<int>(random() % 256), args.v_zero = static_cast<int>(random() % 256);
    args.mul = 1.3F, args.zero = 77, args.lo = -77, args.hi = 178;
    args.c_stride = shape.v_depth;
    args.scratch = reinterpret_cast<void*>((reinterpret_cast<std::uintptr_t>(memory.data()) + 63) / 64 * 64);
  }

  template <class Out>
  void run(const AttentionKernel& kernel, Out* out) {
    std::vector<char> k_bytes(attention_packed_k(kernel.kind, args.keys, args.depth));
    std::vector<char> v_bytes(attention_packed_v(kernel.kind, args.keys, args.v_depth));
    AttentionPackArgs pack;
    pack.keys = args.keys, pack.depth = args.depth, pack.v_depth = args.v_depth;
    pack.k = k.data(), pack.v = v.data(), pack.k_stride = args.depth + gap, pack.v_stride = args.v_depth + gap;
    pack.packed_k = k_bytes.data(), pack.packed_v = v_bytes.data();
    kernel.pack(pack);
    const Fenced<char> packed_k(k_bytes), packed_v(v_bytes);
    args.k = packed_k.data(), args.v = packed_v.data(), args.c = out, args.c_u8 = sizeof(Out) == 1;
    kernel.run(args);
  }

  std::mt19937 random;
  std::size_t gap;
  Fenced<T> q, k, v;
  Fenced<float> mask;
  std::vector<char> memory;
  AttentionArgs args;
};

template <class T, class Out>
void check_all(AttentionKind kind) {
  for (const Shape& shape : kShapes) {
    for (unsigned seed = 0; seed < 8; ++seed) {
      Case<T> c(seed, shape, seed % 4 != 3, kind);
      testing::compare_kernels<Out>(
          attention_kernels(), pick_attention(IsaSet{}, kind), shape.rows * shape.v_depth,
          "keys " + std::to_string(shape.keys) + ", depth " + std::to_string(shape.depth) + ", seed " +
              std::to_string(seed),
          [kind](const AttentionKernel& kernel) { return kernel.kind == kind; },
          [&](const AttentionKernel& kernel, Out* out) { c.run(kernel, out); });
    }
  }
}

TEST(kernels_attention_f32) { check_all<float, float>(AttentionKind::f32); }
TEST(kernels_attention_bf16) { check_all<float, float>(AttentionKind::bf16); }
TEST(kernels_attention_u8) { check_all<std::uint8_t, std::uint8_t>(AttentionKind::u8); }
TEST(kernels_attention_u8_to_f32) { check_all<std::uint8_t, float>(AttentionKind::u8); }

// The reals that the bytes stand for, attended to in double precision.
TEST(kernels_attention_u8_is_near_the_reals) {
  const Shape shape{6, 40, 32, 32};
  Case<std::uint8_t> c(2, shape, false, AttentionKind::u8);
  c.args.scale = 2e-5F;
  std::vector<float> got(shape.rows * shape.v_depth);
  c.run(pick_attention(IsaSet{}, AttentionKind::u8), got.data());
  for (std::size_t i = 0; i < shape.rows; ++i) {
    std::vector<double> weight(shape.keys);
    double sum = 0;
    for (std::size_t j = 0; j < shape.keys; ++j) {
      double score = 0;
      for (std::size_t p = 0; p < shape.depth; ++p) {
        score += (c.q[i * (shape.depth + c.gap) + p] - c.args.q_zero) * (c.k[j * (shape.depth + c.gap) + p] - 90.0);
      }
      sum += weight[j] = std::exp(score * double{c.args.scale});
    }
    for (std::size_t o = 0; o < shape.v_depth; ++o) {
      double want = 0;
      for (std::size_t j = 0; j < shape.keys; ++j) {
        want += weight[j] / sum * (c.v[j * (shape.v_depth + c.gap) + o] - c.args.v_zero) * double{c.args.mul};
      }
      CHECK(std::fabs(got[i * shape.v_depth + o] - want) < 1.0);  // of 255 · 1.3
    }
  }
}

}  // namespace
}  // namespace quaver::kernels
