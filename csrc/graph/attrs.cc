#include "graph/attrs.h"

#include <algorithm>
#include <sstream>

#include "base/error.h"

namespace quaver {
namespace {

constexpr const char* kKinds[] = {"an integer", "a float", "a string", "a list of integers", "a list of floats"};

auto position(auto& items, std::string_view name) {
  return std::lower_bound(items.begin(), items.end(), name,
                          [](const auto& item, std::string_view key) { return item.first < key; });
}

// The value as a T, null where absent.
template <class T>
const T* get(const Attrs& attrs, std::string_view name) {
  const AttrValue* value = attrs.find(name);
  if (!value) return nullptr;
  const T* typed = std::get_if<T>(value);
  if (!typed) {
    fail(Status::invalid_model, "attribute '", name, "' is ", kKinds[value->index()], ", expected ",
         kKinds[AttrValue(T{}).index()]);
  }
  return typed;
}

template <class T>
std::string list(const std::vector<T>& items) {
  std::ostringstream out;
  for (const T& item : items) out << (&item == items.data() ? "" : ", ") << item;
  return "[" + out.str() + "]";
}

}  // namespace

const AttrValue* Attrs::find(std::string_view name) const noexcept {
  const auto at = position(items_, name);
  return at != items_.end() && at->first == name ? &at->second : nullptr;
}

void Attrs::set(std::string_view name, AttrValue value) {
  const auto at = position(items_, name);
  if (at != items_.end() && at->first == name) {
    at->second = std::move(value);
  } else {
    items_.emplace(at, name, std::move(value));
  }
}

void Attrs::erase(std::string_view name) {
  const auto at = position(items_, name);
  if (at != items_.end() && at->first == name) items_.erase(at);
}

std::int64_t Attrs::i(std::string_view name, std::int64_t otherwise) const {
  const auto* value = get<std::int64_t>(*this, name);
  return value ? *value : otherwise;
}

double Attrs::f(std::string_view name, double otherwise) const {
  const AttrValue* any = find(name);
  if (any && std::holds_alternative<std::int64_t>(*any)) return static_cast<double>(std::get<std::int64_t>(*any));
  const auto* value = get<double>(*this, name);
  return value ? *value : otherwise;
}

std::string Attrs::s(std::string_view name, std::string_view otherwise) const {
  const auto* value = get<std::string>(*this, name);
  return value ? *value : std::string(otherwise);
}

std::vector<std::int64_t> Attrs::ints(std::string_view name, std::vector<std::int64_t> otherwise) const {
  const auto* value = get<std::vector<std::int64_t>>(*this, name);
  return value ? *value : otherwise;
}

std::vector<double> Attrs::floats(std::string_view name, std::vector<double> otherwise) const {
  const auto* value = get<std::vector<double>>(*this, name);
  return value ? *value : otherwise;
}

std::string to_string(const AttrValue& value) {
  struct Show {
    std::string operator()(std::int64_t v) const { return std::to_string(v); }
    std::string operator()(double v) const { return text(v); }
    std::string operator()(const std::string& v) const { return "'" + v + "'"; }
    std::string operator()(const std::vector<std::int64_t>& v) const { return list(v); }
    std::string operator()(const std::vector<double>& v) const { return list(v); }
  };
  return std::visit(Show{}, value);
}

}  // namespace quaver
