// A block's sums that wait to be stored while the next are summed. Internal linkage, for kernel files.
#pragma once

#include "kernels/gemm/amx_tiles.h"
#include "kernels/gemm/rows.h"

namespace quaver::kernels {
namespace {

// Row after row, of one panel's columns or two's. On a grid `width` rows of each `pitch` are stored and the others
// skipped; a product is one run.
template <class Sum>
class WaitingSums {
 public:
  WaitingSums(std::size_t width, std::size_t pitch) : width_(width), pitch_(pitch) {}

  // Of `rows` rows from the i-th on that is multiplied.
  void hold(const Sum* sums, std::size_t i, std::size_t rows, std::size_t j, std::size_t panels) {
    at = sums, column = j, left = rows, panels_ = panels;
    row = i / pitch_ * width_, run_ = i % pitch_;
    if (run_ < width_) {
      row += run_, run_ = width_ - run_;
    } else {
      row += width_;
      skip(pitch_ - run_);
    }
  }

  // So many are stored.
  void pass(std::size_t rows) {
    at += rows * panels_ * kColumns;
    row += rows, left -= rows, run_ -= rows;
    if (run_ == 0) skip(pitch_ - width_);
  }

  bool narrow() const { return panels_ == 1; }
  // How many can be stored one after the other.
  std::size_t ready() const { return least(left, run_); }

  const Sum* at;            // the next row's
  std::size_t row, column;  // where it is stored
  std::size_t left = 0;

 private:
  static constexpr std::size_t kColumns = 16;  // of a panel

  // What lies between two runs of a grid.
  void skip(std::size_t rows) {
    rows = least(rows, left);
    at += rows * panels_ * kColumns;
    left -= rows, run_ = width_;
  }

  const std::size_t width_, pitch_;
  std::size_t panels_, run_;  // rows before the next to be skipped
};

}  // namespace
}  // namespace quaver::kernels
