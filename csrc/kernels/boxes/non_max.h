// Boxes of one class in one picture: the best by score, without those that overlap a better one too much.
//
//   in falling order of score, of equal ones the first: a box with score > threshold (where there is one) is kept
//   unless some kept one has intersection / union > iou; at most `limit` are kept
//
// A corner box is (y1, x1, y2, x2) of any two opposite corners; a centred one (x, y, width, height).
#pragma once

#include <cstddef>
#include <cstdint>

namespace quaver::kernels {

struct NonMaxArgs {
  std::size_t boxes = 0, limit = 0;
  const float* box = nullptr;    // [boxes][4]
  const float* score = nullptr;  // [boxes]
  float iou = 0;
  const float* threshold = nullptr;  // null: every box
  bool centred = false;
  std::uint32_t* order = nullptr;  // [boxes], room
  std::uint32_t* kept = nullptr;   // [min(boxes, limit)]
};

// How many boxes are kept.
std::size_t non_max_suppression(const NonMaxArgs& args);

}  // namespace quaver::kernels
