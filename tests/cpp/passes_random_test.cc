// Random graphs compute the same before and after the passes.
#include <algorithm>
#include <random>

#include "cpp/check.h"
#include "cpp/passes_interpreter.h"

using namespace quaver;
using namespace quaver::testing;

namespace {

class RandomGraph : public Build {
 public:
  RandomGraph(unsigned seed, bool quantized) : random_(seed), quantized_(quantized) {
    values_.push_back(rounded(input("x", DType::f32, {2, 3, 4, 2})));
    values_.push_back(rounded(input("y", DType::f32, {2, 3, 4, 2})));
    const int steps = 6 + pick(10);
    for (int i = 0; i < steps; ++i) grow();
    for (int i = 0; i < 3; ++i) output(values_[values_.size() - 1 - pick(3)]);
    std::sort(graph.outputs.begin(), graph.outputs.end());
    graph.outputs.erase(std::unique(graph.outputs.begin(), graph.outputs.end()), graph.outputs.end());
  }

  std::vector<Interpreter::Reals> inputs() {
    std::vector<Interpreter::Reals> out(2, Interpreter::Reals(48));
    for (auto& items : out) {
      for (double& x : items) x = std::uniform_real_distribution<>(-3, 3)(random_);
    }
    return out;
  }

 private:
  std::int64_t pick(std::int64_t n) { return static_cast<std::int64_t>(random_() % static_cast<std::uint64_t>(n)); }
  ValueId any() { return values_[pick(static_cast<std::int64_t>(values_.size()))]; }
  const Dims& shape(ValueId id) { return graph.value(id).shape; }
  std::int64_t rank(ValueId id) { return static_cast<std::int64_t>(shape(id).size()); }

  // Mostly quantized, of few different parameters.
  ValueId rounded(ValueId x) {
    if (!quantized_ || pick(8) == 0) return x;
    const float scale = pick(2) ? 0.05F : 0.031F;
    if (graph.nodes.size() % 2) return qdq<std::int8_t>(x, scale, pick(2) ? -7 : 3);
    return qdq(x, scale, pick(2) ? 121 : 131);
  }

  Perm random_perm(std::int64_t n) {
    Perm perm(n);
    std::iota(perm.begin(), perm.end(), 0);
    std::shuffle(perm.begin(), perm.end(), random_);
    return perm;
  }

  // Numbers that broadcast to `like`.
  ValueId operand(ValueId like) {
    Dims dims = shape(like);
    for (std::int64_t& d : dims) d = pick(2) ? d : 1;
    dims.erase(dims.begin(), dims.begin() + pick(rank(like)));
    std::vector<float> items(count(dims));
    for (float& item : items) item = static_cast<float>(pick(9) - 4) / 4;
    const ValueId out = constant<float>("c", dims, items);
    if (!quantized_ || pick(2)) return out;
    std::vector<std::int8_t> bytes(items.begin(), items.end());
    return dequantize(constant<std::int8_t>("c8", dims, bytes), 0.25F, 1);
  }

  ValueId other_of_same_shape(ValueId x) {
    std::vector<ValueId> same;
    std::copy_if(values_.begin(), values_.end(), std::back_inserter(same),
                 [&](ValueId v) { return shape(v) == shape(x); });
    return same[pick(static_cast<std::int64_t>(same.size()))];
  }

  Attrs axis_attr(ValueId x) { return attr("axis", pick(2 * rank(x)) - rank(x)); }

  void grow() {
    const ValueId x = any();
    if (rank(x) < 2 || count(shape(x)) > 2000) return;
    switch (pick(13)) {
      case 0:
      case 1:
      case 2: return add(transpose(x, random_perm(rank(x))));
      case 3: return add(rounded(node(Op::Abs, {x})));
      case 4: return add(rounded(relu(x)));
      case 5: return add(rounded(node(pick(2) ? Op::Add : Op::Mul, {x, operand(x)})));
      case 6: return add(rounded(node(pick(2) ? Op::Sub : Op::Mul, {x, other_of_same_shape(x)})));
      case 7: return add(rounded(node(Op::Concat, {x, other_of_same_shape(x)}, axis_attr(x))));
      case 8: return split(x);
      case 9: return slice(x);
      case 10: return pad(x);
      case 11: return reduce(x);
      default: return add(rounded(node(Op::Sigmoid, {x})));
    }
  }

  void add(ValueId id) { values_.push_back(id); }

  void split(ValueId x) {
    const std::int64_t axis = pick(rank(x));
    if (shape(x)[axis] < 2) return;
    for (const ValueId part : nodes(Op::Split, {x}, 2, attr("axis", axis))) add(rounded(part));
  }

  void slice(ValueId x) {
    const std::int64_t axis = pick(rank(x)), size = shape(x)[axis];
    if (size < 2) return;
    add(rounded(node(Op::Slice, {x, ints({1}), ints({size}), ints({axis})})));
  }

  void pad(ValueId x) {
    std::vector<std::int64_t> pads(2 * rank(x));
    for (std::int64_t& p : pads) p = pick(2);
    add(rounded(node(Op::Pad, {x, ints(pads), scalar(0.25F)})));
  }

  void reduce(ValueId x) {
    if (pick(3) == 0) return add(rounded(node(Op::Softmax, {x}, axis_attr(x))));
    if (pick(2)) return add(rounded(node(Op::Gather, {x, constant<std::int64_t>("i", {}, {0})}, axis_attr(x))));
    Attrs attrs = attr("axes", std::vector<std::int64_t>{pick(rank(x))});
    attrs.set("keepdims", pick(2));
    add(rounded(node(Op::ReduceSum, {x}, attrs)));
  }

  std::mt19937 random_;
  bool quantized_;
  std::vector<ValueId> values_;
};

// Sums may be taken in another order, and constants are stored as float.
bool close(const Interpreter::Reals& a, const Interpreter::Reals& b) {
  return a.size() == b.size() && std::equal(a.begin(), a.end(), b.begin(), [](double x, double y) {
           return std::abs(x - y) <= 1e-7 * std::max(1.0, std::abs(x));
         });
}

using PassFn = bool (*)(Graph&, const Evaluator&);

void check_preserved(bool quantized, const std::vector<PassFn>& passes) {
  for (unsigned seed = 0; seed < 1500; ++seed) {
    RandomGraph b(seed, quantized);
    const auto inputs = b.inputs();
    const auto before = Interpreter(b.graph).run(inputs);
    const std::string source = dump(b.graph);
    for (const PassFn pass : passes) apply(b.graph, pass);
    const auto after = Interpreter(b.graph).run(inputs);
    bool same = before.size() == after.size();
    for (std::size_t i = 0; same && i < before.size(); ++i) same = close(before[i], after[i]);
    if (same) continue;
    check::failed(__FILE__, __LINE__, text("seed ", seed, ":\n", source, "became\n", dump(b.graph)));
    return;
  }
}

}  // namespace

TEST(random_graphs_survive_canonicalize) { check_preserved(false, {canonicalize, remove_dead}); }

TEST(random_graphs_survive_push_transposes) { check_preserved(false, {push_transposes, remove_dead}); }

TEST(random_quantized_graphs_survive_push_transposes) {
  check_preserved(true, {push_transposes, fold_constants_keep_quantized, remove_dead});
}

TEST(random_quantized_graphs_survive_lowering) { check_preserved(true, {lower_qdq, remove_dead}); }

TEST(random_quantized_graphs_survive_unsigned_activations) {
  check_preserved(true, {lower_qdq, normalize_s8, remove_dead});
}

TEST(random_quantized_graphs_survive_tables) {
  check_preserved(true, {lower_qdq, normalize_s8, fuse_tables, fuse_activation, canonicalize, remove_dead});
}
