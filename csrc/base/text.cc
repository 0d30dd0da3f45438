#include "base/text.h"

#include <charconv>
#include <cstdio>

namespace quaver {

TextPart::TextPart(double number)
    : text_(digits_, static_cast<std::size_t>(std::snprintf(digits_, sizeof digits_, "%g", number))) {}

void TextPart::write(std::int64_t number) { text_ = {digits_, std::to_chars(digits_, std::end(digits_), number).ptr}; }
void TextPart::write(std::uint64_t number) { text_ = {digits_, std::to_chars(digits_, std::end(digits_), number).ptr}; }

std::string join(std::initializer_list<TextPart> parts) {
  std::size_t size = 0;
  for (const TextPart& part : parts) size += part.get().size();
  std::string whole;
  whole.reserve(size);
  for (const TextPart& part : parts) whole += part.get();
  return whole;
}

}  // namespace quaver
