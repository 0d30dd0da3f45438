// Clip (Relu, Relu6) into the node that makes its input.
#include <algorithm>
#include <limits>

#include "passes/clamp.h"
#include "passes/passes.h"
#include "passes/rewrite.h"

namespace quaver {
namespace {

// Rounding keeps order, so between quantized values of the same parameters a clip before it is the same as one after.
bool fuse(Editor& edit, NodeId id) {
  if (edit.node(id).op != Op::Clip) return false;
  const ValueId x = edit.node(id).inputs[0], y = edit.node(id).outputs[0];
  const NodeId maker = edit.producer(x);
  if (maker == kNone || !can_clamp(edit.node(maker).op) || !edit.single_use(x)) return false;
  if (edit.value(x).quant != edit.value(y).quant || edit.value(x).dtype != edit.value(y).dtype) return false;
  clamp_after(edit.node(maker), edit.node(id).attrs);
  remark(edit.node(maker), "with " + label(edit.node(id)));
  edit.kill(id);
  edit.set_output(maker, 0, y);
  return true;
}

constexpr Rule kRules[] = {{"fuse_activation", fuse}};

}  // namespace

bool fuse_activation(Graph& graph, const Evaluator&) { return apply_rules(graph, kRules); }

}  // namespace quaver
