#include <cstring>
#include <exception>

#include "cpp/check.h"

namespace {
int failures = 0;
}

void check::failed(const char* file, int line, const std::string& what) {
  ++failures;
  std::cerr << file << ":" << line << ": " << what << "\n";
}

int main(int argc, char** argv) {
  const std::string filter = argc > 1 ? argv[1] : "";
  int ran = 0, bad = 0;
  for (const check::Test& test : check::tests()) {
    if (filter == "--list") {
      std::cout << test.name << "\n";
      continue;
    }
    if (test.name.find(filter) == std::string::npos) continue;
    const int before = failures;
    try {
      test.run();
    } catch (const std::exception& error) {
      check::failed("", 0, test.name + " threw: " + error.what());
    }
    ++ran;
    if (failures != before) {
      ++bad;
      std::cerr << "FAILED " << test.name << "\n";
    }
  }
  if (filter == "--list") return 0;
  std::cout << ran - bad << " passed, " << bad << " failed\n";
  return bad || !ran;
}
