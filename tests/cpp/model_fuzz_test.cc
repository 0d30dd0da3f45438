// Thousands of damaged files: each is refused with an Error or gives a graph that verify() accepts. QUAVER_SLOW=1 tries
// 200,000; tests/fuzz searches further, guided by coverage.
#include <cstdlib>

#include "base/error.h"
#include "cpp/check.h"
#include "cpp/model_mutate.h"
#include "graph/schema.h"

namespace {

using namespace sample;

int files() {
  const char* slow = std::getenv("QUAVER_SLOW");
  return slow && *slow == '1' ? 200000 : 5000;
}

enum class Outcome { loaded, hash, structure, graph };

Outcome outcome_of(const File& file, bool check_contents) {
  try {
    Graph graph = read(file, check_contents);
    verify(graph);
    dump(graph);
    try {
      infer_shapes(graph);
    } catch (const Error&) {  // shapes that don't fit are found here, not by verify()
    }
    return Outcome::loaded;
  } catch (const Error& error) {
    const std::string what = error.what();
    if (what.find("hash") != std::string::npos) return Outcome::hash;
    return what.find("damaged") != std::string::npos ? Outcome::structure : Outcome::graph;
  }
}

}  // namespace

TEST(fuzz_damaged_files) {
  const File intact = write_model(graph());
  int seen[4] = {};
  for (int seed = 0; seed < files(); ++seed) {
    File file = intact;
    Mutator(seed).damage(file);
    try {
      ++seen[static_cast<int>(outcome_of(file, seed % 4 == 0))];
    } catch (const std::exception& error) {
      check::failed(__FILE__, __LINE__, text("seed ", seed, " threw ", error.what()));
    }
  }
  std::cout << "fuzz_damaged_files: " << seen[0] << " loaded; refused for a hash " << seen[1] << ", the structure "
            << seen[2] << ", the graph " << seen[3] << "\n";
  for (const int count : seen) CHECK(count * 100 > files());  // the damage reaches every depth
}
