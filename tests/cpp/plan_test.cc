#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <new>
#include <random>
#include <thread>

#include "cpp/check.h"
#include "isa/cpu.h"
#include "model/model.h"
#include "ops/pack_cache.h"
#include "plan/memory.h"
#include "plan/plan.h"

namespace {
std::atomic<std::size_t> allocations{0};
}

// Every C++ allocation of this binary is counted: a steady run makes none.
void* operator new(std::size_t size) {
  ++allocations;
  if (void* memory = std::malloc(size ? size : 1)) return memory;
  throw std::bad_alloc();
}
void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
  ++allocations;
  return std::malloc(size ? size : 1);
}
void* operator new(std::size_t size, std::align_val_t alignment) {
  ++allocations;
  const std::size_t to = static_cast<std::size_t>(alignment);
  if (void* memory = std::aligned_alloc(to, (size + to - 1) / to * to)) return memory;
  throw std::bad_alloc();
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::align_val_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept { std::free(memory); }

namespace quaver {
namespace {

TEST(plan_memory_never_overlaps_live_blocks) {
  std::mt19937 random(7);
  for (int round = 0; round < 300; ++round) {
    std::vector<Block> blocks(random() % 30 + 1);
    std::size_t sum = 0, peak = 0;
    for (Block& block : blocks) {
      block.size = random() % 1000 + 1;
      block.first = random() % 20;
      block.last = block.first + random() % 6;
      sum += align_up(block.size);
    }
    const std::size_t arena = place(blocks);
    for (std::size_t step = 0; step < 26; ++step) {
      std::size_t live = 0;
      for (const Block& block : blocks) {
        if (block.first <= step && step <= block.last) live += block.size;
      }
      peak = std::max(peak, live);
    }
    CHECK(arena <= sum && arena >= peak);
    for (const Block& a : blocks) {
      CHECK(a.offset % kAlignment == 0 && a.offset + a.size <= arena);
      for (const Block& b : blocks) {
        const bool together = &a != &b && a.first <= b.last && b.first <= a.last;
        CHECK(!together || a.offset + a.size <= b.offset || b.offset + b.size <= a.offset);
      }
    }
  }
}

ValueId constant(Graph& graph, const char* name, Dims shape, std::mt19937& random) {
  std::vector<float> data(static_cast<std::size_t>(count(shape)));
  std::uniform_real_distribution<float> uniform(-1, 1);
  for (float& x : data) x = uniform(random);
  return graph.add_constant(name, DType::f32, std::move(shape), Blob::of<float>(data));
}

// x → Conv → Sigmoid → Add(x) → Add(x) → Reshape (an alias) → MatMul → y.
Graph small_network() {
  std::mt19937 random(11);
  Graph graph;
  const ValueId x = graph.add_value("x", DType::f32, {1, 8, 8, 4});
  graph.inputs = {x};
  const ValueId w = constant(graph, "w", {4, 3, 3, 4}, random), m = constant(graph, "m", {256, 10}, random);
  const std::vector<std::int64_t> flat{1, 256};
  const ValueId shape = graph.add_constant("shape", DType::i64, {2}, Blob::of<std::int64_t>(flat));
  const auto value = [&](const char* name, Dims dims) { return graph.add_value(name, DType::f32, std::move(dims)); };
  const ValueId a = value("a", {1, 8, 8, 4}), b = value("b", {1, 8, 8, 4}), c = value("c", {1, 8, 8, 4});
  const ValueId e = value("e", {1, 8, 8, 4});
  const ValueId d = value("d", {1, 256}), y = value("y", {1, 10});
  Attrs same;
  same.set("pads", std::vector<std::int64_t>{1, 1, 1, 1});
  graph.add_node(Op::Conv, "conv", {x, w}, {a}, same);
  graph.add_node(Op::Sigmoid, "sigmoid", {a}, {b});
  graph.add_node(Op::Add, "add", {b, x}, {c});
  graph.add_node(Op::Add, "again", {c, x}, {e});
  graph.add_node(Op::Reshape, "reshape", {e, shape}, {d});
  graph.add_node(Op::MatMul, "matmul", {d, m}, {y});
  graph.outputs = {y};
  return graph;
}

struct Fixture {
  Plan plan{small_network(), detected_isa(), std::make_shared<PackCache>()};
  std::vector<float> x = std::vector<float>(256, 0.5F);

  std::vector<float> run(ThreadPool* pool) const {
    Execution execution(plan, pool ? pool->size() : 1);
    std::vector<float> y(10);
    const void* in = x.data();
    void* out = y.data();
    plan.run(execution, {&in, 1}, {&out, 1}, pool);
    return y;
  }
};

TEST(plan_shares_memory_and_aliases) {
  const Fixture fixture;
  CHECK_EQ(fixture.plan.steps().size(), 4U);  // the reshape costs no step, the sigmoid is part of the convolution's
  CHECK(fixture.plan.arena_bytes() < fixture.plan.activation_bytes());
}

// Queries, keys and values: products of one value, between which another step lies.
TEST(plan_products_of_one_value_are_one_stage) {
  std::mt19937 random(12);
  Graph graph;
  const ValueId x = graph.add_value("x", DType::f32, {40, 24});
  graph.inputs = {x};
  std::vector<ValueId> made;
  for (const char* name : {"q", "k", "v"}) {
    const ValueId w = constant(graph, (std::string(name) + "/w").c_str(), {24, 70}, random);
    made.push_back(graph.add_value(name, DType::f32, {40, 70}));
    graph.add_node(Op::MatMul, name, {x, w}, {made.back()});
    if (made.size() == 1) {
      made.push_back(graph.add_value("n", DType::f32, {40, 70}));
      graph.add_node(Op::Neg, "n", {made[0]}, {made.back()});
    }
  }
  const ValueId sum = graph.add_value("sum", DType::f32, {40, 70}),
                more = graph.add_value("more", DType::f32, {40, 70});
  const ValueId y = graph.add_value("y", DType::f32, {40, 70});
  graph.add_node(Op::Add, "sum", {made[0], made[1]}, {sum});
  graph.add_node(Op::Mul, "more", {sum, made[2]}, {more});
  graph.add_node(Op::Sub, "y", {more, made[3]}, {y});
  graph.outputs = {y};
  const Plan plan(std::move(graph), detected_isa(), std::make_shared<PackCache>());
  const std::vector<PlanStep>& steps = plan.steps();
  CHECK_EQ(steps.size(), 7U);
  CHECK(steps[0].together && steps[0].together->units == steps[0].step->units * 3);
  for (std::size_t s = 0; s < steps.size(); ++s) CHECK_EQ(steps[s].stage, s < 3 ? 0 : s - 2);
  const std::vector<float> input(40 * 24, 0.5F);
  std::vector<float> alone(40 * 70), shared(40 * 70);
  const void* in = input.data();
  Execution one(plan, 1), three(plan, 3);
  void* out = alone.data();
  plan.run(one, {&in, 1}, {&out, 1}, nullptr);
  ThreadPool pool(3);
  out = shared.data();
  plan.run(three, {&in, 1}, {&out, 1}, &pool);
  CHECK(alone == shared && alone[0] != 0);
}

TEST(plan_steady_run_allocates_nothing) {
  const Fixture fixture;
  ThreadPool pool(2);
  Execution execution(fixture.plan, 2);
  std::vector<float> y(10);
  const void* in = fixture.x.data();
  void* out = y.data();
  const std::size_t before = allocations;
  for (int i = 0; i < 100; ++i) fixture.plan.run(execution, {&in, 1}, {&out, 1}, &pool);
  CHECK_EQ(allocations.load(), before);
}

// Rows of 8 to rows of 5, however many.
std::shared_ptr<Model> rows_of_any_number() {
  std::mt19937 random(13);
  Graph graph;
  const ValueId x = graph.add_value("x", DType::f32, {kDynamic, 8}), w = constant(graph, "w", {8, 5}, random);
  const ValueId a = graph.add_value("a", DType::f32, {kDynamic, 5}),
                y = graph.add_value("y", DType::f32, {kDynamic, 5});
  graph.add_node(Op::MatMul, "product", {x, w}, {a});
  graph.add_node(Op::Sigmoid, "sigmoid", {a}, {y});
  graph.inputs = {x}, graph.outputs = {y};
  return Model::from_graph(std::move(graph), {1, {}});
}

TEST(plan_of_shapes_met_before_is_found_without_allocating) {
  const auto model = rows_of_any_number();
  const std::vector<float> x(8 * 64, 0.5F);
  std::vector<float> y(5 * 64);
  const void* in = x.data();
  void* out = y.data();
  const std::vector<Dims> shapes[] = {{{1, 8}}, {{64, 8}}, {{7, 8}}};
  for (const auto& shape : shapes) model->run(*model->plan(shape), {&in, 1}, {&out, 1});
  const std::size_t before = allocations;
  for (int i = 0; i < 50; ++i) {
    for (const auto& shape : shapes) model->run(*model->plan(shape), {&in, 1}, {&out, 1});
  }
  CHECK_EQ(allocations.load(), before);
}

TEST(plans_are_kept_with_a_bound) {
  const auto model = rows_of_any_number();
  const auto plan_of = [&](std::int64_t rows) {
    const std::vector<Dims> shape{{rows, 8}};
    return std::weak_ptr<const Plan>(model->plan(shape));
  };
  std::vector<std::weak_ptr<const Plan>> plans;
  for (std::int64_t rows = 1; rows <= 40; ++rows) plans.push_back(plan_of(rows));
  const auto alive = std::count_if(plans.begin(), plans.end(), [](const auto& plan) { return !plan.expired(); });
  CHECK_EQ(alive, 16);
  CHECK(!plans.back().expired());
}

TEST(plan_results_do_not_depend_on_threads) {
  const Fixture fixture;
  const std::vector<float> alone = fixture.run(nullptr);
  CHECK(std::any_of(alone.begin(), alone.end(), [](float v) { return v != 0; }));
  for (unsigned threads = 1; threads <= 4; ++threads) {
    ThreadPool pool(threads);
    CHECK_EQ(fixture.run(&pool), alone);
  }
}

TEST(plan_runs_from_many_threads_at_once) {
  const Fixture fixture;
  const std::vector<float> alone = fixture.run(nullptr);
  ThreadPool pool(2);
  std::atomic<int> wrong{0};
  std::vector<std::thread> callers;
  for (int i = 0; i < 4; ++i) {
    callers.emplace_back([&] {
      for (int round = 0; round < 200; ++round) wrong += fixture.run(&pool) != alone;
    });
  }
  for (std::thread& caller : callers) caller.join();
  CHECK_EQ(wrong.load(), 0);
}

TEST(plan_outputs_that_are_inputs_or_constants_are_copied) {
  Graph graph;
  const ValueId x = graph.add_value("x", DType::f32, {3});
  graph.inputs = {x};
  const std::vector<float> data{1, 2, 3};
  const ValueId c = graph.add_constant("c", DType::f32, {3}, Blob::of<float>(data));
  const ValueId y = graph.add_value("y", DType::f32, {3});
  graph.add_node(Op::Sigmoid, "s", {x}, {y});
  graph.outputs = {x, c, y, y};
  const Plan plan(graph, detected_isa(), std::make_shared<PackCache>());
  Execution execution(plan, 1);
  const std::vector<float> in{0, 0, 0};
  std::vector<std::vector<float>> out(4, std::vector<float>(3));
  const void* inputs[] = {in.data()};
  void* outputs[] = {out[0].data(), out[1].data(), out[2].data(), out[3].data()};
  plan.run(execution, inputs, outputs, nullptr);
  CHECK_EQ(out[0], in);
  CHECK_EQ(out[1], data);
  CHECK_EQ(out[2], (std::vector<float>{0.5F, 0.5F, 0.5F}));
  CHECK_EQ(out[3], out[2]);
}

// Two convolutions; of the first one's result two tables are taken, of the second one's sum with the first table one,
// which Concat takes along with the other, through a table of its own.
struct Tables {
  Graph graph;
  std::mt19937 random{5};

  ValueId value(const char* name, float scale) {
    const ValueId id = graph.add_value(name, DType::u8, {1, 9, 7, 20});
    graph.value(id).quant = Quant{{scale}, {120}, -1};
    return id;
  }
  std::vector<std::uint8_t> bytes(std::size_t n) {
    std::vector<std::uint8_t> out(n);
    for (std::uint8_t& byte : out) byte = static_cast<std::uint8_t>(random());
    return out;
  }
  ValueId table() { return graph.add_constant("t", DType::u8, {256}, Blob::of<std::uint8_t>(bytes(256))); }
  ValueId weight(Dims shape) {
    const auto n = static_cast<std::size_t>(count(shape));
    const ValueId w = graph.add_constant("w", DType::s8, std::move(shape), Blob::of<std::uint8_t>(bytes(n)));
    graph.value(w).quant = Quant{{0.001F}, {0}, -1};
    return w;
  }

  explicit Tables(bool give_all) {
    const ValueId x = value("x", 0.1F), a = value("a", 0.2F), b = value("b", 0.1F), c = value("c", 0.3F);
    const ValueId d = value("d", 0.1F), e = value("e", 0.3F), f = value("f", 0.2F), g = value("g", 0.3F);
    const ValueId y = value("y", 0.3F);
    graph.value(y).shape = {1, 9, 7, 60};
    graph.inputs = {x};
    graph.outputs = {y};
    if (give_all) graph.outputs = {a, b, c, d, e, f, g, y};
    Attrs depthwise;
    depthwise.set("group", std::int64_t{20});
    depthwise.set("pads", std::vector<std::int64_t>{1, 1, 1, 1});
    graph.add_node(Op::Conv, "one", {x, weight({20, 1, 1, 20})}, {a});
    graph.add_node(Op::Table, "b", {a, table()}, {b});
    graph.add_node(Op::Table, "c", {a, table()}, {c});
    graph.add_node(Op::Conv, "two", {b, weight({20, 3, 3, 1})}, {d}, depthwise);
    graph.add_node(Op::Table, "e", {d, table()}, {e});
    graph.add_node(Op::Add, "add", {e, b}, {f});
    graph.add_node(Op::Table, "g", {f, table()}, {g});
    Attrs last;
    last.set("axis", std::int64_t{3});
    const ValueId h = value("h", 0.3F);
    graph.add_node(Op::Table, "h", {b, table()}, {h});
    graph.add_node(Op::Concat, "concat", {c, g, h}, {y}, last);
  }
};

std::vector<std::uint8_t> last_output(const Plan& plan, std::span<const std::uint8_t> x) {
  Execution execution(plan, 1);
  std::vector<std::vector<std::uint8_t>> out;
  std::vector<void*> outputs;
  for (const ValueId id : plan.graph().outputs) out.emplace_back(count(plan.graph().value(id).shape));
  for (auto& one : out) outputs.push_back(one.data());
  const void* in = x.data();
  plan.run(execution, {&in, 1}, outputs, nullptr);
  return out.back();
}

TEST(plan_tables_become_part_of_other_steps) {
  for (int i = 0; i < kIsaCount; ++i) {
    if (!detected_isa().has(static_cast<Isa>(i))) continue;
    const IsaSet isa = usable_isa(kIsaNames[i]);
    const Plan apart(Tables(true).graph, isa, std::make_shared<PackCache>());
    const Plan plan(Tables(false).graph, isa, std::make_shared<PackCache>());
    CHECK_EQ(apart.steps().size(), 8U);  // h's table alone is nobody else's business
    CHECK_EQ(plan.steps().size(), 4U);
    std::mt19937 random(3);
    std::vector<std::uint8_t> x(9 * 7 * 20);
    for (std::uint8_t& byte : x) byte = static_cast<std::uint8_t>(random());
    CHECK_EQ(last_output(plan, x), last_output(apart, x));
  }
}

// A block of a residual network, whose last convolution adds what the first one gave; or adds it twice.
Graph residual_block(bool used_again) {
  Tables made(false);
  Graph& graph = made.graph;
  graph.nodes.clear();
  const ValueId x = graph.inputs[0], a = made.value("block", 0.2F), b = made.value("inner", 0.1F);
  const ValueId c = made.value("sum", 0.3F), y = made.value("out", 0.3F);
  Attrs same;
  same.set("pads", std::vector<std::int64_t>{1, 1, 1, 1});
  graph.add_node(Op::Conv, "first", {x, made.weight({20, 1, 1, 20})}, {a});
  graph.add_node(Op::Conv, "inner", {a, made.weight({20, 3, 3, 20})}, {b}, same);
  graph.add_node(Op::Conv, "sum", {b, made.weight({20, 1, 1, 20}), kNone, a}, {c});
  graph.add_node(Op::Conv, "out", {c, made.weight({20, 3, 3, 20}), kNone, used_again ? a : c}, {y}, same);
  graph.outputs = {y};
  return graph;
}

TEST(plan_a_sum_takes_the_place_of_what_nobody_else_reads) {
  const auto id_of = [](const Plan& plan, const char* name) {
    for (ValueId id = 0; id < plan.graph().values.size(); ++id) {
      if (plan.graph().value(id).name == name) return id;
    }
    return kNone;
  };
  std::mt19937 random(3);
  std::vector<std::uint8_t> x(9 * 7 * 20);
  for (std::uint8_t& byte : x) byte = static_cast<std::uint8_t>(random());
  for (const bool used_again : {false, true}) {
    const Plan plan(residual_block(used_again), detected_isa(), std::make_shared<PackCache>());
    CHECK_EQ(plan.offset(id_of(plan, "sum")) == plan.offset(id_of(plan, "block")), !used_again);
    Graph all = residual_block(used_again);
    all.outputs = {};
    for (const Node& node : all.nodes) all.outputs.push_back(node.outputs[0]);
    const Plan apart(all, detected_isa(), std::make_shared<PackCache>());
    CHECK_EQ(last_output(plan, x), last_output(apart, x));
  }
}

}  // namespace
}  // namespace quaver
