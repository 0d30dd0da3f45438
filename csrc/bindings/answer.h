// Requests whose inputs lie in one body, at places that are known: they are read where they lie, and outputs written
// where they are sent from. No array is made.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "bindings/bindings.h"
#include "model/model.h"

namespace quaver::bindings {

// Where a model's inputs lie, in its order: bytes after the body's head.
struct Layout {
  std::vector<Dims> shapes;
  std::vector<std::size_t> offsets;
};

// The bytes of an answer but for its tensors: a piece before each of them. `outputs` are their places among the
// model's, each at most once.
struct Frame {
  std::vector<std::string> pieces;
  std::vector<std::size_t> outputs;
  std::vector<Dims> shapes;
};

// The answer to a body, any object whose bytes can be read; None where the model's outputs have other shapes than the
// frame's. Throws Error(invalid_input) where the inputs don't fit the model, or the body ends before them.
py::object answer(Model& model, const py::object& body, std::size_t start, const Layout& layout, const Frame& frame);

}  // namespace quaver::bindings
