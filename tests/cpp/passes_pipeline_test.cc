#include "cpp/check.h"
#include "cpp/passes_build.h"

using namespace quaver;
using namespace quaver::testing;

TEST(pipeline_of_a_residual_int8_net) {
  Build b;
  const auto weight = [&](std::int64_t out, std::int64_t in) {
    const ValueId scales = b.constant<float>("scales", {out}, std::vector<float>(out, 0.25F));
    return b.node(Op::DequantizeLinear, {b.counting<std::int8_t>("w", {out, in, 1, 1}), scales},
                  Build::attr("axis", std::int64_t{0}));
  };
  ValueId x = b.qdq<std::int8_t>(b.input("x", DType::f32, {kDynamic, 3, 8, 8}), 0.5F, 0);
  x = b.qdq<std::int8_t>(b.relu(b.conv(x, weight(8, 3))), 0.25F, -128);
  ValueId y = b.qdq<std::int8_t>(b.relu(b.conv(x, weight(8, 8))), 0.25F, -128);
  y = b.qdq<std::int8_t>(b.conv(y, weight(8, 8)), 0.25F, 0);
  y = b.qdq<std::int8_t>(b.relu(b.node(Op::Add, {y, x})), 0.25F, -128);
  y = b.qdq<std::int8_t>(b.node(Op::ReduceMean, {y}, Build::attr("axes", std::vector<std::int64_t>{2, 3})), 0.2F, -128);
  y = b.qdq<std::int8_t>(b.node(Op::Flatten, {y}, Build::attr("axis", std::int64_t{1})), 0.2F, -128);
  const ValueId fc = b.dequantize(b.counting<std::int8_t>("fc", {8, 8}), 0.1F, 0);
  b.output(b.qdq<std::int8_t>(b.node(Op::MatMul, {y, fc}), 1, 0));
  run_pipeline(b.graph, evaluate);
  CHECK_EQ(ops(b.graph), "QuantizeLinear Transpose Conv Conv Conv ReduceMean Reshape MatMul DequantizeLinear");
  for (const Node& node : b.graph.nodes) CHECK(node.note.find("input") == std::string::npos);
  Graph batch = b.graph;
  specialize(batch, {{4, 3, 8, 8}}, evaluate);
  verify(batch);
  for (const Value& value : batch.values) CHECK(value.static_shape());
  CHECK_EQ(batch.value(batch.outputs[0]).shape, (Dims{4, 8}));
}

TEST(pipeline_of_a_float_net) {
  Build b;
  const ValueId x = b.input("x", DType::f32, {kDynamic, 3, kDynamic, kDynamic});
  ValueId y = b.conv(x, b.counting<float>("w", {4, 3, 3, 3}));
  const auto of = [&] { return b.counting<float>("p", {4}); };
  y = b.to_nchw(b.node(Op::BatchNormalization, {b.to_nhwc(y), of(), of(), of(), of()}));
  y = b.relu(y);
  y = b.relu(b.node(Op::Add, {b.conv(y, b.counting<float>("v", {4, 4, 1, 1})), y}));
  y = b.node(Op::ReduceMean, {y}, Build::attr("axes", std::vector<std::int64_t>{2, 3}));
  b.output(b.node(Op::Flatten, {y}, Build::attr("axis", std::int64_t{1})));
  run_pipeline(b.graph, evaluate);
  CHECK_EQ(ops(b.graph), "Transpose Conv Conv ReduceMean Reshape");
}

TEST(specialize_folds_what_the_batch_decides) {
  Build b;
  const ValueId x = b.input("x", DType::f32, {kDynamic, 2, 3});
  b.output(b.node(Op::Reshape, {x, b.node(Op::Shape, {b.node(Op::Flatten, {x})})}));
  run_pipeline(b.graph, evaluate);
  specialize(b.graph, {{5, 2, 3}}, evaluate);
  CHECK_EQ(ops(b.graph), "Reshape");
  CHECK_EQ(b.graph.value(b.graph.outputs[0]).shape, (Dims{5, 6}));
  CHECK_THROWS(specialize(b.graph, {}, evaluate), Error, "0 shapes for 1 inputs");
}

TEST(pipeline_names_the_pass_that_fails) {
  Build b;
  b.output(b.node(Op::Abs, {b.node(Op::Exp, {b.counting<float>("c", {2})})}));
  const Evaluator broken = [](const Graph&, const Node&) -> std::vector<Blob> {
    throw Error(Status::internal, "out of order");
  };
  CHECK_THROWS(run_pipeline(b.graph, broken), Error, "out of order (in the pass 'fold_constants");
}
