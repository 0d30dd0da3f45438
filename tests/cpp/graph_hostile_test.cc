// Inference of nodes that no sane model has: whatever a hostile file says, the answer is a shape or an Error. Run under
// the sanitizers this is a test of arithmetic, too.
#include <iostream>
#include <random>

#include "check.h"
#include "graph_builder.h"

using namespace quaver;
using namespace quaver::testing;

namespace {

constexpr std::uint64_t kSeed = 20240611;
constexpr int kRoundsPerOp = 2000;

class Hostile {
 public:
  explicit Hostile(std::uint64_t seed) : random_(seed) {}

  Graph graph(Op op) {
    Graph g;
    const OpSchema& schema = schema_of(op);
    std::vector<ValueId> in, out;
    const std::size_t inputs = between(schema.min_inputs, std::min(schema.max_inputs, schema.min_inputs + 3));
    for (std::size_t i = 0; i < inputs; ++i) in.push_back(i >= schema.min_inputs && one_in(4) ? kNone : value(g));
    const std::size_t outputs = between(schema.min_outputs, std::min(schema.max_outputs, schema.min_outputs + 2));
    for (std::size_t i = 0; i < outputs; ++i) out.push_back(g.add_value("y", DType::f32));
    if (one_in(4)) g.value(out[0]) = Value{"y", DType::f32, true, dims(), {}, {}};
    Attrs attrs;
    for (const AttrSpec& spec : schema.attrs) {
      if (!one_in(3)) attrs.set(spec.name, attr(spec.kind));
    }
    g.add_node(op, "n", in, out, attrs);
    return g;
  }

 private:
  std::size_t between(std::size_t low, std::size_t high) { return low + random_() % (high - low + 1); }
  bool one_in(unsigned n) { return random_() % n == 0; }
  template <class T>
  T pick(std::initializer_list<T> items) {
    return items.begin()[random_() % items.size()];
  }

  // Mostly small, as most checks are behind others that large numbers do not pass.
  std::int64_t number() {
    if (!one_in(8)) return pick<std::int64_t>({-2, -1, 0, 1, 1, 2, 3, 4, 5, 8});
    return pick<std::int64_t>({INT64_MIN, INT64_MAX, INT64_MIN + 1, 1LL << 30, 1LL << 40, -(1LL << 40), 1LL << 62});
  }
  Ints numbers(std::size_t n) {
    Ints items(n);
    for (std::int64_t& item : items) item = number();
    return items;
  }
  Dims dims() {
    Dims out = numbers(one_in(2) ? 4 : between(0, 5));
    for (std::int64_t& d : out) d = std::max<std::int64_t>(d, kDynamic);
    return out;
  }
  ValueId value(Graph& g) {
    if (one_in(3)) return ints(g, numbers(between(0, 5)));
    if (one_in(6)) return constant<float>(g, {2}, {0.5F, one_in(2) ? 1e30F : -1.0F});
    if (one_in(8)) return constant(g, {256}, std::vector<std::uint8_t>(256));
    const DType dtype = pick({DType::f32, DType::f32, DType::f32, DType::boolean, DType::u8, DType::s8, DType::i64});
    if (!one_in(8)) return input(g, dims(), dtype);
    g.inputs.push_back(g.add_value("unranked", dtype));
    return g.inputs.back();
  }
  AttrValue attr(AttrKind kind) {
    switch (kind) {
      case AttrKind::i: return number();
      case AttrKind::f: return pick({0.0, -1.0, 1e300, 0.5});
      case AttrKind::s:
        return std::string(pick({"SAME_UPPER", "VALID", "NOTSET", "reflect", "not_larger", "LEFT", "add", "?"}));
      case AttrKind::ints: return numbers(pick<std::size_t>({2, 2, 4, 4, 0, 1, 3}));
      default: return std::vector<double>{1, -1};
    }
  }

  std::mt19937_64 random_;
};

}  // namespace

TEST(graph_inference_survives_hostile_nodes) {
  std::cout << "seed " << kSeed << "\n";
  Hostile hostile(kSeed);
  for (int i = 0; i < kOpCount; ++i) {
    const Op op = static_cast<Op>(i);
    int accepted = 0, refused = 0;
    for (int round = 0; round < kRoundsPerOp; ++round) {
      Graph g = hostile.graph(op);
      try {
        verify(g);
        infer_shapes(g);
        verify(g);
        ++accepted;
      } catch (const Error& error) {
        CHECK(error.status() == Status::invalid_model);
        ++refused;
      }
    }
    // Their inputs fit together too rarely by chance; what is accepted of them, other tests run.
    const bool rare =
        op == Op::LSTM || op == Op::GRU || op == Op::RNN || op == Op::TreeEnsemble || op == Op::MatMulIntegerToFloat;
    if ((accepted == 0 && !rare) || refused == 0) {
      check::failed(__FILE__, __LINE__, text(name_of(op), ": ", accepted, " accepted, ", refused, " refused"));
    }
  }
}
