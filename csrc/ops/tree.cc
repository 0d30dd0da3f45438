// TreeEnsemble: trees of a constant ensemble, checked once so that no walk can leave them.
#include <algorithm>
#include <limits>

#include "kernels/tree/tree.h"
#include "ops/row_step.h"

namespace quaver {
namespace {

template <class T>
class TreeStep final : public RowStep {
 public:
  explicit TreeStep(const LowerContext& context)
      : kernel_(kernels::pick_tree<T>(context.isa)), x_(context.in(0)), y_(context.out()) {
    const auto roots = context.constant<std::int32_t>(1), feature = context.constant<std::int32_t>(2);
    const auto mode = context.constant<std::uint8_t>(4);
    args_.features = static_cast<std::size_t>(context.input(0).shape[1]);
    args_.targets = static_cast<std::size_t>(context.output().shape[1]);
    args_.trees = roots.size();
    args_.roots = roots.data();
    args_.feature = feature.data();
    args_.threshold = context.constant<T>(3).data();
    if (std::ranges::any_of(mode, [](std::uint8_t m) { return m != kernels::kLeq; })) args_.mode = mode.data();
    args_.children = context.constant<std::int32_t>(5).data();
    args_.leaf_begin = context.constant<std::int32_t>(6).data();
    args_.target = context.constant<std::int32_t>(7).data();
    args_.weight = context.constant<T>(8).data();
    const std::string sum = context.node.attrs.s("sum", "SUM");
    args_.sum = sum == "MIN" ? kernels::TreeSum::min : sum == "MAX" ? kernels::TreeSum::max : kernels::TreeSum::add;
    check(context, feature.size());
    names(kernel_);
    const auto rows = static_cast<std::size_t>(context.input(0).shape[0]);
    split(rows, rows * args_.trees * 64);
  }

 private:
  // Children come after their parents, so that every walk ends.
  void check(const LowerContext& context, std::size_t nodes) const {
    const auto children = context.constant<std::int32_t>(5), begin = context.constant<std::int32_t>(6);
    const auto target = context.constant<std::int32_t>(7);
    const auto leaves = static_cast<std::int64_t>(begin.size()) - 1;
    const auto inside = [&](std::int64_t child, std::int64_t parent) {
      return child < 0 ? -1 - child < leaves : child > parent && child < std::int64_t(nodes);
    };
    bool good = leaves >= 0 && context.constant<T>(3).size() == nodes && children.size() == 2 * nodes &&
                context.constant<std::uint8_t>(4).size() == nodes && context.constant<T>(8).size() == target.size();
    for (std::size_t n = 0; good && n < nodes; ++n) {
      good = inside(children[2 * n], std::int64_t(n)) && inside(children[2 * n + 1], std::int64_t(n)) &&
             args_.feature[n] >= 0 && static_cast<std::size_t>(args_.feature[n]) < args_.features;
    }
    for (std::size_t t = 0; good && t < args_.trees; ++t) good = inside(args_.roots[t], -1);
    for (std::int64_t l = 0; good && l < leaves; ++l) good = begin[l] <= begin[l + 1];
    good = good && begin.front() >= 0 && std::size_t(begin.back()) <= target.size();
    for (const std::int32_t to : target) good = good && to >= 0 && static_cast<std::size_t>(to) < args_.targets;
    if (!good) context.fail("its trees point outside themselves or ask for more than ", args_.features, " features");
  }

  void run_rows(const RunContext& context, std::size_t first, std::size_t last) const override {
    using Limits = std::numeric_limits<T>;
    constexpr T kInfinity = Limits::infinity();
    kernels::TreeArgs<T> args = args_;
    args.rows = last - first;
    args.x = context.as<const T>(x_) + first * args.features;
    args.c = context.as<T>(y_) + first * args.targets;
    const T start = args.sum == kernels::TreeSum::add   ? T{0}
                    : args.sum == kernels::TreeSum::min ? kInfinity
                                                        : -kInfinity;
    std::fill_n(args.c, args.rows * args.targets, start);
    kernel_.run(args);
    if (args.sum != kernels::TreeSum::add) std::replace(args.c, args.c + args.rows * args.targets, start, T{0});
  }

  const kernels::TreeKernel<T>& kernel_;
  kernels::TreeArgs<T> args_;
  ValueId x_, y_;
};

}  // namespace

std::unique_ptr<Step> lower_TreeEnsemble(LowerContext& context) {
  if (context.input(0).dtype == DType::f64) return std::make_unique<TreeStep<double>>(context);
  return std::make_unique<TreeStep<float>>(context);
}

}  // namespace quaver
