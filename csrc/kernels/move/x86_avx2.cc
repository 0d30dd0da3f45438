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

// For rows of bytes in threes, which the compiler takes four times as long for: where each byte of the dense stream
// comes from, and the way back. A negative index gives zero.
struct Threes {
  alignas(16) char into[3][3][16], from[3][3][16];  // [result][operand][byte]
};

constexpr Threes threes() {
  Threes out{};
  for (int result = 0; result < 3; ++result) {
    for (int k = 0; k < 16; ++k) {
      const int dense = 16 * result + k, apart = 3 * k + result;
      for (int operand = 0; operand < 3; ++operand) {
        out.into[result][operand][k] = static_cast<char>(dense % 3 == operand ? dense / 3 : -1);
        out.from[result][operand][k] = static_cast<char>(apart / 16 == operand ? apart % 16 : -1);
      }
    }
  }
  return out;
}

constexpr Threes kThrees = threes();

// y[r] = the bytes of x that index[r] picks, in both halves alike.
inline void pick(const __m256i (&x)[3], const char (&index)[3][3][16], __m256i (&y)[3]) {
#pragma GCC unroll 3
  for (int r = 0; r < 3; ++r) {
    __m256i part[3];
#pragma GCC unroll 3
    for (int k = 0; k < 3; ++k) {
      const __m128i half = _mm_load_si128(reinterpret_cast<const __m128i*>(index[r][k]));
      part[k] = _mm256_shuffle_epi8(x[k], _mm256_broadcastsi128_si256(half));
    }
    y[r] = _mm256_or_si256(_mm256_or_si256(part[0], part[1]), part[2]);
  }
}

// 32 bytes of each of three rows, and 96 dense ones: halves of vectors lie 48 bytes apart.
struct Bytes3 {
  static constexpr std::size_t kStep = 32;

  static void interleave(const std::uint8_t* const (&a)[3], std::size_t j, std::uint8_t* c) {
    __m256i x[3], y[3];
#pragma GCC unroll 3
    for (int k = 0; k < 3; ++k) x[k] = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(a[k] + j));
    pick(x, kThrees.into, y);
#pragma GCC unroll 3
    for (int r = 0; r < 3; ++r) {
      _mm256_storeu2_m128i(reinterpret_cast<__m128i*>(c + 3 * j + 48 + 16 * r),
                           reinterpret_cast<__m128i*>(c + 3 * j + 16 * r), y[r]);
    }
  }

  static void split(const std::uint8_t* a, std::size_t i, std::uint8_t* const (&c)[3]) {
    __m256i x[3], y[3];
#pragma GCC unroll 3
    for (int k = 0; k < 3; ++k) {
      x[k] = _mm256_loadu2_m128i(reinterpret_cast<const __m128i*>(a + 3 * i + 48 + 16 * k),
                                 reinterpret_cast<const __m128i*>(a + 3 * i + 16 * k));
    }
    pick(x, kThrees.from, y);
#pragma GCC unroll 3
    for (int r = 0; r < 3; ++r) _mm256_storeu_si256(reinterpret_cast<__m256i*>(c[r] + i), y[r]);
  }
};

void interleave_bytes_3(const TransposeArgs& args) {
  const std::uint8_t* const a[3] = {in_row<std::uint8_t>(args, 0), in_row<std::uint8_t>(args, 1),
                                    in_row<std::uint8_t>(args, 2)};
  const std::size_t cols = args.cols / Bytes3::kStep * Bytes3::kStep;
  for (std::size_t j = 0; j < cols; j += Bytes3::kStep) Bytes3::interleave(a, j, out_row<std::uint8_t>(args, 0));
  elements<std::uint8_t>(args, 0, 3, cols, args.cols);
}

void split_bytes_3(const TransposeArgs& args) {
  std::uint8_t* const c[3] = {out_row<std::uint8_t>(args, 0), out_row<std::uint8_t>(args, 1),
                              out_row<std::uint8_t>(args, 2)};
  const std::size_t rows = args.rows / Bytes3::kStep * Bytes3::kStep;
  for (std::size_t i = 0; i < rows; i += Bytes3::kStep) Bytes3::split(in_row<std::uint8_t>(args, 0), i, c);
  elements<std::uint8_t>(args, rows, args.rows, 0, 3);
}

template <class Tile>
void transpose(const TransposeArgs& args) {
  using T = typename Tile::T;
  if constexpr (sizeof(T) == 1) {
    if (args.rows == 3 && args.c_stride == 3) return interleave_bytes_3(args);
    if (args.cols == 3 && args.a_stride == 3) return split_bytes_3(args);
  }
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
