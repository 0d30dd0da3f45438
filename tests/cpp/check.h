// A test is a function registered under a name; a check that fails prints where and goes on.
//
//   TEST(shape_broadcasts) { CHECK_EQ(broadcast({2, 1}, {3}), (Dims{2, 3})); }
//
// `quaver_tests` runs all, or those whose name contains an argument; `--list` names them. Exit 1 where one failed.
#pragma once

#include <cstdint>
#include <functional>
#include <iostream>
#include <sstream>
#include <string>
#include <vector>

namespace check {

struct Test {
  std::string name;
  std::function<void()> run;
};

inline std::vector<Test>& tests() {
  static std::vector<Test> all;
  return all;
}

// Registers a test; also callable at start-up for tests generated from a list.
inline bool add(std::string name, std::function<void()> run) {
  tests().push_back({std::move(name), std::move(run)});
  return true;
}

// Counts a failure of the running test and prints it.
void failed(const char* file, int line, const std::string& what);

template <class T>
std::string show(const T& value) {
  if constexpr (requires(std::ostream& out) { out << value; }) {
    std::ostringstream out;
    out << value;
    return out.str();
  } else if constexpr (requires { value.begin(); }) {
    std::string out = "{";
    for (const auto& item : value) out += (out.size() > 1 ? ", " : "") + show(item);
    return out + "}";
  } else {
    return "?";
  }
}

}  // namespace check

#define TEST(name)                                                       \
  static void test_##name();                                             \
  static const bool registered_##name = check::add(#name, &test_##name); \
  static void test_##name()

#define CHECK(condition)                                             \
  do {                                                               \
    if (!(condition)) check::failed(__FILE__, __LINE__, #condition); \
  } while (false)

#define CHECK_EQ(a, b)                                                                                   \
  do {                                                                                                   \
    const auto left_ = (a);                                                                              \
    const auto right_ = (b);                                                                             \
    if (!(left_ == right_))                                                                              \
      check::failed(__FILE__, __LINE__,                                                                  \
                    std::string(#a " == " #b ": ") + check::show(left_) + " vs " + check::show(right_)); \
  } while (false)

// `statement` must throw `Type` with `words` in its message.
#define CHECK_THROWS(statement, Type, words)                                                    \
  do {                                                                                          \
    try {                                                                                       \
      statement;                                                                                \
      check::failed(__FILE__, __LINE__, #statement " did not throw");                           \
    } catch (const Type& error_) {                                                              \
      if (std::string(error_.what()).find(words) == std::string::npos)                          \
        check::failed(__FILE__, __LINE__, std::string("unexpected message: ") + error_.what()); \
    }                                                                                           \
  } while (false)
