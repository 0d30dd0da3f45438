#include "base/error.h"
#include "check.h"
#include "graph/attrs.h"

using namespace quaver;

TEST(graph_attrs_keep_their_kinds_and_defaults) {
  Attrs attrs;
  attrs.set("strides", std::vector<std::int64_t>{2, 3});
  attrs.set("alpha", 0.5);
  attrs.set("mode", std::string("linear"));
  attrs.set("axis", std::int64_t{-1});
  attrs.set("axis", std::int64_t{2});
  CHECK_EQ(attrs.i("axis"), 2);
  CHECK_EQ(attrs.i("absent", 7), 7);
  CHECK_EQ(attrs.f("axis"), 2.0);  // an integer serves as a float
  CHECK_EQ(attrs.f("alpha"), 0.5);
  CHECK_EQ(attrs.s("mode"), std::string("linear"));
  CHECK_EQ(attrs.ints("strides"), (std::vector<std::int64_t>{2, 3}));
  CHECK_EQ(attrs.floats("absent", {1.5}), (std::vector<double>{1.5}));
  CHECK_EQ(attrs.items().size(), std::size_t{4});
  for (std::size_t i = 1; i < attrs.items().size(); ++i) CHECK(attrs.items()[i - 1].first < attrs.items()[i].first);
  attrs.erase("alpha");
  attrs.erase("absent");
  CHECK(!attrs.has("alpha"));
  CHECK(attrs.has("mode"));
}

TEST(graph_attrs_of_another_kind_are_an_error) {
  Attrs attrs;
  attrs.set("axis", std::string("one"));
  CHECK_THROWS(attrs.i("axis"), Error, "attribute 'axis' is a string, expected an integer");
  CHECK_THROWS(attrs.ints("axis"), Error, "expected a list of integers");
}

TEST(graph_attrs_print) {
  CHECK_EQ(to_string(AttrValue(std::vector<std::int64_t>{1, -2})), std::string("[1, -2]"));
  CHECK_EQ(to_string(AttrValue(std::string("same"))), std::string("'same'"));
  CHECK_EQ(to_string(AttrValue(0.25)), std::string("0.25"));
}
