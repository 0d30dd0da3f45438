// libFuzzer over read_model: any bytes are refused with an Error or give a graph that verify() accepts. See README.md.
#include <cstdint>
#include <cstdlib>

#include "../cpp/model_sample.h"
#include "base/error.h"
#include "graph/schema.h"

using namespace sample;

extern "C" std::size_t LLVMFuzzerMutate(std::uint8_t* data, std::size_t size, std::size_t max_size);

// Starts from an intact file, and keeps sizes and hash right, so that the search is not stopped at the header.
extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size, std::size_t max_size,
                                               unsigned seed) {
  if (size < sizeof(Header)) {
    const File intact = write_model(graph());
    if (intact.size() > max_size) return LLVMFuzzerMutate(data, size, max_size);
    std::memcpy(data, intact.data(), intact.size());
    return intact.size();
  }
  File file(max_size);
  std::memcpy(file.data(), data, size);
  const std::size_t root = header_of(file).root_offset;
  if (seed % 8 && root < size) {  // mostly the root alone
    size = root + LLVMFuzzerMutate(reinterpret_cast<std::uint8_t*>(file.data()) + root, size - root, max_size - root);
  } else {
    size = LLVMFuzzerMutate(reinterpret_cast<std::uint8_t*>(file.data()), size, max_size);
  }
  file.resize(size);
  if (size >= sizeof(Header) && seed % 16) {
    Header header = header_of(file);
    header.file_size = size;
    header.root_size = size - header.root_offset;
    set_header(file, header);
    rehash(file);
  }
  std::memcpy(data, file.data(), size);
  return size;
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    Graph graph = read_model(Blob::copy(data, size), "fuzz", size % 2 == 0);
    verify(graph);
    dump(graph);
    std::uint8_t sum = 0;
    for (const Value& value : graph.values) {
      for (std::size_t i = 0; value.data && i < value.data->size(); ++i) sum ^= value.data->as<std::uint8_t>()[i];
    }
    volatile std::uint8_t read_to_the_end = sum;
    static_cast<void>(read_to_the_end);
    infer_shapes(graph);
  } catch (const Error&) {
  }
  return 0;
}
