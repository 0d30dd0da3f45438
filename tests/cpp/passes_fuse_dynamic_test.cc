#include "cpp/check.h"
#include "cpp/passes_build.h"

using namespace quaver;
using namespace quaver::testing;

namespace {

constexpr std::int64_t kRows = 3, kDepth = 4, kColumns = 5;

Attrs to_float() { return Build::attr("to", static_cast<std::int64_t>(DType::f32)); }

// DynamicQuantizeLinear, MatMulInteger, Cast, Mul and Add, as dynamic quantization leaves them.
struct Dynamic : Build {
  ValueId x, scale, zero, weight, sums, real, scaled;

  explicit Dynamic(Dims row_scale = {kColumns}, bool scales_first = false) {
    const std::vector<ValueId> parts =
        nodes(Op::DynamicQuantizeLinear, {input("x", DType::f32, {1, kRows, kDepth})}, 3);
    x = parts[0], scale = parts[1], zero = parts[2];
    weight = counting<std::int8_t>("w", {kDepth, kColumns});
    sums = node(Op::MatMulInteger, {x, weight, zero, zero_point<std::int8_t>(0)});
    real = node(Op::Cast, {sums}, to_float());
    const ValueId row = counting<float>("w_scale", std::move(row_scale));
    const ValueId both = scales_first ? node(Op::Mul, {row, scale}) : node(Op::Mul, {scale, row});
    scaled = scales_first ? node(Op::Mul, {both, real}) : node(Op::Mul, {real, both});
  }
  ValueId with_bias(bool first) {
    const ValueId bias = counting<float>("bias", {kColumns});
    return first ? node(Op::Add, {bias, scaled}) : node(Op::Add, {scaled, bias});
  }
  std::string fused() {
    apply(graph, fuse_dynamic);
    apply(graph, remove_dead);
    return ops(graph);
  }
};

}  // namespace

TEST(fuse_dynamic_takes_scales_and_bias_in_any_order) {
  for (const bool first : {false, true}) {
    Dynamic b({kColumns}, first);
    b.output(b.with_bias(first));
    CHECK_EQ(b.fused(), "DynamicQuantizeLinear MatMulIntegerToFloat");
    const Node& node = only(b.graph, Op::MatMulIntegerToFloat);
    const auto name = [&](std::size_t i) { return b.graph.value(node.inputs[i]).name; };
    CHECK_EQ(node.inputs.size(), 7U);
    CHECK_EQ(name(1), "w");
    CHECK_EQ(name(3), "w_scale");
    CHECK_EQ(name(6), "bias");
    const Node& quantize = only(b.graph, Op::DynamicQuantizeLinear);
    CHECK_EQ(node.inputs[0], quantize.outputs[0]);
    CHECK_EQ(node.inputs[2], quantize.outputs[1]);
    CHECK_EQ(node.inputs[4], quantize.outputs[2]);
    CHECK_EQ(b.graph.value(node.outputs[0]).shape, (Dims{1, kRows, kColumns}));
  }
}

TEST(fuse_dynamic_does_without_a_bias) {
  Dynamic b(Dims{});  // one scale for all weights
  b.output(b.scaled);
  CHECK_EQ(b.fused(), "DynamicQuantizeLinear MatMulIntegerToFloat");
  const Node& node = only(b.graph, Op::MatMulIntegerToFloat);
  CHECK(!has_input(node, 6));
}

TEST(fuse_dynamic_leaves_a_sum_of_another_shape) {
  Dynamic b;
  b.output(b.node(Op::Add, {b.scaled, b.counting<float>("matrix", {kRows, kColumns})}));
  CHECK_EQ(b.fused(), "DynamicQuantizeLinear MatMulIntegerToFloat Add");
}

TEST(fuse_dynamic_must_not_fire) {
  const std::string whole = "DynamicQuantizeLinear MatMulInteger Cast Mul Mul";
  {
    Dynamic b;  // the integer sums are an output too
    b.output(b.scaled);
    b.output(b.sums);
    CHECK_EQ(b.fused(), whole);
  }
  {
    Dynamic b;  // their reals are used twice
    b.output(b.scaled);
    b.output(b.node(Op::Sqrt, {b.real}));
    CHECK_EQ(b.fused(), "DynamicQuantizeLinear MatMulInteger Cast Mul Mul Sqrt");
  }
  {
    Dynamic b({kRows, 1});  // a scale for each row, not for each column
    b.output(b.scaled);
    CHECK_EQ(b.fused(), whole);
  }
  {
    Build b;  // a weight that is computed
    const ValueId x = b.input("x", DType::u8, {kRows, kDepth}), w = b.input("w", DType::s8, {kDepth, kColumns});
    const ValueId real = b.node(Op::Cast, {b.node(Op::MatMulInteger, {x, w})}, to_float());
    const ValueId scale = b.input("scale", DType::f32, {});
    b.output(b.node(Op::Mul, {real, b.node(Op::Mul, {scale, b.counting<float>("w_scale", {kColumns})})}));
    apply(b.graph, fuse_dynamic);
    CHECK_EQ(ops(b.graph), "MatMulInteger Cast Mul Mul");
  }
}
