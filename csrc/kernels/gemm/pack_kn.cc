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
  for (std::size_t first = 0; first < n; first += kGemmBf16Panel) {
    for (std::size_t p = 0; p < k; p += 2) {
      for (std::size_t j = first; j < first + kGemmBf16Panel; ++j, out += 2) {
        out[0] = j < n ? round_bf16(b[p * stride + j]) : 0;
        out[1] = j < n && p + 1 < k ? round_bf16(b[(p + 1) * stride + j]) : 0;
      }
    }
  }
}

}  // namespace quaver::kernels
