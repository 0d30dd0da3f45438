#include "graph/schema.h"

#include <array>

#include "graph/contents.h"

namespace quaver {
namespace {

constexpr std::array<const OpSchema*, kOpCount> kSchemas{
#define QUAVER_OP(name) &schema_##name,
#include "graph/ops.def"
#undef QUAVER_OP
};

template <class To, class From>
std::vector<To> converted(const Blob& data) {
  const auto items = data.as<From>();
  return std::vector<To>(items.begin(), items.end());
}

}  // namespace

const OpSchema& schema_of(Op op) { return *kSchemas[static_cast<std::size_t>(op)]; }

const Value& InferContext::input(std::size_t i) const {
  if (!has_input(i)) fail("input ", i, " is missing");
  return graph_.value(node_.inputs[i]);
}

std::optional<std::vector<std::int64_t>> InferContext::constant_ints(std::size_t i) const {
  const Value& value = input(i);
  if (!value.constant()) return std::nullopt;
  if (value.dtype == DType::i64) return converted<std::int64_t, std::int64_t>(*value.data);
  if (value.dtype == DType::i32) return converted<std::int64_t, std::int32_t>(*value.data);
  fail("input '", value.name, "' is ", name_of(value.dtype), ", expected int64 or int32");
}

std::optional<Dims> InferContext::known_ints(std::size_t i) const {
  if (auto constant = constant_ints(i)) return constant;
  return quaver::known_ints(graph_, node_.inputs[i]);
}

std::optional<std::vector<float>> InferContext::constant_floats(std::size_t i) const {
  const Value& value = input(i);
  if (!value.constant()) return std::nullopt;
  if (value.dtype == DType::f32) return converted<float, float>(*value.data);
  fail("input '", value.name, "' is ", name_of(value.dtype), ", expected float32");
}

void InferContext::expect_rank(std::size_t i, std::size_t rank) const {
  const Value& value = input(i);
  if (value.ranked && value.shape.size() != rank) {
    fail("input '", value.name, "' has shape ", to_string(value.shape), ", expected rank ", rank);
  }
}

DType InferContext::real_dtype(std::size_t i) const {
  const Value& out = graph_.value(node_.outputs[i]);
  if (out.quant) return out.dtype;
  return input(0).quant ? DType::f32 : input(0).dtype;
}

void InferContext::output(std::size_t i, DType dtype, Dims shape) {
  Value& out = graph_.value(node_.outputs[i]);
  for (const std::int64_t d : shape) {
    if (d < kDynamic || d > kLargestDimension) fail("output '", out.name, "' would have shape ", to_string(shape));
  }
  if (out.ranked) {
    bool agree = out.shape.size() == shape.size();
    for (std::size_t k = 0; agree && k < shape.size(); ++k) {
      if (shape[k] == kDynamic) shape[k] = out.shape[k];
      agree = out.shape[k] == kDynamic || out.shape[k] == shape[k];
    }
    if (!agree) {
      fail("output '", out.name, "' has shape ", to_string(shape), ", but ", to_string(out.shape), " is declared");
    }
  }
  if (is_static(shape)) count(shape);  // fails on an overflow
  out.dtype = dtype;
  out.ranked = true;
  out.shape = std::move(shape);
}

void InferContext::output_unranked(std::size_t i, DType dtype) { graph_.value(node_.outputs[i]).dtype = dtype; }

void InferContext::fail_with(const std::string& what) const { throw Error(Status::invalid_model, what); }

}  // namespace quaver
