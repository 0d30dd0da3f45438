#include "kernels/move/transpose.h"

#include "cpp/kernels_compare.h"

namespace quaver::kernels {
namespace {

// Strides beyond the rows, so that a dense fast path is not taken by mistake; 0 more takes it.
void check_size(std::size_t element, std::size_t rows, std::size_t cols, std::size_t more) {
  std::mt19937 random(static_cast<unsigned>(rows * 1000 + cols));
  const std::size_t a_stride = (cols + more) * element, c_stride = (rows + more) * element;
  testing::Fenced<std::uint8_t> a(std::vector<std::uint8_t>(rows * a_stride - more * element));
  for (auto& x : a) x = static_cast<std::uint8_t>(random());
  std::vector<std::uint8_t> want(cols * c_stride - more * element, 42);
  for (std::size_t i = 0; i < rows; ++i) {
    for (std::size_t j = 0; j < cols; ++j) {
      std::memcpy(&want[j * c_stride + i * element], &a[i * a_stride + j * element], element);
    }
  }
  for (std::size_t k = 0; k < transpose_kernels().size; ++k) {
    const TransposeKernel& kernel = *transpose_kernels().items[k];
    if (kernel.element != element || !kernel_case::runnable(kernel.isa)) continue;
    testing::Fenced<std::uint8_t> got(std::vector<std::uint8_t>(want.size(), 42));
    kernel.run({rows, cols, a.data(), a_stride, got.data(), c_stride});
    if (!std::equal(want.begin(), want.end(), got.begin())) {
      check::failed(__FILE__, __LINE__,
                    std::string(kernel.name) + " differs at " + std::to_string(rows) + " × " + std::to_string(cols) +
                        " + " + std::to_string(more));
    }
  }
}

TEST(kernels_transpose) {
  for (const std::size_t element : {1, 2, 4, 8}) {
    for (const std::size_t rows : {1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 64, 97}) {
      for (const std::size_t cols : {1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 100}) {
        for (const std::size_t more : {0, 1, 5}) check_size(element, rows, cols, more);
      }
    }
  }
}

}  // namespace
}  // namespace quaver::kernels
