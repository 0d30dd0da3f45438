// Runs a graph in double precision, the slow and obvious way: what passes must not change. Quantized values are the
// reals they stand for, rounded where they are made.
#pragma once

#include <map>

#include "cpp/passes_build.h"
#include "graph/unary.h"

namespace quaver::testing {

class Interpreter {
 public:
  using Reals = std::vector<double>;

  explicit Interpreter(const Graph& graph) : graph_(graph) {}

  // `inputs` holds the graph's inputs in order; the result is its outputs. Integers are given and returned as they are.
  std::vector<Reals> run(const std::vector<Reals>& inputs) {
    for (std::size_t i = 0; i < inputs.size(); ++i) made_[graph_.inputs[i]] = inputs[i];
    for (const Node& node : graph_.nodes) {
      if (!node.dead) step(node);
    }
    std::vector<Reals> out;
    for (const ValueId id : graph_.outputs) out.push_back(stored(id));
    return out;
  }

 private:
  const Dims& shape(ValueId id) const { return graph_.value(id).shape; }

  Reals stored(ValueId id) const {
    const Value& value = graph_.value(id);
    if (!value.constant()) return made_.at(id);
    const auto all = [](auto items) { return Reals(items.begin(), items.end()); };
    switch (value.dtype) {
      case DType::f32: return all(value.data->as<float>());
      case DType::u8: return all(value.data->as<std::uint8_t>());
      case DType::s8: return all(value.data->as<std::int8_t>());
      case DType::i64: return all(value.data->as<std::int64_t>());
      default: fail(Status::internal, "the interpreter has no ", name_of(value.dtype));
    }
  }

  Reals real(ValueId id) const {
    Reals out = stored(id);
    const Value& value = graph_.value(id);
    if (!value.quant) return out;
    for (double& x : out) x = (x - value.quant->zero_point[0]) * double{value.quant->scale[0]};
    return out;
  }

  double rounded(double x, const Quant& quant, DType dtype) const {
    const std::uint8_t byte = quantize(x, quant, dtype);
    return dtype == DType::s8 ? static_cast<std::int8_t>(byte) : byte;
  }

  void make(ValueId id, Reals reals) {
    const Value& value = graph_.value(id);
    for (double& x : reals) {
      if (value.quant) x = rounded(x, *value.quant, value.dtype);
    }
    made_[id] = std::move(reals);
  }

  // y[at] = x[from(at)] for every index of y.
  template <class From>
  void pick(ValueId y, ValueId x, From from) {
    const Reals source = stored(x);
    const Dims steps = strides_of(shape(x));
    Reals out;
    each_index(shape(y), [&](const Dims& at) {
      const Dims index = from(at);
      out.push_back(source[std::inner_product(index.begin(), index.end(), steps.begin(), std::int64_t{0})]);
    });
    made_[y] = std::move(out);
  }

  template <class Visit>
  static void each_index(const Dims& shape, Visit visit) {
    Dims at(shape.size(), 0);
    for (std::int64_t left = count(shape); left > 0; --left) {
      visit(at);
      for (std::size_t axis = shape.size(); axis-- > 0 && ++at[axis] == shape[axis];) at[axis] = 0;
    }
  }

  void binary(const Node& node) {
    const ValueId y = node.outputs[0];
    const Reals a = real(node.inputs[0]), b = real(node.inputs[1]);
    const auto at_of = [&](const Dims& at, ValueId id) {
      const Dims &dims = shape(id), steps = strides_of(dims);
      std::int64_t out = 0;
      for (std::size_t i = 0; i < dims.size(); ++i) {
        if (dims[i] != 1) out += at[at.size() - dims.size() + i] * steps[i];
      }
      return out;
    };
    Reals out;
    each_index(shape(y), [&](const Dims& at) {
      const double l = a[at_of(at, node.inputs[0])], r = b[at_of(at, node.inputs[1])];
      const double x = node.op == Op::Add ? l + r : node.op == Op::Sub ? l - r : l * r;
      out.push_back(std::min(std::max(x, node.attrs.f("lo", -1e30)), node.attrs.f("hi", 1e30)));
    });
    make(y, std::move(out));
  }

  // Groups of elements that differ along `axes` only, replaced by `fn` of them.
  template <class Fn>
  Reals along(ValueId x, const std::vector<std::int64_t>& axes, Fn fn) const {
    Reals items = real(x);
    std::map<Dims, std::vector<std::size_t>> groups;
    std::size_t i = 0;
    each_index(shape(x), [&](Dims at) {
      for (const std::int64_t axis : axes) at[normalize_axis(axis, static_cast<std::int64_t>(at.size()))] = 0;
      groups[at].push_back(i++);
    });
    Reals out;
    for (const auto& [at, members] : groups) fn(items, members, out);
    return out.empty() ? items : out;
  }

  void sum(const Node& node) {
    make(node.outputs[0],
         along(node.inputs[0], node.attrs.ints("axes"), [](Reals& items, const auto& members, Reals& out) {
           double total = 0;
           for (const std::size_t i : members) total += items[i];
           out.push_back(total);
         }));
  }

  void softmax(const Node& node) {
    make(node.outputs[0],
         along(node.inputs[0], {node.attrs.i("axis", -1)}, [](Reals& items, const auto& members, Reals&) {
           double total = 0;
           for (const std::size_t i : members) total += std::exp(items[i]);
           for (const std::size_t i : members) items[i] = std::exp(items[i]) / total;
         }));
  }

  std::int64_t axis_of(const Node& node) const {
    return normalize_axis(node.attrs.i("axis"), static_cast<std::int64_t>(shape(node.inputs[0]).size()));
  }

  void concat(const Node& node) {
    const std::int64_t axis = axis_of(node);
    std::vector<Reals> parts;
    for (const ValueId in : node.inputs) parts.push_back(stored(in));
    Reals out;
    each_index(shape(node.outputs[0]), [&](Dims at) {
      std::size_t part = 0;
      while (at[axis] >= shape(node.inputs[part])[axis]) at[axis] -= shape(node.inputs[part++])[axis];
      const Dims steps = strides_of(shape(node.inputs[part]));
      out.push_back(parts[part][std::inner_product(at.begin(), at.end(), steps.begin(), std::int64_t{0})]);
    });
    made_[node.outputs[0]] = std::move(out);
  }

  void split(const Node& node) {
    const std::int64_t axis = axis_of(node);
    std::int64_t start = 0;
    for (const ValueId y : node.outputs) {
      pick(y, node.inputs[0], [&](Dims at) { return at[axis] += start, at; });
      start += shape(y)[axis];
    }
  }

  void slice(const Node& node) {
    const Reals starts = stored(node.inputs[1]), axes = has_input(node, 3) ? stored(node.inputs[3]) : Reals{};
    pick(node.outputs[0], node.inputs[0], [&](Dims at) {
      for (std::size_t i = 0; i < starts.size(); ++i) {
        at[axes.empty() ? i : static_cast<std::size_t>(axes[i])] += static_cast<std::int64_t>(starts[i]);
      }
      return at;
    });
  }

  void pad(const Node& node) {
    const Dims& dims = shape(node.inputs[0]);
    const Reals x = stored(node.inputs[0]), pads = stored(node.inputs[1]);
    const double value = has_input(node, 2) ? stored(node.inputs[2])[0] : 0;
    Reals out;
    each_index(shape(node.outputs[0]), [&](const Dims& at) {
      const Dims steps = strides_of(dims);
      std::int64_t from = 0;
      bool inside = true;
      for (std::size_t i = 0; i < dims.size(); ++i) {
        const std::int64_t index = at[i] - static_cast<std::int64_t>(pads[i]);
        inside = inside && index >= 0 && index < dims[i];
        from += index * steps[i];
      }
      out.push_back(inside ? x[from] : value);
    });
    made_[node.outputs[0]] = std::move(out);
  }

  void gather(const Node& node) {
    const std::int64_t axis = axis_of(node), index = static_cast<std::int64_t>(stored(node.inputs[1])[0]);
    pick(node.outputs[0], node.inputs[0], [&](Dims at) { return at.insert(at.begin() + axis, index), at; });
  }

  void unary(const Node& node) {
    Reals x = real(node.inputs[0]);
    for (double& item : x) item = eval_unary(node.op, node.attrs, item);
    make(node.outputs[0], std::move(x));
  }

  void bytes(const Node& node) {
    Reals x = stored(node.inputs[0]);
    const std::optional<Quant> quant =
        node.op == Op::Table || node.op == Op::FlipSign ? std::nullopt : quant_of(graph_, node);
    const DType dtype = graph_.value(node.outputs[0]).dtype;
    const Reals table = node.op == Op::Table ? stored(node.inputs[1]) : Reals{};
    for (double& item : x) {
      switch (node.op) {
        case Op::QuantizeLinear: item = rounded(item, *quant, dtype); break;
        case Op::DequantizeLinear: item = (item - quant->zero_point[0]) * double{quant->scale[0]}; break;
        case Op::Table: item = table[static_cast<std::size_t>(item)]; break;
        default: item += dtype == DType::u8 ? 128 : -128;
      }
    }
    made_[node.outputs[0]] = std::move(x);
  }

  void step(const Node& node) {
    if (is_unary(node.op)) return unary(node);
    switch (node.op) {
      case Op::Add:
      case Op::Sub:
      case Op::Mul: return binary(node);
      case Op::ReduceSum: return sum(node);
      case Op::Softmax: return softmax(node);
      case Op::Concat: return concat(node);
      case Op::Split: return split(node);
      case Op::Slice: return slice(node);
      case Op::Pad: return pad(node);
      case Op::Gather: return gather(node);
      case Op::Reshape:
      case Op::Identity: made_[node.outputs[0]] = stored(node.inputs[0]); return;
      case Op::Transpose:
        return pick(node.outputs[0], node.inputs[0],
                    [&](const Dims& at) { return permuted(at, inverse(perm_of(graph_, node))); });
      case Op::QuantizeLinear:
      case Op::DequantizeLinear:
      case Op::Table:
      case Op::FlipSign: return bytes(node);
      default: fail(Status::internal, "the interpreter has no ", name_of(node.op));
    }
  }

  const Graph& graph_;
  std::map<ValueId, Reals> made_;
};

}  // namespace quaver::testing
