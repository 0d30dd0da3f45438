// Derived constants (packed weights, their sums), made once per model and kept for all its plans. A compiled file may
// bring them along; then they are used where they lie in the file, and what they derive from is not read.
#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <utility>

#include "base/aligned.h"
#include "base/blob.h"

namespace quaver {

using PackedBlock = std::shared_ptr<const Blob>;

class PackCache {
 public:
  // The constant's bytes, which live as long as the model.
  using Source = const void*;

  PackCache() = default;
  // Starts with the other's blocks of these sources: constants that two models share, used in the same way by both.
  PackCache(PackCache& other, const std::set<Source>& sources);

  // The block of `size` bytes stored under (source, kind), made by `make` where there is none. `kind` names the layout
  // and everything else the block depends on. Throws what the checks of adopt() and suspect() throw, and
  // Error(corrupt_file) where an adopted block has another size.
  PackedBlock get(Source source, const std::string& kind, std::size_t size,
                  const std::function<void(std::byte*)>& make);

  // Stores a block from elsewhere. `check` throws where its bytes are damaged; it is called once, on first use.
  void adopt(Source source, std::string kind, Blob block, std::function<void()> check);
  // `check` is called once, before a block is first made from this source, whose bytes nobody has looked at yet.
  void suspect(Source source, std::function<void()> check);
  // Makes up for every check that is still due.
  void check_sources();

  // visit(source, kind, block) for all blocks, in no order that another process would repeat.
  void each(const std::function<void(Source, const std::string&, const Blob&)>& visit) const;

 private:
  struct Entry {
    PackedBlock block;
    std::function<void()> check;  // empty once called
  };

  void clear_suspicion(Source source);

  mutable std::mutex mutex_;
  std::map<std::pair<Source, std::string>, Entry> blocks_;
  std::map<Source, std::function<void()>> suspects_;
};

}  // namespace quaver
