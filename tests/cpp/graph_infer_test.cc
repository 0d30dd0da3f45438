// Shapes and dtypes of single nodes: static, dynamic ("?" = -1) and unranked inputs, and what is refused.
#include "check.h"
#include "graph_builder.h"

using namespace quaver;
using namespace quaver::testing;

namespace {

// The inferred shape of the output of op(inputs), all of them f32 inputs of the graph.
Dims shape(Op op, const std::vector<Dims>& inputs, const AttrList& list = {}) {
  Graph g;
  std::vector<ValueId> ids;
  for (const Dims& dims : inputs) ids.push_back(input(g, dims));
  const ValueId y = node(g, op, ids, list);
  verify(g);
  infer_shapes(g);
  CHECK(g.value(y).ranked);
  return g.value(y).shape;
}

// The same for x followed by constant vectors of integers; an empty optional leaves the input out.
Dims shape_with(Op op, const Dims& x, const std::vector<std::optional<Ints>>& rest, const AttrList& list = {}) {
  Graph g;
  std::vector<ValueId> ids{input(g, x)};
  for (const auto& items : rest) ids.push_back(items ? ints(g, *items) : kNone);
  const ValueId y = node(g, op, ids, list);
  verify(g);
  infer_shapes(g);
  return g.value(y).ranked ? g.value(y).shape : Dims{-99};
}

const AttrList kStride2{{"strides", Ints{2, 2}}, {"pads", Ints{1, 1, 1, 1}}};

}  // namespace

TEST(graph_infer_conv) {
  CHECK_EQ(shape(Op::Conv, {{1, 224, 224, 3}, {64, 7, 7, 3}}, {{"strides", Ints{2, 2}}, {"pads", Ints{3, 3, 3, 3}}}),
           (Dims{1, 112, 112, 64}));
  CHECK_EQ(shape(Op::Conv, {{-1, 8, 9, 6}, {12, 3, 3, 2}, {12}}, {{"group", 3}}), (Dims{-1, 6, 7, 12}));
  CHECK_EQ(shape(Op::Conv, {{1, -1, 9, 4}, {8, 3, 3, 4}}, kStride2), (Dims{1, -1, 5, 8}));
  CHECK_EQ(shape(Op::Conv, {{1, 7, 7, 4}, {8, 3, 3, 4}}, {{"auto_pad", "SAME_UPPER"}, {"strides", Ints{2, 2}}}),
           (Dims{1, 4, 4, 8}));
  CHECK_THROWS(shape(Op::Conv, {{1, 8, 8, 4}, {8, 3, 3, 3}}), Error,
               "Conv 'n': x has 4 channels, the weights take 3 in each of 1 groups");
  CHECK_THROWS(shape(Op::Conv, {{1, 8, 8}, {8, 3, 3, 4}}), Error, "expected rank 4");
  CHECK_THROWS(shape(Op::Conv, {{1, 8, 8, 4}, {8, 3, 3, 4}, {7}}), Error, "a bias of shape [7] for 8 output channels");
  CHECK_THROWS(shape(Op::Conv, {{1, 8, 8, 4}, {8, 3, 3, 2}}, {{"group", 3}}), Error, "8 output channels in 3 groups");
  CHECK_THROWS(shape(Op::Conv, {{1, 8, 8, 4}, {8, 3, 3, 4}}, {{"group", 0}}), Error, "group is 0");
}

TEST(graph_infer_conv_transpose) {
  const std::vector<Dims> xw{{1, 5, 6, 4}, {8, 3, 3, 4}};
  const auto wide = std::pair<const char*, AttrValue>{"strides", Ints{2, 2}};
  CHECK_EQ(shape(Op::ConvTranspose, xw, {wide}), (Dims{1, 11, 13, 8}));
  CHECK_EQ(shape(Op::ConvTranspose, xw, {wide, {"pads", Ints{1, 1, 1, 1}}, {"output_padding", Ints{1, 0}}}),
           (Dims{1, 10, 11, 8}));
  CHECK_EQ(shape(Op::ConvTranspose, xw, {wide, {"output_shape", Ints{10, 12}}}), (Dims{1, 10, 12, 8}));
  CHECK_EQ(shape(Op::ConvTranspose, xw, {wide, {"auto_pad", "SAME_LOWER"}}), (Dims{1, 10, 12, 8}));
  CHECK_EQ(shape(Op::ConvTranspose, {{-1, -1, 6, 4}, {8, 3, 3, 2}}, {{"group", 2}}), (Dims{-1, -1, 8, 8}));
  CHECK_THROWS(shape(Op::ConvTranspose, xw, {{"pads", Ints{9, 0, 9, 0}}}), Error, "the pads leave nothing");
}

TEST(graph_infer_pool) {
  CHECK_EQ(shape(Op::MaxPool, {{1, 112, 112, 8}}, {{"kernel_shape", Ints{3, 3}}, kStride2[0], kStride2[1]}),
           (Dims{1, 56, 56, 8}));
  CHECK_EQ(shape(Op::AveragePool, {{1, 6, -1, 8}}, {{"kernel_shape", Ints{3, 3}}, kStride2[0], {"ceil_mode", 1}}),
           (Dims{1, 3, -1, 8}));
  CHECK_EQ(shape(Op::MaxPoolIndices, {{2, 9, -1, 8}}, {{"kernel_shape", Ints{3, 2}}}), (Dims{2, 7, -1, 8}));
  CHECK_THROWS(shape(Op::MaxPool, {{1, 9, 9, 8}}, {{"kernel_shape", Ints{3}}}), Error, "kernel_shape has 1 values");
  CHECK_THROWS(shape(Op::MaxPool, {{1, 9, 9}}, {{"kernel_shape", Ints{3, 3}}}), Error, "expected rank 4");
}

TEST(graph_infer_pairs_of_classes) {
  CHECK_EQ(shape(Op::PairwiseCoupling, {{7, 1}}), (Dims{7, 2}));
  CHECK_EQ(shape(Op::PairwiseCoupling, {{-1, 10}}), (Dims{-1, 5}));
  CHECK_EQ(shape(Op::PairwiseCoupling, {{7, -1}}), (Dims{7, -1}));
  CHECK_THROWS(shape(Op::PairwiseCoupling, {{7, 4}}), Error, "4 are not the pairs of some classes");
}

TEST(graph_infer_matmul) {
  CHECK_EQ(shape(Op::MatMul, {{5, 2, 3}, {3, 4}}), (Dims{5, 2, 4}));
  CHECK_EQ(shape(Op::MatMul, {{5, 1, 2, 3}, {7, 3, 4}}), (Dims{5, 7, 2, 4}));
  CHECK_EQ(shape(Op::MatMul, {{3}, {3, 4}}), (Dims{4}));
  CHECK_EQ(shape(Op::MatMul, {{2, 3}, {3}}), (Dims{2}));
  CHECK_EQ(shape(Op::MatMul, {{3}, {3}}), (Dims{}));
  CHECK_EQ(shape(Op::MatMul, {{-1, 3}, {3, 4}, {4}}), (Dims{-1, 4}));
  CHECK_THROWS(shape(Op::MatMul, {{2, 3}, {4, 5}}), Error, "MatMul 'n': the shapes [2, 3] and [4, 5] do not multiply");
  CHECK_THROWS(shape(Op::MatMul, {{2, 3}, {3, 5}, {4}}), Error, "a bias of shape [4] for 5 columns");
  CHECK_THROWS(shape(Op::MatMul, {{}, {4, 5}}), Error, "a scalar has no matrix product");
}

TEST(graph_infer_elementwise) {
  CHECK_EQ(shape(Op::Add, {{4, 1, 3}, {5, 1}}), (Dims{4, 5, 3}));
  CHECK_EQ(shape(Op::Mul, {{-1, 3}, {3}}, {{"lo", 0.0}}), (Dims{-1, 3}));
  CHECK_THROWS(shape(Op::Sub, {{2, 3}, {4}}), Error, "Sub 'n': the shapes [2, 3] and [4] do not broadcast");
  CHECK_EQ(shape(Op::PRelu, {{1, 3, 4, 4}, {3, 1, 1}}), (Dims{1, 3, 4, 4}));
  CHECK_EQ(shape(Op::Softmax, {{2, -1}}, {{"axis", -2}}), (Dims{2, -1}));
  CHECK_THROWS(shape(Op::Softmax, {{2, 3}}, {{"axis", 2}}), Error, "axis 2 is outside a tensor of rank 2");
  CHECK_EQ(shape(Op::BatchNormalization, {{1, 2, 2, 3}, {3}, {3}, {3}, {3}}), (Dims{1, 2, 2, 3}));
  CHECK_THROWS(shape(Op::BatchNormalization, {{1, 2, 2, 3}, {3}, {3}, {2}, {3}}), Error, "2 elements for 3 channels");
}

TEST(graph_infer_reduce) {
  const Dims x{2, 3, 4};
  CHECK_EQ(shape(Op::ReduceMean, {x}, {{"axes", Ints{-1, 0}}}), (Dims{1, 3, 1}));
  CHECK_EQ(shape(Op::ReduceMax, {x}, {{"axes", Ints{1}}, {"keepdims", 0}}), (Dims{2, 4}));
  CHECK_EQ(shape(Op::ReduceSum, {x}, {{"keepdims", 0}}), (Dims{}));
  CHECK_EQ(shape(Op::ReduceSum, {x}, {{"noop_with_empty_axes", 1}}), x);
  CHECK_THROWS(shape(Op::ReduceSum, {x}, {{"axes", Ints{0, -3}}}), Error, "axis -3 is given twice");
}

TEST(graph_infer_concat_and_split) {
  CHECK_EQ(shape(Op::Concat, {{2, -1}, {2, 3}, {-1, 3}}, {{"axis", 0}}), (Dims{-1, 3}));
  CHECK_EQ(shape(Op::Concat, {{2, 3}, {2, 4}}, {{"axis", -1}}), (Dims{2, 7}));
  CHECK_EQ(shape(Op::Concat, {{-1, 3}, {2, -1}}, {{"axis", 1}}), (Dims{2, -1}));
  CHECK_THROWS(shape(Op::Concat, {{2, 3}, {3, 3}}, {{"axis", 1}}), Error, "do not join along axis 1");
  Graph g;
  const ValueId first = node(g, Op::Split, {input(g, {7, 2})}, {{"axis", 0}, {"num_outputs", 3}}, 3);
  infer_shapes(g);
  CHECK_EQ(g.value(first + 1).shape, (Dims{3, 2}));
  CHECK_EQ(g.value(first + 2).shape, (Dims{1, 2}));
  Graph h;
  const ValueId x = input(h, {7, 2});
  const ValueId parts = node(h, Op::Split, {x, ints(h, {6, 1})}, {}, 2);
  infer_shapes(h);
  CHECK_EQ(h.value(parts).shape, (Dims{6, 2}));
  CHECK_EQ(h.value(parts + 1).shape, (Dims{1, 2}));
  Graph bad;
  const ValueId y = input(bad, {7, 2});
  node(bad, Op::Split, {y, ints(bad, {6, 2})}, {}, 2);
  CHECK_THROWS(infer_shapes(bad), Error, "sizes [6, 2] of a dimension of [7]");
}

TEST(graph_infer_slice) {
  const Ints far{INT64_MAX}, near{INT64_MIN};
  CHECK_EQ(shape_with(Op::Slice, {10, 5}, {Ints{1}, Ints{-1}}), (Dims{8, 5}));
  CHECK_EQ(shape_with(Op::Slice, {10, 5}, {Ints{2}, far, Ints{-2}, Ints{3}}), (Dims{3, 5}));
  CHECK_EQ(shape_with(Op::Slice, {10}, {Ints{-1}, near, Ints{0}, Ints{-1}}), (Dims{10}));
  CHECK_EQ(shape_with(Op::Slice, {10}, {Ints{8}, Ints{1}, Ints{0}, Ints{-3}}), (Dims{3}));
  CHECK_EQ(shape_with(Op::Slice, {10}, {Ints{9}, near, Ints{0}, near}), (Dims{1}));
  CHECK_EQ(shape_with(Op::Slice, {10}, {Ints{7}, Ints{3}}), (Dims{0}));
  CHECK_EQ(shape_with(Op::Slice, {0}, {Ints{0}, far, Ints{0}, Ints{-1}}), (Dims{0}));
  CHECK_EQ(shape_with(Op::Slice, {-1, 5}, {Ints{0, 1}, Ints{2, 3}}), (Dims{-1, 2}));
  CHECK_THROWS(shape_with(Op::Slice, {10}, {Ints{0}, Ints{1}, Ints{0}, Ints{0}}), Error, "a step is 0");
  CHECK_THROWS(shape_with(Op::Slice, {10}, {Ints{0}, Ints{1, 2}}), Error, "1 starts, 2 ends");
}

TEST(graph_infer_reshape) {
  CHECK_EQ(shape_with(Op::Reshape, {2, 3, 4}, {Ints{0, -1}}), (Dims{2, 12}));
  CHECK_EQ(shape_with(Op::Reshape, {-1, 3, 4}, {Ints{0, -1}}), (Dims{-1, 12}));  // the batch cancels
  CHECK_EQ(shape_with(Op::Reshape, {-1, 3, 4}, {Ints{-1, 12}}), (Dims{-1, 12}));
  CHECK_EQ(shape_with(Op::Reshape, {1, 1}, {Ints{}}), (Dims{}));
  CHECK_THROWS(shape_with(Op::Reshape, {2, 3}, {Ints{4, -1}}), Error, "the shape [2, 3] cannot become [4, ?]");
  CHECK_THROWS(shape_with(Op::Reshape, {2, 3}, {Ints{5}}), Error, "cannot become [5]");
  CHECK_THROWS(shape_with(Op::Reshape, {2, 3}, {Ints{-1, -1}}), Error, "-1 more than once");
  CHECK_THROWS(shape_with(Op::Reshape, {2, 3}, {Ints{2, 3, 0}}), Error, "copies dimension 2");
  CHECK_EQ(shape_with(Op::Reshape, {0, 3}, {Ints{3, 0}}, {{"allowzero", 1}}), (Dims{3, 0}));
}

TEST(graph_infer_aliases) {
  CHECK_EQ(shape_with(Op::Squeeze, {1, 3, 1}, {Ints{-1}}), (Dims{1, 3}));
  CHECK_EQ(shape_with(Op::Squeeze, {1, 3, 1}, {}), (Dims{3}));
  CHECK_THROWS(shape_with(Op::Squeeze, {1, 3}, {Ints{1}}), Error, "axis 1 of [1, 3] is not 1");
  CHECK_EQ(shape_with(Op::Unsqueeze, {3, 4}, {Ints{0, -1}}), (Dims{1, 3, 4, 1}));
  CHECK_EQ(shape(Op::Flatten, {{2, 3, 4}}), (Dims{2, 12}));
  CHECK_EQ(shape(Op::Flatten, {{-1, 3, 4}}, {{"axis", 3}}), (Dims{-1, 1}));
  CHECK_EQ(shape(Op::Transpose, {{2, 3, 4}}), (Dims{4, 3, 2}));
  CHECK_EQ(shape(Op::Transpose, {{2, -1, 4}}, {{"perm", Ints{2, 0, 1}}}), (Dims{4, 2, -1}));
  CHECK_THROWS(shape(Op::Transpose, {{2, 3}}, {{"perm", Ints{0, 0}}}), Error, "axis 0 is given twice");
}

TEST(graph_infer_pad_gather_shape_resize) {
  CHECK_EQ(shape_with(Op::Pad, {2, 3}, {Ints{0, 1, 0, 2}}), (Dims{2, 6}));
  CHECK_EQ(shape_with(Op::Pad, {2, -1, 4}, {Ints{1, -1}, std::nullopt, Ints{2}}), (Dims{2, -1, 4}));
  CHECK_THROWS(shape_with(Op::Pad, {2, 3}, {Ints{0, -2, 0, -2}}), Error, "cut more than there is");
  CHECK_EQ(shape_with(Op::Gather, {5, 6}, {Ints{1, 2, 3}}, {{"axis", 1}}), (Dims{5, 3}));
  CHECK_EQ(shape_with(Op::Resize, {1, 4, 5, 2}, {std::nullopt, std::nullopt, Ints{1, 8, 10, 2}}), (Dims{1, 8, 10, 2}));
  CHECK_EQ(shape(Op::Shape, {{5, -1, 7}}), (Dims{3}));
  CHECK_EQ(shape(Op::Shape, {{5, 6, 7}}, {{"start", -2}, {"end", 9}}), (Dims{2}));
  CHECK_THROWS(shape_with(Op::Resize, {1, 4}, {}), Error, "exactly one of scales and sizes");
}

TEST(graph_infer_unranked_inputs_leave_the_output_open) {
  for (const Op op : {Op::Tanh, Op::Transpose, Op::ReduceMean, Op::Softmax, Op::Identity}) {
    Graph g;
    const ValueId x = g.add_value("x", DType::f32);
    g.inputs = {x};
    const ValueId y = node(g, op, {x});
    infer_shapes(g);
    CHECK(!g.value(y).ranked);
  }
}

TEST(graph_infer_meets_declared_shapes) {
  Graph g;
  const ValueId y = node(g, Op::Tanh, {input(g, {kDynamic, 3})});
  g.value(y).ranked = true;
  g.value(y).shape = {5, kDynamic};
  infer_shapes(g);
  CHECK_EQ(g.value(y).shape, (Dims{5, 3}));
  g.value(y).shape = {5, 4};
  CHECK_THROWS(infer_shapes(g), Error, "Tanh 'n': output 'y' has shape [5, 3], but [5, 4] is declared");
}

TEST(graph_infer_dtypes) {
  Graph g;
  const ValueId x = input(g, {4});
  const ValueId scale = constant<float>(g, {}, {0.5F});
  const ValueId zero = constant<std::int8_t>(g, {}, {3});
  const ValueId q = node(g, Op::QuantizeLinear, {x, scale, zero});
  const ValueId u = node(g, Op::QuantizeLinear, {x, scale});
  const ValueId d = node(g, Op::DequantizeLinear, {q, scale, zero});
  const ValueId f = node(g, Op::FlipSign, {q});
  const ValueId c = node(g, Op::Cast, {x}, {{"to", static_cast<std::int64_t>(DType::i64)}});
  const ValueId dynamic = node(g, Op::DynamicQuantizeLinear, {x}, {}, 3);
  infer_shapes(g);
  CHECK(g.value(q).dtype == DType::s8 && g.value(u).dtype == DType::u8 && g.value(d).dtype == DType::f32);
  CHECK(g.value(f).dtype == DType::u8 && g.value(c).dtype == DType::i64);
  CHECK(g.value(dynamic).dtype == DType::u8 && g.value(dynamic + 1).dtype == DType::f32);
  CHECK_EQ(g.value(dynamic + 2).shape, Dims{});
}

TEST(graph_infer_takes_one_scale_as_a_scalar_or_a_list) {
  Graph g;
  const ValueId scale = constant<float>(g, {1}, {0.5F}), zero = constant<std::int8_t>(g, {}, {3});
  node(g, Op::QuantizeLinear, {input(g, {4}), scale, zero});
  infer_shapes(g);
  node(g, Op::QuantizeLinear, {input(g, {4}), constant<float>(g, {2}, {1, 1}), zero});
  CHECK_THROWS(infer_shapes(g), Error, "the scale has shape [2], the zero point []");
}

TEST(graph_infer_keeps_declared_quantized_dtypes) {
  Graph g;
  const ValueId a = input(g, {4}, DType::u8), b = input(g, {4}, DType::u8);
  g.value(a).quant = g.value(b).quant = Quant{{0.5F}, {3}, -1};
  const ValueId same = node(g, Op::Add, {a, b});
  g.value(same).dtype = DType::s8;
  g.value(same).quant = Quant{{0.25F}, {0}, -1};
  const ValueId real = node(g, Op::Add, {a, b});
  const ValueId moved = node(g, Op::Flatten, {a}, {{"axis", 0}});
  infer_shapes(g);
  CHECK(g.value(same).dtype == DType::s8);
  CHECK(g.value(real).dtype == DType::f32);
  CHECK(g.value(moved).dtype == DType::u8);
}

TEST(graph_infer_refuses_quantization_parameters_that_do_not_fit) {
  Graph g;
  const ValueId x = input(g, {2, 4});
  const ValueId scale = constant<float>(g, {3}, {1, 1, 1});
  node(g, Op::QuantizeLinear, {x, scale});
  CHECK_THROWS(infer_shapes(g), Error, "QuantizeLinear 'n': 3 scales along axis 1 of shape [2, 4]");
}
