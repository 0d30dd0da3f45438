// Operators that move elements, against index arithmetic.
#include <numeric>

#include "cpp/graph_builder.h"
#include "cpp/one_node.h"

namespace {

using namespace one_node;
using quaver::testing::AttrList;
using quaver::testing::attrs;
using quaver::testing::Ints;

template <class T>
std::vector<T> counting(std::int64_t n) {
  std::vector<T> out(static_cast<std::size_t>(n));
  std::iota(out.begin(), out.end(), T{});
  return out;
}

// Calls visit(coordinates) for each element, in row-major order.
template <class Visit>
void each(const Dims& dims, Visit visit) {
  Dims at(dims.size(), 0);
  for (std::int64_t n = count(dims); n > 0; --n) {
    visit(at);
    for (std::size_t i = dims.size(); i-- > 0 && ++at[i] == dims[i];) at[i] = 0;
  }
}

std::size_t place(const Dims& dims, const Dims& at) {
  const Dims strides = strides_of(dims);
  return static_cast<std::size_t>(std::inner_product(at.begin(), at.end(), strides.begin(), std::int64_t{0}));
}

template <class T>
void check_transpose(const Dims& in, const Ints& perm) {
  Dims out;
  for (const std::int64_t axis : perm) out.push_back(in[static_cast<std::size_t>(axis)]);
  const auto x = counting<T>(count(in));
  std::vector<T> want;
  each(out, [&](const Dims& at) {
    Dims from(in.size());
    for (std::size_t i = 0; i < perm.size(); ++i) from[static_cast<std::size_t>(perm[i])] = at[i];
    want.push_back(x[place(in, from)]);
  });
  Bench bench;
  const ValueId a = bench.input(DTypeOf<T>::value, in, x), y = bench.output(DTypeOf<T>::value, out);
  CHECK_EQ(bench.run<T>(Op::Transpose, {a}, {y}, attrs({{"perm", perm}})), want);
}

TEST(ops_transpose) {
  const std::pair<Dims, Ints> cases[] = {
      {{2, 3, 37, 41}, {0, 2, 3, 1}},
      {{2, 37, 41, 3}, {0, 3, 1, 2}},
      {{1, 70, 19, 33}, {0, 2, 3, 1}},
      {{3, 5, 150}, {2, 1, 0}},
      {{3, 5, 150}, {1, 0, 2}},
      {{2, 3, 4, 5, 6}, {4, 2, 0, 3, 1}},
      {{300, 200}, {1, 0}},
      {{1, 5000, 4}, {2, 1, 0}},
      {{4, 1, 5000}, {2, 0, 1}},
      {{1, 1, 1}, {2, 0, 1}},
      {{}, {}},
      {{0, 3}, {1, 0}},
      {{7, 1, 9}, {0, 2, 1}},
      {{2, 64, 128}, {0, 2, 1}},
  };
  for (const auto& [in, perm] : cases) {
    check_transpose<std::uint8_t>(in, perm);
    check_transpose<float>(in, perm);
    check_transpose<std::int64_t>(in, perm);
  }
  Bench bench;
  const ValueId a = bench.input(DType::u16, {2, 3}, counting<std::uint16_t>(6)), y = bench.output(DType::u16, {3, 2});
  CHECK_EQ(bench.run<std::uint16_t>(Op::Transpose, {a}, {y}), (std::vector<std::uint16_t>{0, 3, 1, 4, 2, 5}));
}

TEST(ops_concat) {
  for (const std::int64_t axis : {0, 1, -1}) {
    Bench bench;
    const std::size_t at = axis < 0 ? 2 : static_cast<std::size_t>(axis);
    std::vector<ValueId> in;
    Dims out{3, 4, 5};
    out[at] = 0;
    std::vector<std::pair<Dims, std::vector<float>>> parts;
    for (const std::int64_t size : {3, 0, 40}) {
      Dims dims{3, 4, 5};
      dims[at] = size;
      parts.emplace_back(dims, counting<float>(count(dims)));
      in.push_back(bench.input(DType::f32, dims, parts.back().second));
      out[at] += size;
    }
    std::vector<float> want;
    each(out, [&](const Dims& to) {
      Dims from = to;
      std::size_t part = 0;
      while (from[at] >= parts[part].first[at]) from[at] -= parts[part++].first[at];
      want.push_back(parts[part].second[place(parts[part].first, from)]);
    });
    const ValueId y = bench.output(DType::f32, out);
    CHECK_EQ(bench.run<float>(Op::Concat, in, {y}, attrs({{"axis", axis}})), want);
  }
}

TEST(ops_concat_requantizes) {
  Bench bench;
  const auto x = counting<std::uint8_t>(256);
  const Quant to = quant(0.5F, 100);
  const ValueId same = bench.input(DType::u8, {2, 128}, x, to);
  const ValueId other = bench.input(DType::u8, {2, 128}, x, quant(0.2F, 3));
  const ValueId y = bench.output(DType::u8, {2, 256}, to);
  const auto got = bench.run<std::uint8_t>(Op::Concat, {same, other}, {y}, attrs({{"axis", std::int64_t{1}}}));
  for (std::size_t i = 0; i < 256; ++i) {
    const std::size_t at = i / 128 * 256 + i % 128;
    CHECK_EQ(int{got[at]}, int{x[i]});
    const double steps = std::nearbyint(static_cast<double>(static_cast<float>(int{x[i]} - 3) * 0.4F)) + 100;
    CHECK(double(got[at + 128]) == std::min(steps, 255.0));
  }
}

TEST(ops_concat_refuses_mixed_quantization) {
  Bench bench;
  const ValueId a = bench.input(DType::u8, {1}, counting<std::uint8_t>(1), quant(1, 0));
  const ValueId b = bench.input(DType::u8, {1}, counting<std::uint8_t>(1));
  const ValueId y = bench.output(DType::u8, {2}, quant(1, 0));
  CHECK_THROWS(bench.run<std::uint8_t>(Op::Concat, {a, b}, {y}, attrs({{"axis", std::int64_t{0}}})), Error,
               "only one of");
}

TEST(ops_split) {
  const Dims in{3, 20, 4};
  const auto x = counting<std::int32_t>(count(in));
  Bench bench;
  const ValueId a = bench.input(DType::i32, in, x);
  const std::int64_t sizes[] = {7, 1, 12};
  for (std::size_t which = 0; which < 3; ++which) {
    std::vector<ValueId> out;
    for (const std::int64_t size : sizes) out.push_back(bench.output(DType::i32, {3, size, 4}));
    std::vector<std::int32_t> want;
    std::int64_t before = 0;
    for (std::size_t i = 0; i < which; ++i) before += sizes[i];
    each({3, sizes[which], 4}, [&](const Dims& at) { want.push_back(x[place(in, {at[0], at[1] + before, at[2]})]); });
    bench.run<std::int32_t>(Op::Split, {a}, out, attrs({{"axis", std::int64_t{1}}}));
    CHECK_EQ(bench.all<std::int32_t>(out[which]), want);
  }
}

struct SliceCase {
  Ints starts, ends, axes, steps;
  Dims out;
};

TEST(ops_slice) {
  constexpr std::int64_t kMin = INT64_MIN, kMax = INT64_MAX;
  const Dims in{6, 7, 8};
  const SliceCase cases[] = {
      {{1, 2}, {5, 7}, {0, 2}, {1, 1}, {4, 7, 5}},
      {{-3}, {kMax}, {1}, {1}, {6, 3, 8}},
      {{-1}, {kMin}, {2}, {-1}, {6, 7, 8}},
      {{kMax}, {kMin}, {0}, {-2}, {3, 7, 8}},
      {{0, 1, 0}, {6, 7, 8}, {0, 1, 2}, {2, 3, 4}, {3, 2, 2}},
      {{2}, {2}, {1}, {1}, {6, 0, 8}},
      {{-100}, {100}, {-2}, {1}, {6, 7, 8}},
      {{5}, {0}, {1}, {-4}, {6, 2, 8}},
      {{3}, {kMax}, {2}, {kMax}, {6, 7, 1}},
      {{3}, {kMin}, {2}, {kMin + 1}, {6, 7, 1}},
  };
  const auto x = counting<float>(count(in));
  for (const SliceCase& c : cases) {
    std::vector<float> want;
    each(c.out, [&](const Dims& at) {
      Dims from = at;
      for (std::size_t i = 0; i < c.axes.size(); ++i) {
        const auto axis = static_cast<std::size_t>(c.axes[i] < 0 ? c.axes[i] + 3 : c.axes[i]);
        std::int64_t start = c.starts[i] < 0 ? std::max<std::int64_t>(c.starts[i], -in[axis]) + in[axis] : c.starts[i];
        if (start >= in[axis]) start = in[axis] - 1;
        from[axis] = start + (at[axis] ? at[axis] * c.steps[i] : 0);
      }
      want.push_back(x[place(in, from)]);
    });
    Bench bench;
    const auto n = static_cast<std::int64_t>(c.starts.size());
    const ValueId a = bench.input(DType::f32, in, x);
    const ValueId starts = bench.constant(DType::i64, {n}, c.starts), ends = bench.constant(DType::i64, {n}, c.ends);
    const ValueId axes = bench.constant(DType::i64, {n}, c.axes), steps = bench.constant(DType::i64, {n}, c.steps);
    const ValueId y = bench.output(DType::f32, c.out);
    CHECK_EQ(bench.run<float>(Op::Slice, {a, starts, ends, axes, steps}, {y}), want);
  }
}

TEST(ops_slice_needs_constants) {
  Bench bench;
  const ValueId a = bench.input(DType::f32, {4}, counting<float>(4));
  const ValueId starts = bench.input(DType::i64, {1}, Ints{0}), ends = bench.constant(DType::i64, {1}, Ints{2});
  const ValueId y = bench.output(DType::f32, {2});
  CHECK_THROWS(bench.run<float>(Op::Slice, {a, starts, ends}, {y}), Error, "computed at run time");
}

// ONNX's modes, one dimension at a time.
std::int64_t pad_source(const std::string& mode, std::int64_t i, std::int64_t n) {
  if (mode == "constant") return i < 0 || i >= n ? -1 : i;
  while (i < 0 || i >= n) {
    if (mode == "edge") return i < 0 ? 0 : n - 1;
    if (mode == "wrap") i += i < 0 ? n : -n;
    if (mode == "reflect") i = i < 0 ? -i : 2 * (n - 1) - i;
  }
  return i;
}

template <class T>
void check_pad(const std::string& mode, const Dims& in, const Ints& pads, T value) {
  Dims out = in;
  for (std::size_t i = 0; i < in.size(); ++i) out[i] += pads[i] + pads[i + in.size()];
  const auto x = counting<T>(count(in));
  std::vector<T> want;
  each(out, [&](const Dims& at) {
    Dims from(in.size());
    bool inside = true;
    for (std::size_t i = 0; i < in.size(); ++i) {
      from[i] = pad_source(mode, at[i] - pads[i], in[i]);
      inside &= from[i] >= 0;
    }
    want.push_back(inside ? x[place(in, from)] : value);
  });
  Bench bench;
  const ValueId a = bench.input(DTypeOf<T>::value, in, x);
  const ValueId p = bench.constant(DType::i64, {static_cast<std::int64_t>(pads.size())}, pads);
  const ValueId v = bench.constant(DTypeOf<T>::value, {}, std::vector<T>{value});
  const ValueId y = bench.output(DTypeOf<T>::value, out);
  CHECK_EQ(bench.run<T>(Op::Pad, {a, p, v}, {y}, attrs({{"mode", mode}})), want);
}

TEST(ops_pad) {
  for (const char* mode : {"constant", "edge", "reflect", "wrap"}) {
    check_pad<float>(mode, {2, 5, 6, 3}, {0, 1, 2, 0, 0, 3, 1, 0}, -1.5F);
    check_pad<std::uint8_t>(mode, {2, 5, 6, 3}, {1, 1, 0, 2, 0, 0, 4, 1}, 9);
    check_pad<std::int64_t>(mode, {7}, {6, 3}, -4);
    check_pad<float>(mode, {4, 40, 40}, {0, 0, 0, 0, 0, 0}, 1);
  }
  check_pad<float>("constant", {6, 7}, {-2, 1, 1, -3}, 2);
  check_pad<float>("reflect", {3}, {7, 8}, 0);
}

TEST(ops_pad_of_bytes_pads_with_the_quantized_real) {
  Bench bench;
  const ValueId a = bench.input(DType::u8, {1}, std::vector<std::uint8_t>{7}, quant(0.5F, 10));
  const ValueId p = bench.constant(DType::i64, {2}, Ints{1, 1});
  const ValueId real = bench.constant(DType::f32, {}, std::vector<float>{3});
  const ValueId low = bench.constant(DType::f32, {}, std::vector<float>{-3e38F});
  const ValueId byte = bench.constant(DType::u8, {}, std::vector<std::uint8_t>{12}, quant(1, 2));
  const ValueId y = bench.output(DType::u8, {3}, quant(0.5F, 10));
  using Bytes = std::vector<std::uint8_t>;
  CHECK_EQ(bench.run<std::uint8_t>(Op::Pad, {a, p}, {y}), (Bytes{10, 7, 10}));
  CHECK_EQ(bench.run<std::uint8_t>(Op::Pad, {a, p, real}, {y}), (Bytes{16, 7, 16}));
  CHECK_EQ(bench.run<std::uint8_t>(Op::Pad, {a, p, low}, {y}), (Bytes{0, 7, 0}));
  CHECK_EQ(bench.run<std::uint8_t>(Op::Pad, {a, p, byte}, {y}), (Bytes{30, 7, 30}));
}

TEST(ops_gather) {
  const Dims in{3, 5, 4};
  const auto x = counting<float>(count(in));
  const Ints indices{4, -1, 0, -5, 2, 2};
  for (const bool wide : {true, false}) {
    Bench bench;
    const ValueId a = bench.input(DType::f32, in, x);
    const ValueId i = wide ? bench.input(DType::i64, {2, 3}, indices)
                           : bench.input(DType::i32, {2, 3}, std::vector<std::int32_t>(indices.begin(), indices.end()));
    const ValueId y = bench.output(DType::f32, {3, 2, 3, 4});
    std::vector<float> want;
    each({3, 6, 4}, [&](const Dims& at) {
      const std::int64_t index = indices[static_cast<std::size_t>(at[1])];
      want.push_back(x[place(in, {at[0], index < 0 ? index + 5 : index, at[2]})]);
    });
    CHECK_EQ(bench.run<float>(Op::Gather, {a, i}, {y}, attrs({{"axis", std::int64_t{1}}})), want);
  }
}

TEST(ops_gather_takes_the_nearest_end_for_an_index_outside) {
  Bench bench;
  const ValueId a = bench.input(DType::u8, {3}, std::vector<std::uint8_t>{5, 6, 7});
  const ValueId i = bench.input(DType::i64, {4}, Ints{3, -4, INT64_MIN, INT64_MAX});
  const ValueId y = bench.output(DType::u8, {4});
  CHECK_EQ(bench.run<std::uint8_t>(Op::Gather, {a, i}, {y}), (std::vector<std::uint8_t>{7, 5, 5, 7}));
}

TEST(ops_shape) {
  Bench bench;
  const ValueId a = bench.input(DType::f32, {2, 3, 4}, counting<float>(24));
  const ValueId all = bench.output(DType::i64, {3}), last = bench.output(DType::i64, {2});
  CHECK_EQ(bench.run<std::int64_t>(Op::Shape, {a}, {all}), (Ints{2, 3, 4}));
  CHECK_EQ(bench.run<std::int64_t>(Op::Shape, {a}, {last}, attrs({{"start", std::int64_t{-2}}})), (Ints{3, 4}));
}

TEST(ops_reshape_copies) {
  Bench bench;
  const auto x = counting<std::int64_t>(24);
  const ValueId a = bench.input(DType::i64, {2, 3, 4}, x), y = bench.output(DType::i64, {6, 4});
  for (const Op op : {Op::Reshape, Op::Flatten, Op::Squeeze, Op::Unsqueeze, Op::Identity}) {
    CHECK_EQ(bench.run<std::int64_t>(op, {a}, {y}), x);
  }
  const ValueId wrong = bench.output(DType::i64, {5, 4});
  CHECK_THROWS(bench.run<std::int64_t>(Op::Reshape, {a}, {wrong}), Error, "cannot be seen as");
}

}  // namespace
