// The checks that make a file safe to read, whatever its bytes are.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "base/blob.h"
#include "quaver_generated.h"

namespace quaver {

enum class FileKind { model, delta };

// A file whose header, root and structure are checked: every index, offset, size and kind in the root can be used. What
// the graph means (shapes against sizes, arity, run order) is left to the graph's verify(), the constants' bytes to
// verify_contents().
class VerifiedFile {
 public:
  // Only bytes that don't begin at a multiple of 64 are copied. Throws as read_model().
  VerifiedFile(Blob bytes, const std::string& where, FileKind kind);

  const fb::Model& root() const { return *root_; }
  const std::shared_ptr<const Blob>& bytes() const { return bytes_; }
  // Every segment of the file against its hash; names the tensor that is damaged.
  void verify_contents() const;
  // A piece of the file, which it keeps alive: a constant that lies in it.
  Blob contents(std::uint32_t tensor) const;

 private:
  std::shared_ptr<const Blob> bytes_;
  std::string where_;
  const fb::Model* root_;
};

}  // namespace quaver
