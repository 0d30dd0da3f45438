// Packing of keys and values for attention. Internal linkage, for kernel files.
#pragma once

#include "kernels/intrinsics_x86.h"

#include "kernels/attention/lists.h"

namespace quaver::kernels {
namespace {

// Eight columns of eight rows of floats.
inline void transpose_eight(const float* from, std::size_t stride, float* to, std::size_t to_stride) {
  __m256 rows[8], pairs[8], fours[8];
#pragma GCC unroll 8
  for (std::size_t r = 0; r < 8; ++r) rows[r] = _mm256_loadu_ps(from + r * stride);
#pragma GCC unroll 4
  for (std::size_t r = 0; r < 8; r += 2) {
    pairs[r] = _mm256_unpacklo_ps(rows[r], rows[r + 1]);
    pairs[r + 1] = _mm256_unpackhi_ps(rows[r], rows[r + 1]);
  }
#pragma GCC unroll 2
  for (std::size_t r = 0; r < 8; r += 4) {
    fours[r] = _mm256_shuffle_ps(pairs[r], pairs[r + 2], 0x44);
    fours[r + 1] = _mm256_shuffle_ps(pairs[r], pairs[r + 2], 0xEE);
    fours[r + 2] = _mm256_shuffle_ps(pairs[r + 1], pairs[r + 3], 0x44);
    fours[r + 3] = _mm256_shuffle_ps(pairs[r + 1], pairs[r + 3], 0xEE);
  }
#pragma GCC unroll 4
  for (std::size_t r = 0; r < 4; ++r) {
    _mm256_storeu_ps(to + r * to_stride, _mm256_permute2f128_ps(fours[r], fours[r + 4], 0x20));
    _mm256_storeu_ps(to + (r + 4) * to_stride, _mm256_permute2f128_ps(fours[r], fours[r + 4], 0x31));
  }
}

// Panels of keys in fp32: step p has column p of 16 rows, or of those there are.
inline void pack_k_f32(const AttentionPackArgs& args) {
  constexpr std::size_t kPanel = kAttentionPanel;
  const auto* k = static_cast<const float*>(args.k);
  auto* to = static_cast<float*>(args.packed_k);
  for (std::size_t first = 0; first < args.keys; first += kPanel, to += kPanel * args.depth) {
    const std::size_t count = args.keys - first < kPanel ? args.keys - first : kPanel;
    const float* rows = k + first * args.k_stride;
    std::size_t p = 0;
    for (; count == kPanel && p + 8 <= args.depth; p += 8) {
      transpose_eight(rows + p, args.k_stride, to + p * kPanel, kPanel);
      transpose_eight(rows + 8 * args.k_stride + p, args.k_stride, to + p * kPanel + 8, kPanel);
    }
    for (; p < args.depth; ++p) {
      for (std::size_t j = 0; j < kPanel; ++j) to[p * kPanel + j] = j < count ? rows[j * args.k_stride + p] : 0.0F;
    }
  }
}

inline void pack_v_f32(const AttentionPackArgs& args) {
  constexpr std::size_t kPanel = kAttentionPanel;
  const auto* v = static_cast<const float*>(args.v);
  auto* to = static_cast<float*>(args.packed_v);
  for (std::size_t first = 0; first < args.v_depth; first += kPanel) {
    const std::size_t count = args.v_depth - first < kPanel ? args.v_depth - first : kPanel;
    for (std::size_t j = 0; j < args.keys; ++j, to += kPanel) {
      const float* row = v + j * args.v_stride + first;
      if (count == kPanel) {
        __builtin_memcpy(to, row, kPanel * sizeof(float));
      } else {
        for (std::size_t o = 0; o < kPanel; ++o) to[o] = o < count ? row[o] : 0.0F;
      }
    }
  }
}

[[maybe_unused]] void pack_f32(const AttentionPackArgs& args) {
  pack_k_f32(args);
  pack_v_f32(args);
}

// 16 bytes of a row, those from `count` on zero.
inline __m128i sixteen(const std::uint8_t* row, std::size_t count) {
  const __m128i flip = _mm_set1_epi8(static_cast<char>(0x80));
  if (count >= 16) return _mm_xor_si128(_mm_loadu_si128(reinterpret_cast<const __m128i*>(row)), flip);
  alignas(16) std::uint8_t bytes[16];
  for (std::size_t o = 0; o < 16; ++o) bytes[o] = o < count ? row[o] ^ 0x80 : 0;
  return _mm_load_si128(reinterpret_cast<const __m128i*>(bytes));
}

// Keys: four bytes of a row go side by side, and into the sum of the row. Four rows of 16 bytes at a time.
void pack_k_u8(const AttentionPackArgs& args) {
  constexpr std::size_t kPanel = kAttentionPanel;
  const std::size_t keys = attention_pad(args.keys, kPanel), quads = (args.depth + 3) / 4;
  auto* packed = static_cast<std::uint8_t*>(args.packed_k);
  auto* sums = packed + keys * quads * 4;
  const __m128i ones = _mm_set1_epi8(1), pairs = _mm_set1_epi16(1);
  for (std::size_t j = 0; j < keys; j += 4) {
    std::uint8_t* to = packed + j / kPanel * quads * 64 + j % kPanel * 4;
    __m128i sum = _mm_setzero_si128();
    for (std::size_t first = 0; first < quads; first += 4) {
      __m128i rows[4];
      for (std::size_t r = 0; r < 4; ++r) {
        const std::uint8_t* row = static_cast<const std::uint8_t*>(args.k) + (j + r) * args.k_stride + first * 4;
        rows[r] = j + r < args.keys ? sixteen(row, args.depth - first * 4) : _mm_setzero_si128();
      }
      const __m128i low01 = _mm_unpacklo_epi32(rows[0], rows[1]), high01 = _mm_unpackhi_epi32(rows[0], rows[1]);
      const __m128i low23 = _mm_unpacklo_epi32(rows[2], rows[3]), high23 = _mm_unpackhi_epi32(rows[2], rows[3]);
      const __m128i out[] = {_mm_unpacklo_epi64(low01, low23), _mm_unpackhi_epi64(low01, low23),
                             _mm_unpacklo_epi64(high01, high23), _mm_unpackhi_epi64(high01, high23)};
      for (std::size_t q = 0; q < 4 && first + q < quads; ++q) {
        _mm_storeu_si128(reinterpret_cast<__m128i*>(to + (first + q) * 64), out[q]);
        sum = _mm_add_epi32(sum, _mm_madd_epi16(_mm_maddubs_epi16(ones, out[q]), pairs));
      }
    }
    _mm_storeu_si128(reinterpret_cast<__m128i*>(sums + j * 4), sum);
  }
}

// Values: four rows are interleaved, byte by byte.
void pack_v_u8(const AttentionPackArgs& args) {
  constexpr std::size_t kPanel = kAttentionPanel;
  const std::size_t keys = attention_pad(args.keys, kPanel);
  auto* to = static_cast<std::uint8_t*>(args.packed_v);
  for (std::size_t first = 0; first < args.v_depth; first += kPanel) {
    for (std::size_t j = 0; j < keys; j += 4, to += 64) {
      __m128i rows[4];
      for (std::size_t r = 0; r < 4; ++r) {
        const bool inside = j + r < args.keys;
        const std::uint8_t* row = static_cast<const std::uint8_t*>(args.v) + (j + r) * args.v_stride + first;
        rows[r] = inside ? sixteen(row, args.v_depth - first) : _mm_setzero_si128();
      }
      const __m128i low01 = _mm_unpacklo_epi8(rows[0], rows[1]), high01 = _mm_unpackhi_epi8(rows[0], rows[1]);
      const __m128i low23 = _mm_unpacklo_epi8(rows[2], rows[3]), high23 = _mm_unpackhi_epi8(rows[2], rows[3]);
      auto* out = reinterpret_cast<__m128i*>(to);
      _mm_storeu_si128(out, _mm_unpacklo_epi16(low01, low23));
      _mm_storeu_si128(out + 1, _mm_unpackhi_epi16(low01, low23));
      _mm_storeu_si128(out + 2, _mm_unpacklo_epi16(high01, high23));
      _mm_storeu_si128(out + 3, _mm_unpackhi_epi16(high01, high23));
    }
  }
}

[[maybe_unused]] void pack_u8(const AttentionPackArgs& args) {
  pack_k_u8(args);
  pack_v_u8(args);
}

}  // namespace
}  // namespace quaver::kernels
