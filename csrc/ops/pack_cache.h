// Derived constants (packed weights), made once per model and kept for all its plans.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>

#include "base/aligned.h"

namespace quaver {

class PackCache {
 public:
  // The block stored under (source, kind), made by `make` where there is none. `source` is the constant's bytes, which
  // live as long as the model; `kind` names the layout and everything else the block depends on.
  std::shared_ptr<const AlignedBuffer> get(const void* source, const std::string& kind,
                                           const std::function<AlignedBuffer()>& make) {
    const std::lock_guard lock(mutex_);
    auto& slot = blocks_[{source, kind}];
    if (!slot) slot = std::make_shared<const AlignedBuffer>(make());
    return slot;
  }

 private:
  std::mutex mutex_;
  std::map<std::pair<const void*, std::string>, std::shared_ptr<const AlignedBuffer>> blocks_;
};

}  // namespace quaver
