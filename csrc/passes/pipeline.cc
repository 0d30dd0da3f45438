#include <cstdlib>

#include "base/error.h"
#include "graph/schema.h"
#include "passes/passes.h"

namespace quaver {
namespace {

constexpr Pass kPipeline[] = {
    {"canonicalize", canonicalize},
    {"fold_constants_keep_quantized", fold_constants_keep_quantized},
    {"fuse_functions", fuse_functions},
    {"fuse_gather", fuse_gather},
    {"fuse_bias", fuse_bias},
    {"fuse_dynamic", fuse_dynamic},
    {"push_transposes", push_transposes},
    {"fuse_bias", fuse_bias},
    {"fold_batch_norm", fold_batch_norm},
    {"fold_constants_keep_quantized", fold_constants_keep_quantized},
    {"lower_qdq", lower_qdq},
    {"fold_constants", fold_constants},
    {"normalize_s8", normalize_s8},
    {"fuse_activation", fuse_activation},
    {"fuse_attention", fuse_attention},
    {"fuse_tables", fuse_tables},
    {"fuse_residual", fuse_residual},
    {"fuse_norm", fuse_norm},
    {"fold_factors", fold_factors},
    {"flush_weights", flush_weights},
    {"canonicalize", canonicalize},
    {"remove_dead", remove_dead},
};

bool verify_each() {
#ifdef NDEBUG
  return std::getenv("QUAVER_VERIFY_PASSES") != nullptr;
#else
  return true;
#endif
}

void run_pass(Graph& graph, const Pass& pass, const Evaluator& evaluate) {
  try {
    pass.run(graph, evaluate);
    if (verify_each()) verify(graph);
  } catch (const Error& error) {
    fail(error.status(), error.what(), " (in the pass '", pass.name, "')");
  }
}

}  // namespace

void run_pipeline(Graph& graph, const Evaluator& evaluate) {
  verify(graph);
  infer_shapes(graph);
  for (const Pass& pass : kPipeline) run_pass(graph, pass, evaluate);
  verify(graph);
  infer_shapes(graph);
}

}  // namespace quaver
