#include "kernels/boxes/non_max.h"

#include <algorithm>

namespace quaver::kernels {
namespace {

struct Box {
  float top, left, bottom, right;
  float area() const { return (bottom - top) * (right - left); }
};

Box box_of(const NonMaxArgs& g, std::size_t i) {
  const float* b = g.box + 4 * i;
  if (g.centred) return {b[1] - b[3] / 2, b[0] - b[2] / 2, b[1] + b[3] / 2, b[0] + b[2] / 2};
  return {std::min(b[0], b[2]), std::min(b[1], b[3]), std::max(b[0], b[2]), std::max(b[1], b[3])};
}

bool overlap(const Box& a, const Box& b, float iou) {
  const float height = std::min(a.bottom, b.bottom) - std::max(a.top, b.top);
  const float width = std::min(a.right, b.right) - std::max(a.left, b.left);
  if (height <= 0 || width <= 0) return false;
  const float both = height * width, either = a.area() + b.area() - both;
  return either > 0 && both / either > iou;
}

}  // namespace

std::size_t non_max_suppression(const NonMaxArgs& g) {
  std::size_t n = 0, kept = 0;
  for (std::size_t i = 0; i < g.boxes; ++i) {
    // A NaN, which has no place in an order, is no score.
    if (g.score[i] == g.score[i] && (!g.threshold || g.score[i] > *g.threshold)) g.order[n++] = std::uint32_t(i);
  }
  std::sort(g.order, g.order + n, [&](std::uint32_t a, std::uint32_t b) {
    return g.score[a] > g.score[b] || (g.score[a] == g.score[b] && a < b);
  });
  for (std::size_t i = 0; i < n && kept < g.limit; ++i) {
    const Box box = box_of(g, g.order[i]);
    const auto covers = [&](std::uint32_t k) { return overlap(box, box_of(g, k), g.iou); };
    if (std::none_of(g.kept, g.kept + kept, covers)) g.kept[kept++] = g.order[i];
  }
  return kept;
}

}  // namespace quaver::kernels
