#include "kernels/prefer.h"

#include <algorithm>
#include <thread>

#include "base/error.h"
#include "cpp/check.h"
#include "isa/cpu.h"
#include "isa/peak.h"
#include "kernels/gemm/gemm_u8.h"
#include "kernels/pool/pool.h"
#include "ops/families.h"

namespace quaver {
namespace {

using kernels::Preferred;

TEST(prefer_names_in_a_list) {
  const Preferred preferred("gemm_a,pool_b");
  CHECK(kernels::is_preferred("gemm_a"));
  CHECK(kernels::is_preferred("pool_b"));
  for (const char* other : {"gemm", "gemm_a,", "gemm_ab", "pool", "b", ""}) CHECK(!kernels::is_preferred(other));
  {
    const Preferred none(nullptr);
    CHECK(!kernels::is_preferred("gemm_a"));
  }
  CHECK(kernels::is_preferred("gemm_a"));
  bool elsewhere = true;
  std::thread([&] { elsewhere = kernels::is_preferred("gemm_a"); }).join();
  CHECK(!elsewhere);
}

TEST(prefer_decides_the_choice) {
  const auto list = kernels::gemm_u8_kernels();
  for (std::size_t i = 0; i < list.size; ++i) {
    const auto& kernel = *list.items[i];
    const Preferred preferred(kernel.name);
    const bool usable = detected_isa().has(kernel.isa);
    CHECK_EQ(&kernels::pick_gemm_u8(detected_isa(), 64, 64, 64) == &kernel, usable);
    if (i > 0) CHECK(&kernels::pick_gemm_u8(IsaSet{}, 64, 64, 64) != &kernel);
  }
}

TEST(candidates_are_of_one_kind) {
  const auto list = kernels::pool_kernels();
  for (std::size_t i = 0; i < list.size; ++i) {
    const auto names = candidates_for(list.items[i]->name, detected_isa());
    CHECK(!names.empty());
    for (std::size_t j = 0; j < list.size; ++j) {
      const bool wanted = list.items[j]->kind == list.items[i]->kind && detected_isa().has(list.items[j]->isa);
      const bool named = std::find(names.begin(), names.end(), list.items[j]->name) != names.end();
      CHECK_EQ(named, wanted);
    }
  }
  CHECK(candidates_for("copy", detected_isa()).empty());
}

// As a family that is left out of ops/families.cc has none.
TEST(candidates_of_every_family) {
  for (const char* name :
       {"gemm_u8_scalar", "gemm_f32_scalar", "depthwise_u8_scalar", "depthwise_f32_scalar", "softmax_scalar",
        "attention_u8_scalar", "attention_f32_scalar", "layer_norm_scalar", "tree_f32_scalar", "tree_f64_scalar"}) {
    const auto names = candidates_for(name, detected_isa());
    CHECK(std::find(names.begin(), names.end(), name) != names.end());
    const std::string_view family = std::string_view(name).substr(0, std::string_view(name).rfind('_'));
    for (const std::string& other : names) CHECK(other.starts_with(family));
  }
}

TEST(prefer_refuses_what_cannot_run) {
  expect_kernels("", detected_isa(), "");
  expect_kernels("gemm_u8_scalar,gemm_f32_scalar", IsaSet{}, "");
  CHECK_THROWS(expect_kernels("gemm_u8_scalar,nonsense", detected_isa(), "QUAVER_KERNEL="), Error,
               "QUAVER_KERNEL=nonsense: there is no such kernel");
  const auto list = kernels::gemm_u8_kernels();
  if (list.size > 1) CHECK_THROWS(expect_kernels(list.items[1]->name, IsaSet{}, ""), Error, "needs");
}

TEST(peaks_are_measured_once) {
  const Isa isa = best(detected_isa());
  CHECK_EQ(peak_u8(isa), peak_u8(isa));
  if (isa != Isa::scalar && isa != Isa::neondot) CHECK(peak_u8(isa) > 0);
  CHECK_EQ(peak_u8(Isa::scalar), 0.0);
  CHECK(peak_copy(1) > 0);
  CHECK_EQ(peak_copy(5000), peak_copy(8192));
}

}  // namespace
}  // namespace quaver
