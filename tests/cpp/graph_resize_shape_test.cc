#include "graph/resize_shape.h"

#include "base/error.h"
#include "cpp/check.h"

namespace quaver {
namespace {

using Ints = std::vector<std::int64_t>;
using Reals = std::vector<float>;

TEST(graph_resize_by_scales) {
  CHECK_EQ(resize_output({1, 5, 7, 3}, {}, Reals{1, 2, 0.5F, 1}, std::nullopt), (Dims{1, 10, 3, 3}));
  CHECK_EQ(resize_output({1, kDynamic}, {}, Reals{1, 2}, std::nullopt), (Dims{1, kDynamic}));
  CHECK_THROWS(resize_output({1, 5}, {}, Reals{1}, std::nullopt), Error, "1 entries for 2 dimensions");
  CHECK_THROWS(resize_output({5}, {}, Reals{-1}, std::nullopt), Error, "scales holds -1");
}

TEST(graph_resize_by_sizes) {
  const ResizeShape shape = resolve_resize({1, 5, 4}, {}, std::nullopt, Ints{1, 10, 1});
  CHECK_EQ(shape.out, (Dims{1, 10, 1}));
  CHECK_EQ(shape.scales, (Reals{1, 2, 0.25F}));
}

TEST(graph_resize_of_some_axes_keeps_the_aspect) {
  Attrs attrs;
  attrs.set("axes", Ints{2, 1});
  attrs.set("keep_aspect_ratio_policy", std::string("not_larger"));
  CHECK_EQ(resize_output({1, 10, 20, 3}, attrs, std::nullopt, Ints{30, 30}), (Dims{1, 15, 30, 3}));
  attrs.set("keep_aspect_ratio_policy", std::string("not_smaller"));
  CHECK_EQ(resize_output({1, 10, 20, 3}, attrs, std::nullopt, Ints{30, 30}), (Dims{1, 30, 60, 3}));
  CHECK_EQ(resize_output({1, 10, kDynamic, 3}, attrs, std::nullopt, Ints{30, 30}), (Dims{1, kDynamic, kDynamic, 3}));
  attrs.set("keep_aspect_ratio_policy", std::string("shrink"));
  CHECK_THROWS(resize_output({1, 10, 20, 3}, attrs, std::nullopt, Ints{30, 30}), Error, "shrink");
}

TEST(graph_resize_of_unknown_size) {
  Attrs attrs;
  attrs.set("axes", Ints{1});
  CHECK_EQ(resize_output({1, 10, 20}, attrs, std::nullopt, std::nullopt), (Dims{1, kDynamic, 20}));
}

}  // namespace
}  // namespace quaver
