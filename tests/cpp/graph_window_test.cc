#include "graph/window.h"

#include "base/dims.h"
#include "base/error.h"
#include "cpp/check.h"

namespace quaver {
namespace {

using Ints = std::vector<std::int64_t>;

Attrs with(std::initializer_list<std::pair<const char*, AttrValue>> items) {
  Attrs attrs;
  for (const auto& [name, value] : items) attrs.set(name, value);
  return attrs;
}

TEST(graph_window_defaults) {
  const Window window = resolve_window({}, 5, 6, 2, 3);
  CHECK_EQ(window.out(0, 5), 4);
  CHECK_EQ(window.out(1, 6), 4);
  CHECK_EQ(window.out(1, kDynamic), kDynamic);
}

TEST(graph_window_strides_pads_dilations) {
  const Window window = resolve_window(
      with({{"strides", Ints{2, 1}}, {"pads", Ints{1, 0, 2, 3}}, {"dilations", Ints{2, 3}}}), 10, 10, 3, 2);
  CHECK_EQ(window.out(0, 10), 5);   // (10 + 3 − 5) / 2 + 1
  CHECK_EQ(window.out(1, 10), 10);  // 10 + 3 − 4 + 1
}

TEST(graph_window_ceil_mode_does_not_begin_in_the_end_padding) {
  const Attrs attrs = with({{"strides", Ints{2, 3}}, {"pads", Ints{0, 1, 0, 1}}});
  const Window window = resolve_window(attrs, 6, 5, 3, 1);
  CHECK_EQ(window.out(0, 6, false), 2);
  CHECK_EQ(window.out(0, 6, true), 3);
  CHECK_EQ(window.out(1, 5, true), 2);  // a third window would begin at 6 = 1 + 5
}

TEST(graph_window_auto_pad) {
  for (std::int64_t size = 1; size < 12; ++size) {
    for (std::int64_t stride = 1; stride < 5; ++stride) {
      for (std::int64_t kernel = 1; kernel < 6; ++kernel) {
        const Ints strides{stride, stride};
        const Window upper = resolve_window(with({{"strides", strides}, {"auto_pad", std::string("SAME_UPPER")}}), size,
                                            size, kernel, kernel);
        const Window lower = resolve_window(with({{"strides", strides}, {"auto_pad", std::string("SAME_LOWER")}}), size,
                                            size, kernel, kernel);
        CHECK_EQ(upper.out(0, size), (size + stride - 1) / stride);
        CHECK_EQ(lower.out(0, size, true), (size + stride - 1) / stride);
        CHECK_EQ(upper.pads[0], lower.pads[2]);
        CHECK_EQ(upper.pads[2], lower.pads[0]);
        CHECK(upper.pads[2] - upper.pads[0] == 0 || upper.pads[2] - upper.pads[0] == 1);
      }
    }
  }
  const Window valid =
      resolve_window(with({{"auto_pad", std::string("VALID")}, {"pads", Ints{1, 1, 1, 1}}}), 5, 5, 3, 3);
  CHECK_EQ(valid.out(0, 5), 3);
}

TEST(graph_window_refuses_nonsense) {
  CHECK_THROWS(resolve_window(with({{"strides", Ints{0, 1}}}), 5, 5, 3, 3), Error, "strides holds 0");
  CHECK_THROWS(resolve_window(with({{"pads", Ints{0, -1, 0, 0}}}), 5, 5, 3, 3), Error, "pads holds -1");
  CHECK_THROWS(resolve_window(with({{"dilations", Ints{1}}}), 5, 5, 3, 3), Error, "dilations has 1");
  CHECK_THROWS(resolve_window(with({{"auto_pad", std::string("SAME")}}), 5, 5, 3, 3), Error, "auto_pad is 'SAME'");
  CHECK_THROWS(resolve_window({}, 5, 5, 0, 3), Error, "the kernel is 0 by 3");
  CHECK_THROWS(resolve_window({}, 5, 5, 6, 3).out(0, 5), Error, "does not fit");
}

}  // namespace
}  // namespace quaver
