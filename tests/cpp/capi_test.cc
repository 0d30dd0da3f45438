#include <atomic>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <thread>
#include <vector>

#include "cpp/check.h"
#include "model/model.h"
#include "quaver.h"

namespace {

using namespace quaver;

// y = x · W + b over any number of rows, and x again.
std::vector<std::byte> linear_model() {
  const float w[] = {1, 2, 3, 4, 5, 6}, b[] = {10, 20};
  Graph g;
  const ValueId x = g.add_value("x", DType::f32, {kDynamic, 3});
  const ValueId weight = g.add_constant("w", DType::f32, {3, 2}, Blob::of(std::span<const float>(w)));
  const ValueId bias = g.add_constant("b", DType::f32, {2}, Blob::of(std::span<const float>(b)));
  const ValueId product = g.add_value("xw", DType::f32, {kDynamic, 2});
  const ValueId y = g.add_value("y", DType::f32, {kDynamic, 2});
  g.add_node(Op::MatMul, "matmul", {x, weight}, {product});
  g.add_node(Op::Add, "add", {product, bias}, {y});
  g.inputs = {x};
  g.outputs = {y, x};
  return Model::from_graph(std::move(g), {})->serialize();
}

quaver_model* load_linear() {
  const auto bytes = linear_model();
  quaver_model* model = nullptr;
  CHECK_EQ(static_cast<int>(quaver_load_memory(bytes.data(), bytes.size(), nullptr, &model)), 0);
  CHECK_EQ(std::string(model ? "" : quaver_last_error()), "");
  return model;
}

// A loaded model, or a failed test.
struct Linear {
  quaver_model* model = load_linear();
  ~Linear() { quaver_free(model); }
};

quaver_buffer rows(std::vector<float>& data, std::int64_t n, std::int64_t columns) {
  return {data.data(), data.size() * sizeof(float), 2, {n, columns}};
}

void check_fails(quaver_status status, quaver_status expected, const std::string& words) {
  CHECK_EQ(static_cast<int>(status), static_cast<int>(expected));
  const std::string why = quaver_last_error();
  if (why.find(words) == std::string::npos) check::failed(__FILE__, __LINE__, "expected '" + words + "': " + why);
}

}  // namespace

TEST(capi_describes_a_model) {
  const Linear linear;
  CHECK_EQ(quaver_input_count(linear.model), 1u);
  CHECK_EQ(quaver_output_count(linear.model), 2u);
  quaver_tensor_info info;
  CHECK(quaver_input_info(linear.model, 0, &info) == QUAVER_OK);
  CHECK_EQ(std::string(info.name), "x");
  CHECK(info.dtype == QUAVER_F32);
  CHECK_EQ(info.rank, 2);
  CHECK_EQ(info.shape[0], -1);
  CHECK_EQ(info.shape[1], 3);
  CHECK(quaver_output_info(linear.model, 0, &info) == QUAVER_OK);
  CHECK_EQ(std::string(info.name), "y");
  check_fails(quaver_output_info(linear.model, 2, &info), QUAVER_INVALID_INPUT, "output 2 of 2");
  CHECK(std::string(quaver_version()).find('.') != std::string::npos);
}

TEST(capi_runs_any_batch) {
  const Linear linear;
  for (std::int64_t n : {1, 4, 2, 4}) {
    std::vector<float> x(n * 3, 1.0f), y(n * 2), copy(n * 3);
    quaver_buffer in = rows(x, n, 3), out[] = {{}, {}};
    CHECK(quaver_output_shapes(linear.model, &in, 1, out, 2) == QUAVER_OK);
    CHECK_EQ(out[0].rank, 2);
    CHECK_EQ(out[0].shape[0], n);
    CHECK_EQ(out[0].shape[1], 2);
    CHECK_EQ(out[0].bytes, y.size() * sizeof(float));
    out[0].data = y.data();
    out[1].data = copy.data();
    CHECK(quaver_run(linear.model, &in, 1, out, 2) == QUAVER_OK);
    for (std::int64_t i = 0; i < n; ++i) CHECK(y[2 * i] == 19.0f && y[2 * i + 1] == 32.0f);
    CHECK_EQ(copy, x);
  }
}

TEST(capi_takes_larger_outputs_and_says_their_shape) {
  const Linear linear;
  std::vector<float> x(6, 1.0f), y(100, -1.0f), copy(100);
  quaver_buffer in = rows(x, 2, 3), out[] = {{y.data(), 400, 0, {}}, {copy.data(), 400, 0, {}}};
  CHECK(quaver_run(linear.model, &in, 1, out, 2) == QUAVER_OK);
  CHECK_EQ(out[0].rank, 2);
  CHECK_EQ(out[0].shape[0], 2);
  CHECK_EQ(out[0].bytes, 400u);
  CHECK_EQ(y[3], 32.0f);
  CHECK_EQ(y[4], -1.0f);
}

TEST(capi_refuses_wrong_buffers) {
  const Linear linear;
  std::vector<float> x(6), y(4), copy(6);
  const quaver_buffer in = rows(x, 2, 3);
  quaver_buffer out[] = {rows(y, 2, 2), rows(copy, 2, 3)};
  const auto run_with = [&](quaver_buffer input) { return quaver_run(linear.model, &input, 1, out, 2); };
  const auto changed = [&](auto change) {
    quaver_buffer buffer = in;
    change(buffer);
    return buffer;
  };
  check_fails(run_with(changed([](auto& b) { b.bytes = 20; })), QUAVER_INVALID_INPUT,
              "input 'x': float32[2, 3] is 24 bytes, got 20");
  check_fails(run_with(changed([](auto& b) { b.shape[1] = 4; })), QUAVER_INVALID_INPUT, "[?, 3], got [2, 4]");
  check_fails(run_with(changed([](auto& b) { b.shape[0] = -1; })), QUAVER_INVALID_INPUT, "input 'x'");
  check_fails(run_with(changed([](auto& b) { b.rank = 1; })), QUAVER_INVALID_INPUT, "got [2]");
  check_fails(run_with(changed([](auto& b) { b.rank = 9; })), QUAVER_INVALID_INPUT, "rank 9 is outside [0, 8]");
  check_fails(run_with(changed([](auto& b) { b.data = nullptr; })), QUAVER_INVALID_INPUT, "input 'x': data is NULL");
  out[0].bytes = 12;
  check_fails(run_with(in), QUAVER_INVALID_INPUT, "output 'y': float32[2, 2] needs 16 bytes, got 12");
  out[0] = {nullptr, 16, 0, {}};
  check_fails(run_with(in), QUAVER_INVALID_INPUT, "output 'y': data is NULL");
  check_fails(quaver_run(linear.model, &in, 0, out, 2), QUAVER_INVALID_INPUT, "inputs: expected 1, got 0");
  check_fails(quaver_run(linear.model, &in, 1, out, 1), QUAVER_INVALID_INPUT, "outputs: expected 2, got 1");
}

TEST(capi_refuses_null) {
  const Linear linear;
  quaver_model* model = linear.model;
  quaver_tensor_info info;
  quaver_buffer buffer{};
  check_fails(quaver_load(nullptr, nullptr, &model), QUAVER_INVALID_INPUT, "path is NULL");
  CHECK(model == nullptr);
  check_fails(quaver_load("x", nullptr, nullptr), QUAVER_INVALID_INPUT, "model is NULL");
  check_fails(quaver_load_memory(nullptr, 4, nullptr, &model), QUAVER_INVALID_INPUT, "data is NULL");
  check_fails(quaver_input_info(nullptr, 0, &info), QUAVER_INVALID_INPUT, "model is NULL");
  check_fails(quaver_input_info(linear.model, 0, nullptr), QUAVER_INVALID_INPUT, "info is NULL");
  check_fails(quaver_run(nullptr, &buffer, 1, &buffer, 1), QUAVER_INVALID_INPUT, "model is NULL");
  check_fails(quaver_run(linear.model, nullptr, 1, &buffer, 2), QUAVER_INVALID_INPUT, "inputs is NULL");
  CHECK_EQ(quaver_input_count(nullptr) + quaver_output_count(nullptr), 0u);
  quaver_free(nullptr);
}

TEST(capi_says_why_a_load_failed) {
  quaver_model* model = nullptr;
  check_fails(quaver_load("/nonexistent.quaver", nullptr, &model), QUAVER_IO, "/nonexistent.quaver");
  check_fails(quaver_load_memory("garbage", 7, nullptr, &model), QUAVER_CORRUPT_FILE, "not a compiled Quaver model");
  auto bytes = linear_model();
  check_fails(quaver_load_memory(bytes.data(), bytes.size() - 1, nullptr, &model), QUAVER_CORRUPT_FILE, "truncated");
  const quaver_options wrong = {1, "pentium", nullptr};
  check_fails(quaver_load_memory(bytes.data(), bytes.size(), &wrong, &model), QUAVER_ISA, "pentium");
  const quaver_options rough = {1, nullptr, "fp8"};
  check_fails(quaver_load_memory(bytes.data(), bytes.size(), &rough, &model), QUAVER_INVALID_INPUT, "fp8");
  CHECK(model == nullptr);
}

TEST(capi_errors_belong_to_their_thread) {
  quaver_model* model = nullptr;
  check_fails(quaver_load(nullptr, nullptr, &model), QUAVER_INVALID_INPUT, "path");
  std::thread([] { CHECK_EQ(std::string(quaver_last_error()), ""); }).join();
  check_fails(QUAVER_INVALID_INPUT, QUAVER_INVALID_INPUT, "path");
}

TEST(capi_loads_a_mapped_file) {
  const auto bytes = linear_model();
  const std::string path = "capi_test." + std::to_string(reinterpret_cast<std::uintptr_t>(&bytes)) + ".quaver";
  std::ofstream(path, std::ios::binary).write(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  quaver_model* model = nullptr;
  const quaver_options options = {2, "scalar", "bf16"};
  CHECK(quaver_load(path.c_str(), &options, &model) == QUAVER_OK);
  std::remove(path.c_str());
  std::vector<float> x(3, 1.0f), y(2), copy(3);
  quaver_buffer in = rows(x, 1, 3), out[] = {rows(y, 1, 2), rows(copy, 1, 3)};
  CHECK(quaver_run(model, &in, 1, out, 2) == QUAVER_OK);
  CHECK_EQ(y, (std::vector<float>{19, 32}));
  quaver_free(model);
}

TEST(capi_runs_in_many_threads) {
  const Linear linear;
  std::atomic<int> wrong = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (int round = 0; round < 200; ++round) {
        const std::int64_t n = 1 + (round + t) % 3;  // the last plan changes under the others' feet
        std::vector<float> x(n * 3, static_cast<float>(t)), y(n * 2), copy(n * 3);
        quaver_buffer in = rows(x, n, 3), out[] = {rows(y, n, 2), rows(copy, n, 3)};
        wrong += quaver_run(linear.model, &in, 1, out, 2) != QUAVER_OK;
        for (std::int64_t i = 0; i < n; ++i) wrong += y[2 * i] != 10.0f + 9 * t || y[2 * i + 1] != 20.0f + 12 * t;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK_EQ(wrong.load(), 0);
}
