// Where values live in the arena: blocks that are never alive together share bytes.
#pragma once

#include <cstddef>
#include <vector>

namespace quaver {

struct Block {
  std::size_t size = 0;             // bytes
  std::size_t first = 0, last = 0;  // steps at which the block is alive, both included
  std::size_t offset = 0;           // the answer
};

// Gives every block an offset that is a multiple of kAlignment; returns the arena's size.
// Greedy by size: the largest block first, each at the lowest place free over its whole life
// (Pisarchyk and Lee, "Efficient Memory Management for Deep Neural Net Inference", 2020, section 5.2).
std::size_t place(std::vector<Block>& blocks);

}  // namespace quaver
