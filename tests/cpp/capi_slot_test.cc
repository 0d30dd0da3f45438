#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include "base/error.h"
#include "cpp/check.h"
#include "model/file.h"
#include "model/model.h"
#include "quaver.h"

namespace {

using namespace quaver;

// y = x + step over [2].
std::shared_ptr<Model> adder(float step, std::int64_t size = 2) {
  Graph g;
  const ValueId x = g.add_value("x", DType::f32, {size});
  const ValueId b = g.add_constant("b", DType::f32, {1}, Blob::of(std::span<const float>(&step, 1)));
  const ValueId y = g.add_value("y", DType::f32, {size});
  g.add_node(Op::Add, "add", {x, b}, {y});
  g.inputs = {x};
  g.outputs = {y};
  return Model::from_graph(std::move(g), {1, {}});
}

// It, as C loads it; freed with the test.
class Loaded {
 public:
  explicit Loaded(float step, std::int64_t size = 2) {
    const auto bytes = adder(step, size)->serialize();
    const quaver_options one = {1, nullptr};
    CHECK_EQ(static_cast<int>(quaver_load_memory(bytes.data(), bytes.size(), &one, &model_)), 0);
  }
  ~Loaded() { quaver_free(model_); }
  Loaded(const Loaded&) = delete;
  operator quaver_model*() const { return model_; }

 private:
  quaver_model* model_ = nullptr;
};

// A file of what makes the adder of one step out of another's; removed with the test.
class DeltaFile {
 public:
  DeltaFile(float from, float to) {
    const auto bytes = write_delta(adder(from)->graph(), adder(to)->graph());
    std::ofstream file(path_, std::ios::binary);
    file.write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
    CHECK(file.good());
  }
  ~DeltaFile() { std::filesystem::remove(path_); }
  DeltaFile(const DeltaFile&) = delete;
  const char* path() const { return path_.c_str(); }

 private:
  std::string path_ = std::filesystem::temp_directory_path() / text("quaver_capi_", ::getpid(), ".qdelta");
};

class Slotted {
 public:
  explicit Slotted(const quaver_slot_options* options = nullptr) {
    const Loaded first(1);
    CHECK_EQ(static_cast<int>(quaver_slot_create(first, options, &slot_)), 0);
  }
  ~Slotted() { quaver_slot_free(slot_); }
  operator quaver_slot*() const { return slot_; }

 private:
  quaver_slot* slot_ = nullptr;
};

// What 10 gives, and which version gave it.
std::pair<float, std::uint64_t> answer(quaver_slot* slot) {
  float x[] = {10, 10}, y[] = {0, 0};
  const quaver_buffer in = {x, sizeof x, 1, {2}};
  quaver_buffer out = {y, sizeof y, 0, {}};
  std::uint64_t version = 0;
  CHECK_EQ(static_cast<int>(quaver_slot_run(slot, &in, 1, &out, 1, &version)), 0);
  return {y[1], version};
}

void check_fails(quaver_status status, quaver_status expected, const std::string& words) {
  CHECK_EQ(static_cast<int>(status), static_cast<int>(expected));
  const std::string why = quaver_last_error();
  if (why.find(words) == std::string::npos) check::failed(__FILE__, __LINE__, "expected '" + words + "': " + why);
}

}  // namespace

TEST(capi_slot_swaps_and_rolls_back) {
  const Slotted slot;
  CHECK(answer(slot) == std::pair(11.0f, std::uint64_t{1}));
  std::uint64_t version = 0;
  CHECK(quaver_slot_swap(slot, Loaded(2), 0, &version) == QUAVER_OK);
  CHECK_EQ(version, 2u);
  CHECK(answer(slot) == std::pair(12.0f, std::uint64_t{2}));
  CHECK(quaver_slot_rollback(slot, &version) == QUAVER_OK);
  CHECK_EQ(version, 1u);
  CHECK(answer(slot) == std::pair(11.0f, std::uint64_t{1}));
  version = 40;
  CHECK(quaver_slot_swap(slot, Loaded(40), 0, &version) == QUAVER_OK);
  CHECK_EQ(quaver_slot_version(slot), 40u);
  CHECK(quaver_slot_swap(slot, Loaded(41), 5000, nullptr) == QUAVER_OK);
  CHECK(answer(slot) == std::pair(51.0f, std::uint64_t{41}));
}

TEST(capi_slot_takes_options) {
  const quaver_slot_options options = {7, 2, 1};
  const Slotted slot(&options);
  CHECK_EQ(quaver_slot_version(slot), 7u);
  CHECK(quaver_slot_swap(slot, Loaded(2), 0, nullptr) == QUAVER_OK);
  check_fails(quaver_slot_rollback(slot, nullptr), QUAVER_INVALID_INPUT, "keep_previous");
  const Loaded first(1);
  const quaver_slot_options few = {0, 2, 0};
  quaver_slot* none = slot;
  check_fails(quaver_slot_create(first, &few, &none), QUAVER_INVALID_INPUT, "max_live must be from 3");
  CHECK(none == nullptr);
}

TEST(capi_slot_refuses) {
  const Slotted slot;
  const Loaded other(2, 3), same(2);
  quaver_slot* none = nullptr;
  check_fails(quaver_slot_create(nullptr, nullptr, &none), QUAVER_INVALID_INPUT, "model is NULL");
  check_fails(quaver_slot_create(same, nullptr, nullptr), QUAVER_INVALID_INPUT, "slot is NULL");
  check_fails(quaver_slot_swap(slot, nullptr, 0, nullptr), QUAVER_INVALID_INPUT, "model is NULL");
  check_fails(quaver_slot_swap(nullptr, same, 0, nullptr), QUAVER_INVALID_INPUT, "slot is NULL");
  check_fails(quaver_slot_swap(slot, other, 0, nullptr), QUAVER_INVALID_INPUT, "got 'x' float32 [3]");
  std::uint64_t version = 1;
  check_fails(quaver_slot_swap(slot, same, 0, &version), QUAVER_INVALID_INPUT, "version 1 is live already");
  check_fails(quaver_slot_rollback(slot, nullptr), QUAVER_INVALID_INPUT, "none was swapped out");
  check_fails(quaver_slot_rollback(nullptr, nullptr), QUAVER_INVALID_INPUT, "slot is NULL");
  check_fails(quaver_slot_run(nullptr, nullptr, 0, nullptr, 0, nullptr), QUAVER_INVALID_INPUT, "slot is NULL");
  check_fails(quaver_slot_run(slot, nullptr, 0, nullptr, 0, &version), QUAVER_INVALID_INPUT, "inputs");
  CHECK_EQ(version, 1u);
  CHECK_EQ(quaver_slot_version(nullptr), 0u);
  CHECK(answer(slot) == std::pair(11.0f, std::uint64_t{1}));
  quaver_slot_free(nullptr);
}

TEST(capi_slot_takes_what_a_delta_makes) {
  const Loaded first(1);
  const DeltaFile delta(1, 5);
  quaver_slot* slot = nullptr;
  CHECK(quaver_slot_create(first, nullptr, &slot) == QUAVER_OK);
  quaver_model* next = nullptr;
  CHECK(quaver_update(first, delta.path(), &next) == QUAVER_OK);
  std::uint64_t version = 0;
  CHECK(quaver_slot_swap(slot, next, 0, &version) == QUAVER_OK);
  quaver_free(next);
  CHECK(answer(slot) == std::pair(15.0f, std::uint64_t{2}));
  CHECK(quaver_slot_rollback(slot, nullptr) == QUAVER_OK);
  CHECK(answer(slot) == std::pair(11.0f, std::uint64_t{1}));
  quaver_slot_free(slot);
}

TEST(capi_update_refuses) {
  const Loaded first(1), other(2);
  const DeltaFile delta(1, 5);
  quaver_model* const some = first;
  quaver_model* next = some;
  check_fails(quaver_update(other, delta.path(), &next), QUAVER_INVALID_INPUT, "made for the model");
  CHECK(next == nullptr);
  check_fails(quaver_update(first, "/none/update.qdelta", &next), QUAVER_IO, "/none/update.qdelta");
  check_fails(quaver_update(nullptr, delta.path(), &next), QUAVER_INVALID_INPUT, "base is NULL");
  check_fails(quaver_update(first, nullptr, &next), QUAVER_INVALID_INPUT, "path is NULL");
  check_fails(quaver_update(first, delta.path(), nullptr), QUAVER_INVALID_INPUT, "model is NULL");
}

TEST(capi_slot_runs_while_it_swaps) {
  const Slotted slot;
  std::atomic<bool> stop{false};
  std::atomic<int> wrong{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 3; ++t) {
    threads.emplace_back([&] {
      while (!stop) {
        const auto [y, version] = answer(slot);
        wrong += y != 10.0f + static_cast<float>(version);
      }
    });
  }
  for (int step = 2; step <= 100; ++step) {
    wrong += quaver_slot_swap(slot, Loaded(static_cast<float>(step)), 10000, nullptr) != QUAVER_OK;
  }
  stop = true;
  for (std::thread& thread : threads) thread.join();
  CHECK_EQ(wrong.load(), 0);
}
