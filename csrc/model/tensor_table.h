// The constants' distinct contents, in order of first use: what a file stores of them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <unordered_map>
#include <vector>

#include "base/aligned.h"
#include "base/blob.h"
#include "graph/graph.h"
#include "model/hash.h"
#include "quaver_generated.h"

namespace quaver {

class TensorTable {
 public:
  TensorTable() = default;
  explicit TensorTable(const Graph& graph) { add_all(graph); }

  void add_all(const Graph& graph) {
    for (const Value& value : graph.values) {
      if (value.data) add(*value.data);
    }
  }

  // The contents' index, new or not.
  std::uint32_t add(const Blob& blob) {
    const fb::Tensor row(align_up(size_), blob.size(), xxh3({blob.data(), blob.size()}), 0);
    if (const fb::Tensor* same = find(row, blob)) return static_cast<std::uint32_t>(same - rows_.data());
    by_hash_.emplace(row.hash(), static_cast<std::uint32_t>(rows_.size()));
    rows_.push_back(row);
    contents_.push_back(blob);
    size_ = row.offset() + row.size();
    return static_cast<std::uint32_t>(rows_.size() - 1);
  }

  // The row of the same contents, which has the hash and size of `like`; null where there is none.
  const fb::Tensor* find(const fb::Tensor& like, const Blob& contents) const {
    const auto [first, last] = by_hash_.equal_range(like.hash());
    for (auto it = first; it != last; ++it) {
      if (equal(contents_[it->second], contents)) return &rows_[it->second];
    }
    return nullptr;
  }

  // As if they lay one after another in one segment.
  const std::vector<fb::Tensor>& rows() const { return rows_; }
  const std::vector<Blob>& contents() const { return contents_; }
  std::size_t size() const { return size_; }

 private:
  static bool equal(const Blob& a, const Blob& b) {
    return a.size() == b.size() && (a.size() == 0 || std::memcmp(a.data(), b.data(), a.size()) == 0);
  }

  std::unordered_multimap<std::uint64_t, std::uint32_t> by_hash_;
  std::vector<fb::Tensor> rows_;
  std::vector<Blob> contents_;
  std::size_t size_ = 0;
};

}  // namespace quaver
