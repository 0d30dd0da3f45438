// A node's attributes: a few named integers, floats, strings and lists of them. Which names a node may have, of which
// kind and with which default, stands in its operator's schema; a node stores only what was given.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace quaver {

using AttrValue = std::variant<std::int64_t, double, std::string, std::vector<std::int64_t>, std::vector<double>>;

class Attrs {
 public:
  const AttrValue* find(std::string_view name) const noexcept;
  bool has(std::string_view name) const noexcept { return find(name) != nullptr; }
  void set(std::string_view name, AttrValue value);
  void erase(std::string_view name);

  // The value, or the given default where the attribute is absent.
  // Throws Error(invalid_model) where it is of another kind.
  std::int64_t i(std::string_view name, std::int64_t otherwise = 0) const;
  double f(std::string_view name, double otherwise = 0) const;  // an integer is taken too
  std::string s(std::string_view name, std::string_view otherwise = "") const;
  std::vector<std::int64_t> ints(std::string_view name, std::vector<std::int64_t> otherwise = {}) const;
  std::vector<double> floats(std::string_view name, std::vector<double> otherwise = {}) const;

  const std::vector<std::pair<std::string, AttrValue>>& items() const noexcept { return items_; }

 private:
  std::vector<std::pair<std::string, AttrValue>> items_;  // sorted by name
};

std::string to_string(const AttrValue& value);

}  // namespace quaver
