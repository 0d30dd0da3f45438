#include "plan/memory.h"

#include <algorithm>
#include <numeric>

#include "base/aligned.h"

namespace quaver {
namespace {

bool together(const Block& a, const Block& b) { return a.first <= b.last && b.first <= a.last; }

}  // namespace

std::size_t place(std::vector<Block>& blocks) {
  std::vector<std::size_t> order(blocks.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](auto a, auto b) { return blocks[a].size > blocks[b].size; });

  std::vector<std::size_t> placed;  // by offset
  std::size_t arena = 0;
  for (const std::size_t i : order) {
    Block& block = blocks[i];
    block.offset = 0;
    for (const std::size_t other : placed) {
      const Block& taken = blocks[other];
      if (!together(block, taken)) continue;
      if (taken.offset >= block.offset + block.size) break;
      block.offset = std::max(block.offset, align_up(taken.offset + taken.size));
    }
    const auto by_offset = [&](std::size_t a, std::size_t b) { return blocks[a].offset < blocks[b].offset; };
    placed.insert(std::upper_bound(placed.begin(), placed.end(), i, by_offset), i);
    arena = std::max(arena, align_up(block.offset + block.size));
  }
  return arena;
}

}  // namespace quaver
