// Operators that give the same bytes another shape. The plan makes them aliases of their input; a copy is left where
// that cannot be, as from a graph's input to its output.
#include "ops/copy.h"

namespace quaver {

std::unique_ptr<Step> lower_Reshape(LowerContext& context) { return copy_whole(context); }
std::unique_ptr<Step> lower_Flatten(LowerContext& context) { return copy_whole(context); }
std::unique_ptr<Step> lower_Squeeze(LowerContext& context) { return copy_whole(context); }
std::unique_ptr<Step> lower_Unsqueeze(LowerContext& context) { return copy_whole(context); }
std::unique_ptr<Step> lower_Identity(LowerContext& context) { return copy_whole(context); }

}  // namespace quaver
