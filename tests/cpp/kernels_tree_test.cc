// Every tree kernel against the scalar definition: rows around the block, modes, NaN, sums.
#include "kernels/tree/tree.h"

#include <limits>
#include <random>

#include "cpp/kernels_compare.h"

namespace {

using namespace quaver;
using namespace quaver::kernels;

template <class T>
struct Forest {
  std::vector<std::int32_t> roots, feature, children, leaf_begin = {0}, target;
  std::vector<T> threshold, weight;
  std::vector<std::uint8_t> mode;

  std::int32_t leaf(std::mt19937& random, std::size_t targets) {
    for (std::size_t e = random() % 3; e-- > 0;) {
      target.push_back(static_cast<std::int32_t>(random() % targets));
      weight.push_back(static_cast<T>(std::normal_distribution<double>()(random)));
    }
    leaf_begin.push_back(static_cast<std::int32_t>(target.size()));
    return ~static_cast<std::int32_t>(leaf_begin.size() - 2);
  }

  std::int32_t grow(std::mt19937& random, int depth, std::size_t features, std::size_t targets) {
    if (depth == 0 || random() % 5 == 0) return leaf(random, targets);
    const auto n = static_cast<std::int32_t>(feature.size());
    feature.push_back(static_cast<std::int32_t>(random() % features));
    threshold.push_back(static_cast<T>(int(random() % 5) - 2));
    mode.push_back(static_cast<std::uint8_t>(random() % 6 | (random() % 2 ? kNanGoes : 0)));
    children.resize(children.size() + 2);
    const std::int32_t yes = grow(random, depth - 1, features, targets);
    const std::int32_t no = grow(random, depth - 1, features, targets);
    children[2 * n] = yes, children[2 * n + 1] = no;
    return n;
  }
};

template <class T>
void compare(std::size_t rows, std::size_t targets, TreeSum sum, bool leq) {
  std::mt19937 random(static_cast<unsigned>(rows * 31 + targets));
  constexpr std::size_t kFeatures = 5;
  Forest<T> forest;
  for (int t = 0; t < 9; ++t) forest.roots.push_back(forest.grow(random, t % 6, kFeatures, targets));
  std::vector<T> x(rows * kFeatures);
  for (T& value : x) {
    value = random() % 9 ? static_cast<T>(int(random() % 5) - 2) : std::numeric_limits<T>::quiet_NaN();
  }
  TreeArgs<T> args;
  args.rows = rows, args.features = kFeatures, args.trees = forest.roots.size(), args.targets = targets;
  args.x = x.data(), args.roots = forest.roots.data(), args.feature = forest.feature.data();
  args.threshold = forest.threshold.data(), args.mode = leq ? nullptr : forest.mode.data();
  args.children = forest.children.data(), args.leaf_begin = forest.leaf_begin.data();
  args.target = forest.target.data(), args.weight = forest.weight.data(), args.sum = sum;
  const TreeList<T> list = tree_kernels<T>();
  std::vector<T> want;
  for (std::size_t k = 0; k < list.size; ++k) {
    std::vector<T> got(rows * targets, T{0});
    args.c = got.data();
    list.items[k]->run(args);
    if (k == 0) want = got;
    if (!got.empty() && std::memcmp(got.data(), want.data(), got.size() * sizeof(T)) != 0) {
      check::failed(__FILE__, __LINE__, std::string(list.items[k]->name) + " differs");
    }
  }
}

TEST(tree_kernels_agree) {
  for (const std::size_t rows : {0, 1, 7, 8, 9, 16, 23}) {
    for (const TreeSum sum : {TreeSum::add, TreeSum::min, TreeSum::max}) {
      for (const bool leq : {false, true}) {
        compare<float>(rows, 1, sum, leq);
        compare<double>(rows, 3, sum, leq);
      }
    }
  }
}

// x0 <= 1 ? 10 : (x1 < 2 ? 20 : 30), and a tree of one leaf.
TEST(tree_walks_by_hand) {
  const std::vector<std::int32_t> roots = {0, ~3}, feature = {0, 1}, children = {~0, 1, ~1, ~2};
  const std::vector<std::int32_t> begin = {0, 1, 2, 3, 4}, target = {0, 0, 0, 0};
  const std::vector<float> threshold = {1, 2}, weight = {10, 20, 30, 0.5F}, x = {1, 9, 2, 1, 2, 2};
  const std::vector<std::uint8_t> mode = {kLeq, kLt};
  std::vector<float> c(3, 0.0F);
  TreeArgs<float> args;
  args.rows = 3, args.features = 2, args.trees = 2, args.targets = 1;
  args.x = x.data(), args.roots = roots.data(), args.feature = feature.data(), args.threshold = threshold.data();
  args.mode = mode.data(), args.children = children.data(), args.leaf_begin = begin.data();
  args.target = target.data(), args.weight = weight.data(), args.c = c.data();
  tree_kernels<float>().items[0]->run(args);
  CHECK_EQ(c, (std::vector<float>{10.5F, 20.5F, 30.5F}));
}

}  // namespace
