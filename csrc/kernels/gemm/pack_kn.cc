#include "kernels/gemm/pack_kn.h"

#include "kernels/gemm/bf16.h"
#include "kernels/gemm/gemm_bf16.h"

namespace quaver::kernels {

void pack_gemm_u8_kn(std::size_t n, std::size_t k, const std::uint8_t* b, std::size_t stride, std::int8_t* out,
                     std::int32_t* sums) {
  constexpr GemmU8Layout layout{};
  const std::size_t quads = (k + layout.kr - 1) / layout.kr, columns = (n + layout.nr - 1) / layout.nr * layout.nr;
  for (std::size_t j = 0; j < columns; ++j) sums[j] = 0;
  for (std::size_t j = 0; j < columns; ++j) {
    std::int8_t* panel = out + j / layout.nr * quads * layout.nr * layout.kr + j % layout.nr * layout.kr;
    for (std::size_t p = 0; p < quads * layout.kr; ++p) {
      std::int8_t value = 0;
      if (j < n && p < k) value = static_cast<std::int8_t>(b[p * stride + j] ^ 0x80);
      sums[j] += value;
      panel[p / layout.kr * layout.nr * layout.kr + p % layout.kr] = value;
    }
  }
}

void pack_gemm_f32_kn(std::size_t n, std::size_t k, const float* b, std::size_t stride, float* out) {
  for (std::size_t first = 0; first < n; first += kGemmF32Panel) {
    for (std::size_t p = 0; p < k; ++p) {
      for (std::size_t j = first; j < first + kGemmF32Panel; ++j) *out++ = j < n ? b[p * stride + j] : 0.0F;
    }
  }
}

void pack_gemm_bf16_kn(std::size_t n, std::size_t k, const float* b, std::size_t stride, std::uint16_t* out) {
  const std::size_t panel = packed_count_bf16(1, 1, k);
  __builtin_memset(out, 0, packed_count_bf16(n, 1, k) * sizeof *out);
  for (std::size_t p = 0; p < k; ++p, b += stride) {
    std::uint16_t* row = out + bf16_place(p / 2, p % 2);
    for (std::size_t j = 0; j < n; ++j) row[j / kGemmBf16Panel * panel + j % kGemmBf16Panel * 2] = round_bf16(b[j]);
  }
}

}  // namespace quaver::kernels
