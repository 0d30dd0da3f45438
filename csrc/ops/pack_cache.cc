#include "ops/pack_cache.h"

#include "base/error.h"

namespace quaver {

PackCache::PackCache(PackCache& other, const std::set<Source>& sources) {
  const std::lock_guard lock(other.mutex_);
  for (const auto& [key, entry] : other.blocks_) {
    if (sources.contains(key.first)) blocks_.emplace(key, entry);
  }
  for (const auto& [source, check] : other.suspects_) {
    if (sources.contains(source)) suspects_.emplace(source, check);
  }
}

PackedBlock PackCache::get(Source source, const std::string& kind, std::size_t size,
                           const std::function<void(std::byte*)>& make) {
  const std::lock_guard lock(mutex_);
  Entry& entry = blocks_[{source, kind}];
  if (!entry.block) {
    clear_suspicion(source);
    auto buffer = std::make_shared<AlignedBuffer>(size);
    std::byte* data = buffer->data();
    make(data);
    entry.block = std::make_shared<const Blob>(std::move(buffer), data, size);
  }
  if (entry.block->size() != size) {
    fail(Status::corrupt_file, "damaged: packed weights (", kind, ") of ", entry.block->size(), " bytes, expected ",
         size);
  }
  if (entry.check) {
    entry.check();
    entry.check = nullptr;
  }
  return entry.block;
}

void PackCache::adopt(Source source, std::string kind, Blob block, std::function<void()> check) {
  const std::lock_guard lock(mutex_);
  blocks_[{source, std::move(kind)}] = {std::make_shared<const Blob>(std::move(block)), std::move(check)};
}

void PackCache::suspect(Source source, std::function<void()> check) {
  const std::lock_guard lock(mutex_);
  suspects_[source] = std::move(check);
}

void PackCache::clear_suspicion(Source source) {
  const auto found = suspects_.find(source);
  if (found == suspects_.end()) return;
  found->second();
  suspects_.erase(found);
}

void PackCache::check_sources() {
  const std::lock_guard lock(mutex_);
  while (!suspects_.empty()) clear_suspicion(suspects_.begin()->first);
}

void PackCache::each(const std::function<void(Source, const std::string&, const Blob&)>& visit) const {
  const std::lock_guard lock(mutex_);
  for (const auto& [key, entry] : blocks_) {
    if (entry.block) visit(key.first, key.second, *entry.block);
  }
}

}  // namespace quaver
