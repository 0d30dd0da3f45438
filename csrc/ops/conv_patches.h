// A network's first convolution, whose pixels have few channels. A product over single pixels, or over a window's rows,
// would mostly multiply the padding of its last quads, so each window's bytes are laid side by side first: a few moves
// of 16 bytes a window, where what a move takes too much the next one overwrites.
#pragma once

#include <memory>

#include "ops/conv_geometry.h"

namespace quaver {

// Null where the convolution is of another kind.
std::unique_ptr<Step> lower_conv_patches(LowerContext& context, const ConvGeometry& geometry);

}  // namespace quaver
