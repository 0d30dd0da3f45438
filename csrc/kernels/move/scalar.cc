#include <cstdint>

#include "kernels/move/lists.h"

namespace quaver::kernels {
namespace {

template <class T>
void transpose(const TransposeArgs& args) {
  for (std::size_t j = 0; j < args.cols; ++j) {
    for (std::size_t i = 0; i < args.rows; ++i) {
      const auto* a = static_cast<const unsigned char*>(args.a) + i * args.a_stride;
      auto* c = static_cast<unsigned char*>(args.c) + j * args.c_stride;
      reinterpret_cast<T*>(c)[i] = reinterpret_cast<const T*>(a)[j];
    }
  }
}

}  // namespace

const TransposeKernel kTransposeScalar[4] = {
    {"transpose_1_scalar", Isa::scalar, 1, &transpose<std::uint8_t>},
    {"transpose_2_scalar", Isa::scalar, 2, &transpose<std::uint16_t>},
    {"transpose_4_scalar", Isa::scalar, 4, &transpose<std::uint32_t>},
    {"transpose_8_scalar", Isa::scalar, 8, &transpose<std::uint64_t>},
};

}  // namespace quaver::kernels
