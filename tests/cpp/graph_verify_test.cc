#include <cmath>
#include <limits>

#include "check.h"
#include "graph_builder.h"

using namespace quaver;
using namespace quaver::testing;

namespace {

// x → Neg → output, sound as it is.
Graph sound() {
  Graph g;
  g.outputs = {node(g, Op::Neg, {input(g, {2, 3})})};
  infer_shapes(g);
  verify(g);
  return g;
}

}  // namespace

TEST(graph_verify_rejects_ids_out_of_range) {
  Graph g = sound();
  g.nodes[0].inputs[0] = 99;
  CHECK_THROWS(verify(g), Error, "Neg 'n': tensor 99 of 2");
  g = sound();
  g.outputs[0] = kNone;
  CHECK_THROWS(verify(g), Error, "graph outputs: tensor");
  g = sound();
  g.nodes[0].outputs[0] = 7;
  CHECK_THROWS(verify(g), Error, "Neg 'n': tensor 7 of 2");
}

TEST(graph_verify_rejects_two_producers) {
  Graph g = sound();
  g.add_node(Op::Abs, "again", g.inputs, {g.outputs[0]});
  CHECK_THROWS(verify(g), Error, "Abs 'again': tensor 'y' has been made before");
  g = sound();
  g.inputs.push_back(g.inputs[0]);
  CHECK_THROWS(verify(g), Error, "has been made before");
}

TEST(graph_verify_rejects_wrong_arity_and_missing_inputs) {
  Graph g = sound();
  g.nodes[0].inputs.push_back(g.inputs[0]);
  CHECK_THROWS(verify(g), Error, "Neg 'n': 2 inputs, expected 1 to 1");
  g = sound();
  g.nodes[0].inputs[0] = kNone;
  CHECK_THROWS(verify(g), Error, "Neg 'n': input 0 is missing");
  g = sound();
  g.nodes[0].op = static_cast<Op>(kOpCount);
  CHECK_THROWS(verify(g), Error, "unknown operator");
}

TEST(graph_verify_rejects_bad_attributes) {
  Graph g = sound();
  g.nodes[0].attrs.set("alpha", 1.0);
  CHECK_THROWS(verify(g), Error, "Neg 'n': unknown attribute 'alpha'");
  g = sound();
  g.nodes[0].op = Op::Softmax;
  g.nodes[0].attrs.set("axis", std::string("last"));
  CHECK_THROWS(verify(g), Error, "attribute 'axis' = 'last' is of the wrong kind");
  g = sound();
  g.nodes[0].op = Op::Clip;
  g.nodes[0].attrs.set("lo", std::int64_t{0});  // taken as a float
  verify(g);
  g.nodes[0].attrs.set("hi", std::nan(""));
  CHECK_THROWS(verify(g), Error, "attribute 'hi' is NaN");
}

TEST(graph_verify_rejects_constants_of_another_size) {
  Graph g = sound();
  const ValueId c = constant<float>(g, {2, 2}, {1, 2, 3, 4});
  verify(g);
  g.value(c).shape = {2, 3};
  CHECK_THROWS(verify(g), Error, "tensor 'constant': 16 bytes for float32[2, 3]");
  g.value(c).shape = {std::int64_t{1} << 40, std::int64_t{1} << 40};
  CHECK_THROWS(verify(g), Error, "too large");
  g.value(c).shape = {std::int64_t{1} << 41};
  CHECK_THROWS(verify(g), Error, "a dimension is 2199023255552");
  g.value(c).shape = {2, -7};
  CHECK_THROWS(verify(g), Error, "a dimension is -7");
  g.value(c).shape = {kDynamic, 2};
  CHECK_THROWS(verify(g), Error, "a constant of unknown shape");
}

TEST(graph_verify_rejects_scales_that_are_no_scales) {
  const float inf = std::numeric_limits<float>::infinity();
  for (const float bad : {std::nanf(""), inf, -inf, 0.0F, -0.5F}) {
    Graph g;
    const ValueId x = input(g, {2, 4});
    const ValueId scale = constant<float>(g, {4}, {1, 1, 1, bad});
    const ValueId zero = constant<std::uint8_t>(g, {4}, {0, 0, 0, 0});
    g.outputs = {node(g, Op::QuantizeLinear, {x, scale, zero})};
    CHECK_THROWS(verify(g), Error, "QuantizeLinear 'n': scale[3] is ");
    CHECK_THROWS(verify(g), Error, "; scales must be finite and positive");
    if (std::isnan(bad)) CHECK_THROWS(verify(g), Error, "scale[3] is NaN");
    Graph h = sound();
    h.value(h.outputs[0]).dtype = DType::u8;
    h.value(h.outputs[0]).quant = Quant{{bad}, {0}, -1};
    CHECK_THROWS(verify(h), Error, "tensor 'y': scale[0] is ");
  }
}

TEST(graph_verify_checks_quantization_parameters) {
  Graph g = sound();
  Value& y = g.value(g.outputs[0]);
  y.quant = Quant{{0.5F}, {3}, -1};
  CHECK_THROWS(verify(g), Error, "a quantized tensor is uint8, int8 or int32, not float32");
  y.dtype = DType::u8;
  verify(g);
  y.quant->zero_point = {256};
  CHECK_THROWS(verify(g), Error, "zero point 256 is no uint8");
  y.dtype = DType::s8;
  y.quant->zero_point = {-129};
  CHECK_THROWS(verify(g), Error, "zero point -129 is no int8");
  y.quant = Quant{{1, 1}, {0}, 1};
  CHECK_THROWS(verify(g), Error, "2 scales and 1 zero points");
  y.quant = Quant{{1, 1}, {0, 0}, 1};
  CHECK_THROWS(verify(g), Error, "2 scales along axis 1 of shape [2, 3]");
  y.quant = Quant{{1, 1}, {0, 0}, -1};
  CHECK_THROWS(verify(g), Error, "2 scales along axis -1");
  y.quant = Quant{{1, 1}, {0, 0}, 0};
  verify(g);
  y.quant = Quant{};
  CHECK_THROWS(verify(g), Error, "0 scales");
}
