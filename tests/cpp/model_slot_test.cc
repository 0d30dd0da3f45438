#include <atomic>
#include <thread>
#include <vector>

#include "base/error.h"
#include "cpp/check.h"
#include "model/slot.h"

namespace {

using namespace quaver;

// y = x + step, over [n, 2] of any n.
std::shared_ptr<Model> adder(float step, const char* input = "x", Dims shape = {kDynamic, 2}, bool twice = false) {
  Graph g;
  const ValueId x = g.add_value(input, DType::f32, shape);
  const ValueId b = g.add_constant("b", DType::f32, {1}, Blob::of(std::span<const float>(&step, 1)));
  const ValueId y = g.add_value("y", DType::f32, shape);
  g.add_node(Op::Add, "add", {x, b}, {y});
  g.inputs = {x};
  g.outputs = {y};
  if (twice) g.outputs.push_back(x);
  return Model::from_graph(std::move(g), {1, {}});
}

float run(Model& model, float x) {
  const std::vector<Dims> shapes{{1, 2}};
  const float in[] = {x, x};
  float out[2] = {};
  const void* sources[] = {in};
  void* targets[] = {out};
  model.run(*model.plan(shapes), sources, targets);
  return out[1];
}

}  // namespace

TEST(slot_model_swaps) {
  Slot slot(adder(1));
  CHECK_EQ(run(*slot.pin(), 10), 11.0f);
  const auto old = slot.pin();
  CHECK_EQ(slot.swap(adder(2)), 2u);
  CHECK_EQ(run(*slot.pin(), 10), 12.0f);
  CHECK_EQ(run(*old, 10), 11.0f);
  CHECK_EQ(slot.rollback(), 1u);
  CHECK_EQ(run(*slot.pin(), 10), 11.0f);
}

TEST(slot_model_refuses_another_signature) {
  Slot slot(adder(1));
  const auto refused = [&](std::shared_ptr<Model> next, const char* words) {
    CHECK_THROWS(slot.swap(next), Error, words);
  };
  refused(adder(1, "z"), "input 0: expected 'x' float32 [?, 2], got 'z' float32 [?, 2]");
  refused(adder(1, "x", {4, 2}), "got 'x' float32 [4, 2]");
  refused(adder(1, "x", {kDynamic, 2}, true), "expected 1 outputs, got 2");
  refused(nullptr, "null");
  CHECK_EQ(slot.version(), 1u);
  CHECK_EQ(slot.live(), std::vector<std::uint64_t>{1});
}

TEST(slot_model_runs_while_it_swaps) {
  Slot slot(adder(1), 1, {5, true});
  std::atomic<bool> stop{false};
  std::atomic<int> wrong{0}, runs{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 3; ++t) {
    threads.emplace_back([&] {
      while (!stop) {
        const auto pin = slot.pin();
        wrong += run(*pin, 0) != static_cast<float>(pin.version());
        ++runs;
      }
    });
  }
  for (int version = 2; version <= 200; ++version) slot.swap(adder(static_cast<float>(version)));
  stop = true;
  for (std::thread& thread : threads) thread.join();
  CHECK_EQ(wrong.load(), 0);
  CHECK(runs > 200);
}
