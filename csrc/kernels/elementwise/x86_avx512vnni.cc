#include "kernels/elementwise/binary_u8_x86.h"
#include "kernels/elementwise/kernels.h"
#include "kernels/elementwise/number_loops.h"
#include "kernels/elementwise/table_loops.h"
#include "kernels/elementwise/unary_loops.h"

namespace quaver::kernels {
namespace {

// Sixteen 16-byte tables, each looked up by the low nibble where the high nibble names it.
inline __m512i look_up(const std::uint8_t* table, __m512i x) {
  const __m512i low = _mm512_and_si512(x, _mm512_set1_epi8(15)), high = _mm512_andnot_si512(_mm512_set1_epi8(15), x);
  __m512i y = _mm512_setzero_si512();
#pragma GCC unroll 16
  for (int r = 0; r < 16; ++r) {
    const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(table + 16 * r));
    const __mmask64 here = _mm512_cmpeq_epi8_mask(high, _mm512_set1_epi8(static_cast<char>(16 * r)));
    y = _mm512_mask_shuffle_epi8(y, here, _mm512_broadcast_i32x4(bytes), low);
  }
  return y;
}

void table_avx512(const TableArgs& args) {
  std::size_t i = 0;
  for (; i + 64 <= args.n; i += 64) {
    _mm512_storeu_si512(args.y + i, look_up(args.table, _mm512_loadu_si512(args.x + i)));
  }
  table_bytes({args.n - i, args.x + i, args.table, args.y + i});
}

}  // namespace
}  // namespace quaver::kernels

QUAVER_ELEMENTWISE_DEFINE(avx512vnni, binary_u8_x86, table_avx512)
