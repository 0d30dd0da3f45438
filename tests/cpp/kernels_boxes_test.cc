// Non-maximum suppression: order, limits, thresholds, ties, degenerate boxes.
#include "kernels/boxes/non_max.h"

#include <cmath>
#include <vector>

#include "cpp/check.h"

namespace {

using namespace quaver::kernels;
using Kept = std::vector<std::uint32_t>;

Kept keep(const std::vector<float>& boxes, const std::vector<float>& scores, float iou, std::size_t limit = 99,
          const float* threshold = nullptr, bool centred = false) {
  Kept order(scores.size()), kept(scores.size());
  NonMaxArgs args{scores.size(), limit,   boxes.data(), scores.data(), iou,
                  threshold,     centred, order.data(), kept.data()};
  kept.resize(non_max_suppression(args));
  return kept;
}

const std::vector<float> kBoxes = {0, 0,  1, 1,  0, 0.1F, 1, 1.1F,
                                   0, 10, 1, 11, 1, 1,    0, 0};  // the last one is the first

TEST(non_max_keeps_the_best) {
  CHECK_EQ(keep(kBoxes, {0.9F, 0.75F, 0.6F, 0.95F}, 0.5F), (Kept{3, 2}));
  CHECK_EQ(keep(kBoxes, {0.9F, 0.75F, 0.6F, 0.95F}, 0.99F), (Kept{3, 1, 2}));
  CHECK_EQ(keep(kBoxes, {0.9F, 0.75F, 0.6F, 0.95F}, 0.5F, 1), (Kept{3}));
  CHECK_EQ(keep(kBoxes, {0.9F, 0.75F, 0.6F, 0.95F}, 0.5F, 0), Kept{});
  CHECK_EQ(keep(kBoxes, {0.5F, 0.5F, 0.5F, 0.5F}, 0.5F), (Kept{0, 2}));
  CHECK_EQ(keep(kBoxes, {0.5F, NAN, 0.5F, NAN}, 0.5F), (Kept{0, 2}));
}

TEST(non_max_takes_scores_above_the_threshold) {
  const float threshold = 0.6F;
  CHECK_EQ(keep(kBoxes, {0.9F, 0.75F, 0.6F, 0.1F}, 0.5F, 99, &threshold), (Kept{0}));
}

TEST(non_max_takes_centred_boxes) {
  CHECK_EQ(keep({0.5F, 0.5F, 1, 1, 0.6F, 0.5F, 1, 1, 10.5F, 0.5F, 1, 1}, {1, 2, 3}, 0.5F, 99, nullptr, true),
           (Kept{2, 1}));
}

TEST(non_max_of_empty_boxes) {
  CHECK_EQ(keep({0, 0, 0, 0, 0, 0, 0, 0}, {1, 1}, 0.0F), (Kept{0, 1}));
  CHECK_EQ(keep({}, {}, 0.5F), Kept{});
}

}  // namespace
