// Square tiles transposed in registers, the edges element by element; matrices that are only 2 to 4 elements wide on
// one side (an image's colours) in loops the compiler turns into shuffles.
#include <immintrin.h>

#include <cstdint>

#include "kernels/move/lists.h"

namespace quaver::kernels {
namespace {

using Byte = unsigned char;

template <class T>
const T* in_row(const TransposeArgs& args, std::size_t i) {
  return reinterpret_cast<const T*>(static_cast<const Byte*>(args.a) + i * args.a_stride);
}

template <class T>
T* out_row(const TransposeArgs& args, std::size_t j) {
  return reinterpret_cast<T*>(static_cast<Byte*>(args.c) + j * args.c_stride);
}

template <class T>
void elements(const TransposeArgs& args, std::size_t i0, std::size_t i1, std::size_t j0, std::size_t j1) {
  for (std::size_t j = j0; j < j1; ++j) {
    for (std::size_t i = i0; i < i1; ++i) out_row<T>(args, j)[i] = in_row<T>(args, i)[j];
  }
}

struct Tile4 {
  using T = std::uint32_t;
  static constexpr std::size_t kSide = 8;

  static void run(const TransposeArgs& args, std::size_t i, std::size_t j) {
    __m256 x[8], y[8];
#pragma GCC unroll 8
    for (int k = 0; k < 8; ++k) x[k] = _mm256_loadu_ps(reinterpret_cast<const float*>(in_row<T>(args, i + k) + j));
#pragma GCC unroll 4
    for (int k = 0; k < 4; ++k) {
      y[2 * k] = _mm256_unpacklo_ps(x[2 * k], x[2 * k + 1]);
      y[2 * k + 1] = _mm256_unpackhi_ps(x[2 * k], x[2 * k + 1]);
    }
#pragma GCC unroll 2
    for (int k = 0; k < 2; ++k) {
      x[4 * k] = _mm256_shuffle_ps(y[4 * k], y[4 * k + 2], 0x44);
      x[4 * k + 1] = _mm256_shuffle_ps(y[4 * k], y[4 * k + 2], 0xEE);
      x[4 * k + 2] = _mm256_shuffle_ps(y[4 * k + 1], y[4 * k + 3], 0x44);
      x[4 * k + 3] = _mm256_shuffle_ps(y[4 * k + 1], y[4 * k + 3], 0xEE);
    }
#pragma GCC unroll 4
    for (int k = 0; k < 4; ++k) {
      store(out_row<T>(args, j + k) + i, _mm256_permute2f128_ps(x[k], x[k + 4], 0x20));
      store(out_row<T>(args, j + k + 4) + i, _mm256_permute2f128_ps(x[k], x[k + 4], 0x31));
    }
  }

  static void store(T* p, __m256 x) { _mm256_storeu_ps(reinterpret_cast<float*>(p), x); }
};

struct Tile1 {
  using T = std::uint8_t;
  static constexpr std::size_t kSide = 16;

  // Four rounds of interleaving row k with row k + 8 transpose 16 × 16 bytes.
  static void run(const TransposeArgs& args, std::size_t i, std::size_t j) {
    __m128i x[16], y[16];
#pragma GCC unroll 16
    for (int k = 0; k < 16; ++k) x[k] = _mm_loadu_si128(reinterpret_cast<const __m128i*>(in_row<T>(args, i + k) + j));
    interleave(x, y);
    interleave(y, x);
    interleave(x, y);
    interleave(y, x);
#pragma GCC unroll 16
    for (int k = 0; k < 16; ++k) _mm_storeu_si128(reinterpret_cast<__m128i*>(out_row<T>(args, j + k) + i), x[k]);
  }

  static void interleave(const __m128i (&x)[16], __m128i (&y)[16]) {
#pragma GCC unroll 8
    for (int k = 0; k < 8; ++k) {
      y[2 * k] = _mm_unpacklo_epi8(x[k], x[k + 8]);
      y[2 * k + 1] = _mm_unpackhi_epi8(x[k], x[k + 8]);
    }
  }
};

template <class Tile>
void tiles(const TransposeArgs& args) {
  using T = typename Tile::T;
  constexpr std::size_t kSide = Tile::kSide;
  const std::size_t rows = args.rows / kSide * kSide, cols = args.cols / kSide * kSide;
  for (std::size_t j = 0; j < cols; j += kSide) {
    for (std::size_t i = 0; i < rows; i += kSide) Tile::run(args, i, j);
    elements<T>(args, rows, args.rows, j, j + kSide);
  }
  elements<T>(args, 0, args.rows, cols, args.cols);
}

// kRows interleaved rows into one dense stream, and back.
template <class T, std::size_t kRows>
void interleave_rows(const TransposeArgs& args) {
  T* __restrict c = out_row<T>(args, 0);
  const T* a[kRows];
  for (std::size_t i = 0; i < kRows; ++i) a[i] = in_row<T>(args, i);
  for (std::size_t j = 0; j < args.cols; ++j) {
    for (std::size_t i = 0; i < kRows; ++i) c[j * kRows + i] = a[i][j];
  }
}

template <class T, std::size_t kCols>
void split_columns(const TransposeArgs& args) {
  const T* __restrict a = in_row<T>(args, 0);
  for (std::size_t j = 0; j < kCols; ++j) {
    T* __restrict c = out_row<T>(args, j);
    for (std::size_t i = 0; i < args.rows; ++i) c[i] = a[i * kCols + j];
  }
}

template <class Tile>
void transpose(const TransposeArgs& args) {
  using T = typename Tile::T;
  if (args.c_stride == args.rows * sizeof(T)) {
    if (args.rows == 2) return interleave_rows<T, 2>(args);
    if (args.rows == 3) return interleave_rows<T, 3>(args);
    if (args.rows == 4) return interleave_rows<T, 4>(args);
  }
  if (args.a_stride == args.cols * sizeof(T)) {
    if (args.cols == 2) return split_columns<T, 2>(args);
    if (args.cols == 3) return split_columns<T, 3>(args);
    if (args.cols == 4) return split_columns<T, 4>(args);
  }
  tiles<Tile>(args);
}

}  // namespace

const TransposeKernel kTransposeAvx2[2] = {
    {"transpose_1_avx2", Isa::avx2, 1, &transpose<Tile1>},
    {"transpose_4_avx2", Isa::avx2, 4, &transpose<Tile4>},
};

}  // namespace quaver::kernels
