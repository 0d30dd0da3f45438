// Packing of a right-hand side that lies as [k][n] (rows of n, `stride` elements apart) and may be known only at run
// time.
#pragma once

#include <cstddef>
#include <cstdint>

namespace quaver::kernels {

// u8 to the layout n16k4, each byte xor 0x80 (so its zero point moves by −128); sums[j] = Σ_p of column j as packed.
// `out` holds packed_size({}, n, 1, k) bytes, `sums` n rounded up to 16.
void pack_gemm_u8_kn(std::size_t n, std::size_t k, const std::uint8_t* b, std::size_t stride, std::int8_t* out,
                     std::int32_t* sums);
// fp32 panels of 16 columns; `out` holds packed_count_f32(n, 1, k) floats.
void pack_gemm_f32_kn(std::size_t n, std::size_t k, const float* b, std::size_t stride, float* out);
// The same rounded, in the layout of pack_gemm_bf16; `out` holds packed_count_bf16(n, 1, k) words.
void pack_gemm_bf16_kn(std::size_t n, std::size_t k, const float* b, std::size_t stride, std::uint16_t* out);

}  // namespace quaver::kernels
