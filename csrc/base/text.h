// Texts out of parts, for messages and keys. No stream: those cost a microsecond each, and much code at every use.
#pragma once

#include <concepts>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>

namespace quaver {

// A part as text: itself, or the digits of a number as a stream would write them.
class TextPart {
 public:
  TextPart(std::string_view text) : text_(text) {}
  TextPart(const std::string& text) : text_(text) {}
  TextPart(const char* text) : text_(text) {}
  TextPart(char letter) : digits_{letter}, text_(digits_, 1) {}
  TextPart(double number);
  // Numbers of one byte are left out: a stream takes them for letters.
  template <std::integral Number>
    requires(sizeof(Number) > 1 || std::same_as<Number, bool>)
  TextPart(Number number) {
    if constexpr (std::signed_integral<Number>) {
      write(std::int64_t{number});
    } else {
      write(std::uint64_t{number});
    }
  }
  TextPart(const TextPart&) = delete;
  TextPart& operator=(const TextPart&) = delete;

  std::string_view get() const { return text_; }

 private:
  void write(std::int64_t number);
  void write(std::uint64_t number);

  char digits_[24];
  std::string_view text_;
};

std::string join(std::initializer_list<TextPart> parts);

// The parts one after another.
template <class... Parts>
std::string text(const Parts&... parts) {
  return join({TextPart(parts)...});
}

}  // namespace quaver
