#include "model/verifier.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <cstring>
#include <span>
#include <type_traits>
#include <utility>

#include "base/error.h"
#include "graph/graph.h"
#include "model/hash.h"
#include "model/layout.h"

namespace quaver {
namespace {

using Span = std::span<const std::byte>;

class FileVerifier {
 public:
  FileVerifier(Span bytes, const std::string& where, FileKind kind) : bytes_(bytes), where_(where), kind_(kind) {}

  const fb::Model& run() {
    read_header();
    read_root();
    check_vectors();
    check_segments();
    check_tensors();
    check_packed();
    for (const fb::Value* value : *root_->values()) check_value(*value);
    check_ids(*root_->inputs(), "the graph's inputs", false);
    check_ids(*root_->outputs(), "the graph's outputs", false);
    for (const fb::Node* node : *root_->nodes()) check_node(*node);
    if (!unknown_.empty()) newer(unknown_.substr(2));
    return *root_;
  }

 private:
  template <class... Parts>
  [[noreturn]] void corrupt(Parts&&... parts) const {
    fail(Status::corrupt_file, where_, ": ", std::forward<Parts>(parts)...);
  }
  [[noreturn]] void newer(const std::string& what) const {
    fail(Status::unsupported, where_, ": needs a newer Quaver than " QUAVER_VERSION, root_ ? " (" : "",
         root_ ? "written by " + root_->producer()->str() + ")" : "", ": ", what);
  }

  bool is_base(const fb::Segment& segment) const {
    return kind_ == FileKind::delta && segment.kind() == static_cast<std::uint32_t>(SegmentKind::base);
  }

  void read_header();
  void read_root();
  void check_vectors();
  void check_segments() const;
  void check_tensors() const;
  void check_packed();
  void check_value(const fb::Value& value);
  void check_node(const fb::Node& node);
  void check_attrs(const fb::Node& node);
  void check_ids(const flatbuffers::Vector<std::uint32_t>& ids, std::string_view of, bool optional) const;

  // What FlatBuffers' verifier leaves open. A vector's elements may be misaligned. And many offsets may share one
  // vector, so that a small root asks for endless memory: ours share none, so what is read may not add up to more than
  // the root.
  template <class T>
  void check(const flatbuffers::Vector<T>* vector) {
    using Item = std::remove_const_t<std::remove_pointer_t<T>>;
    if (!vector) return;
    if (vector->size() && reinterpret_cast<std::uintptr_t>(vector->Data()) % alignof(Item)) {
      corrupt("damaged: a list in its root is misaligned");
    }
    const std::size_t size = sizeof(std::uint32_t) + vector->size() * sizeof(Item);
    if (size > budget_) corrupt("damaged: its root refers to the same bytes more than once");
    budget_ -= size;
  }

  Span bytes_;
  const std::string& where_;
  FileKind kind_;
  Header header_;
  const fb::Model* root_ = nullptr;
  std::size_t budget_ = 0;
  std::string unknown_;  // operators, each after ", "
};

void FileVerifier::read_header() {
  if (bytes_.empty()) corrupt("the file is empty");
  const auto begins_as = [&](const std::array<char, 8>& magic) {
    return std::memcmp(bytes_.data(), magic.data(), std::min(bytes_.size(), magic.size())) == 0;
  };
  if (kind_ == FileKind::model) {
    if (begins_as(kDeltaMagic)) corrupt("a delta, not a model; apply it to the model that it was made from");
    if (!begins_as(kMagic)) corrupt("not a compiled Quaver model");
  } else if (!begins_as(kDeltaMagic)) {
    corrupt(begins_as(kMagic) ? "a model, not a delta; load it" : "not a Quaver delta");
  }
  if (bytes_.size() < sizeof header_) corrupt("truncated: ", bytes_.size(), " bytes are less than a header");
  std::memcpy(&header_, bytes_.data(), sizeof header_);
  if (header_.format == 0) corrupt("damaged: format 0 does not exist");
  if (header_.format > kFormat)
    newer(text("the file is of format ", header_.format, ", the newest known is ", kFormat));
  if (header_.format < kFormat) {
    fail(Status::unsupported, where_, ": of format ", header_.format, ", which is no longer read; compile it anew");
  }
  if (bytes_.size() < header_.file_size) {
    corrupt("truncated: its header says ", header_.file_size, " bytes, it has ", bytes_.size());
  }
  if (bytes_.size() > header_.file_size) {
    corrupt("damaged: its header says ", header_.file_size, " bytes, it has ", bytes_.size());
  }
}

void FileVerifier::read_root() {
  const std::uint64_t offset = header_.root_offset, size = header_.root_size;
  if (offset % kAlignment || offset < sizeof header_ || offset > bytes_.size() || size != bytes_.size() - offset) {
    corrupt("damaged: its header puts the root at byte ", offset, ", of ", size, " bytes, in a file of ",
            bytes_.size());
  }
  const Span root = bytes_.subspan(offset);
  if (xxh3(root) != header_.root_hash) corrupt("damaged: its root does not match the hash in its header");
  const auto* data = reinterpret_cast<const std::uint8_t*>(root.data());
  flatbuffers::Verifier verifier(data, root.size());
  if (!fb::VerifyModelBuffer(verifier)) corrupt("damaged: its root is not valid FlatBuffers of this schema");
  root_ = fb::GetModel(data);
  budget_ = size;
}

void FileVerifier::check_vectors() {
  check(root_->producer());
  check(root_->name());
  check(root_->values());
  check(root_->nodes());
  check(root_->inputs());
  check(root_->outputs());
  check(root_->tensors());
  check(root_->segments());
}

void FileVerifier::check_segments() const {
  std::uint64_t free_from = sizeof header_;
  for (std::uint32_t i = 0; i < root_->segments()->size(); ++i) {
    const fb::Segment& segment = *root_->segments()->Get(i);
    if (is_base(segment)) continue;
    if (segment.offset() % kPage)
      corrupt("damaged: segment ", i, " begins at byte ", segment.offset(), ", within a page");
    if (segment.offset() > bytes_.size() || segment.size() > bytes_.size() - segment.offset()) {
      corrupt("truncated: segment ", i, " at byte ", segment.offset(), ", of ", segment.size(),
              " bytes, ends after the ", bytes_.size(), "-byte file");
    }
    if (segment.offset() < free_from || segment.offset() + segment.size() > header_.root_offset) {
      corrupt("damaged: segment ", i, " overlaps what lies before or after it");
    }
    free_from = segment.offset() + segment.size();
  }
}

void FileVerifier::check_tensors() const {
  const fb::Tensor* previous = nullptr;
  for (std::uint32_t i = 0; i < root_->tensors()->size(); ++i) {
    const fb::Tensor& tensor = *root_->tensors()->Get(i);
    if (tensor.segment() >= root_->segments()->size())
      corrupt("damaged: tensor ", i, " lies in a segment that is not there");
    const fb::Segment& segment = *root_->segments()->Get(tensor.segment());
    if (segment.kind() != static_cast<std::uint32_t>(SegmentKind::canonical) && !is_base(segment)) {
      corrupt("damaged: tensor ", i, " lies in a segment of another kind (", segment.kind(), ")");
    }
    if (tensor.offset() % kAlignment) corrupt("damaged: tensor ", i, " is not aligned to ", kAlignment, " bytes");
    if (tensor.offset() > segment.size() || tensor.size() > segment.size() - tensor.offset()) {
      corrupt("damaged: tensor ", i, " ends after its segment of ", segment.size(), " bytes");
    }
    if (previous &&
        (tensor.segment() < previous->segment() ||
         (tensor.segment() == previous->segment() && tensor.offset() < previous->offset() + previous->size()))) {
      corrupt("damaged: tensor ", i, " overlaps the one before it");
    }
    previous = &tensor;
  }
}

void FileVerifier::check_packed() {
  check(root_->packed());
  if (!root_->packed()) return;
  for (const fb::Packed* row : *root_->packed()) {
    check(row->kind());
    const auto kind = row->kind()->string_view();
    if (row->tensor() >= root_->tensors()->size() || row->segment() >= root_->segments()->size()) {
      corrupt("damaged: packed weights (", kind, ") refer to what is not there");
    }
    const fb::Segment& segment = *root_->segments()->Get(row->segment());
    if (segment.kind() != static_cast<std::uint32_t>(SegmentKind::packed)) {
      corrupt("damaged: packed weights (", kind, ") lie in a segment of another kind (", segment.kind(), ")");
    }
    if (row->offset() % kAlignment) corrupt("damaged: packed weights (", kind, ") are not aligned to ", kAlignment);
    if (row->offset() > segment.size() || row->size() > segment.size() - row->offset()) {
      corrupt("damaged: packed weights (", kind, ") end after their segment of ", segment.size(), " bytes");
    }
  }
}

void FileVerifier::check_value(const fb::Value& value) {
  check(value.name());
  check(value.shape());
  if (value.quant()) {
    check(value.quant()->scale());
    check(value.quant()->zero_point());
  }
  if (value.dtype() >= kDTypeCount) {
    newer(text("'", value.name()->string_view(), "' has element type ", int{value.dtype()}));
  }
  if (value.tensor() && *value.tensor() >= root_->tensors()->size()) {
    corrupt("damaged: '", value.name()->string_view(), "' has its contents in tensor ", *value.tensor(), " of ",
            root_->tensors()->size());
  }
}

void FileVerifier::check_node(const fb::Node& node) {
  check(node.name());
  check(node.op());
  check(node.note());
  check(node.inputs());
  check(node.outputs());
  check(node.attrs());
  check_ids(*node.inputs(), node.name()->string_view(), true);
  check_ids(*node.outputs(), node.name()->string_view(), false);
  check_attrs(node);
  if (!op_from_name(node.op()->string_view())) {
    unknown_ += text(", operator '", node.op()->string_view(), "' of node '", node.name()->string_view(), "'");
  }
}

void FileVerifier::check_attrs(const fb::Node& node) {
  const fb::Attr* previous = nullptr;
  for (const fb::Attr* attr : *node.attrs()) {
    check(attr->name());
    check(attr->s());
    check(attr->ints());
    check(attr->floats());
    const bool known = attr->kind() <= fb::AttrKind::MAX;
    const bool there[] = {attr->i().has_value(), attr->f().has_value(), attr->s() != nullptr, attr->ints() != nullptr,
                          attr->floats() != nullptr};
    if (!known || !there[static_cast<int>(attr->kind())]) {
      corrupt("damaged: attribute '", attr->name()->string_view(), "' of '", node.name()->string_view(),
              "' has no value");
    }
    if (previous && previous->name()->string_view() >= attr->name()->string_view()) {
      corrupt("damaged: the attributes of '", node.name()->string_view(), "' are out of order");
    }
    previous = attr;
  }
}

void FileVerifier::check_ids(const flatbuffers::Vector<std::uint32_t>& ids, std::string_view of, bool optional) const {
  for (const std::uint32_t id : ids) {
    if (id >= root_->values()->size() && !(optional && id == kNone)) {
      corrupt("damaged: '", of, "' refers to value ", id, " of ", root_->values()->size());
    }
  }
}

}  // namespace

VerifiedFile::VerifiedFile(Blob bytes, const std::string& where, FileKind kind) : where_(where) {
  if constexpr (std::endian::native != std::endian::little) {
    fail(Status::unsupported, where, ": model files are little endian, and this machine is not");
  }
  if (reinterpret_cast<std::uintptr_t>(bytes.data()) % kAlignment) bytes = Blob::copy(bytes.data(), bytes.size());
  bytes_ = std::make_shared<const Blob>(std::move(bytes));
  root_ = &FileVerifier({bytes_->data(), bytes_->size()}, where_, kind).run();
}

void VerifiedFile::verify_contents() const {
  for (std::uint32_t i = 0; i < root_->segments()->size(); ++i) {
    const fb::Segment& segment = *root_->segments()->Get(i);
    if (segment.kind() == static_cast<std::uint32_t>(SegmentKind::base)) continue;
    const Span whole(bytes_->data() + segment.offset(), segment.size());
    if (xxh3(whole) == segment.hash()) continue;
    for (const fb::Value* value : *root_->values()) {
      if (!value->tensor()) continue;
      const fb::Tensor& tensor = *root_->tensors()->Get(*value->tensor());
      if (tensor.segment() != i || xxh3(whole.subspan(tensor.offset(), tensor.size())) == tensor.hash()) continue;
      fail(Status::corrupt_file, where_, ": damaged: the contents of '", value->name()->string_view(),
           "' do not match their hash");
    }
    fail(Status::corrupt_file, where_, ": damaged: segment ", i, " does not match its hash");
  }
}

Blob VerifiedFile::contents(std::uint32_t index) const {
  const fb::Tensor& tensor = *root_->tensors()->Get(index);
  const std::uint64_t offset = root_->segments()->Get(tensor.segment())->offset() + tensor.offset();
  return Blob(bytes_, bytes_->data() + offset, tensor.size());
}

}  // namespace quaver
