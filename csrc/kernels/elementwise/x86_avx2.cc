#include "kernels/elementwise/binary_u8_x86.h"
#include "kernels/elementwise/kernels.h"
#include "kernels/elementwise/number_loops.h"
#include "kernels/elementwise/table_loops.h"
#include "kernels/elementwise/unary_loops.h"

namespace quaver::kernels {
namespace {

// Sixteen 16-byte tables, looked up by the low nibble; each bit of the high nibble then halves the candidates.
// blendv chooses by a byte's top bit, to which shifts bring bits 4 to 7 in turn.
inline __m256i look_up(const std::uint8_t* table, __m256i x) {
  const __m256i low = _mm256_and_si256(x, _mm256_set1_epi8(15));
  const __m256i bit4 = _mm256_slli_epi16(x, 3), bit5 = _mm256_slli_epi16(x, 2), bit6 = _mm256_slli_epi16(x, 1);
  const auto row = [&](int r) {
    const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(table + 16 * r));
    return _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(bytes), low);
  };
  const auto pair = [&](int r) { return _mm256_blendv_epi8(row(r), row(r + 1), bit4); };
  const auto four = [&](int r) { return _mm256_blendv_epi8(pair(r), pair(r + 2), bit5); };
  const auto eight = [&](int r) { return _mm256_blendv_epi8(four(r), four(r + 4), bit6); };
  return _mm256_blendv_epi8(eight(0), eight(8), x);
}

void table_avx2(const TableArgs& args) {
  std::size_t i = 0;
  for (; i + 32 <= args.n; i += 32) {
    const __m256i x = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(args.x + i));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(args.y + i), look_up(args.table, x));
  }
  table_bytes({args.n - i, args.x + i, args.table, args.y + i});
}

}  // namespace
}  // namespace quaver::kernels

QUAVER_ELEMENTWISE_DEFINE(avx2, binary_u8_x86, table_avx2)
