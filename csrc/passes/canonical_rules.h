// Rules of canonicalize that other rewrites need to have applied in between.
#pragma once

#include "passes/rewrite.h"

namespace quaver {

bool drop_no_op(Editor& edit, NodeId id);
// Flatten, Squeeze, Unsqueeze and a Transpose that moves only dimensions of 1 become Reshape.
bool view_to_reshape(Editor& edit, NodeId id);
bool merge_transposes(Editor& edit, NodeId id);

}  // namespace quaver
