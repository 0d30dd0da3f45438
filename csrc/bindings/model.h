// The object behind _core.Model.
#pragma once

#include "model/model.h"

#include <memory>
#include <utility>
#include <vector>

#include "bindings/bindings.h"

namespace quaver::bindings {

using Release = py::gil_scoped_release;
using Arrays = std::vector<py::array>;

// NumPy's dtypes of a model's inputs and outputs.
struct Dtypes {
  explicit Dtypes(const Model& model);
  std::vector<py::dtype> in, out;
};

class PyModel {
 public:
  explicit PyModel(std::shared_ptr<Model> model) : model_(std::move(model)), dtypes_(*model_) {}
  PyModel(std::shared_ptr<Model> model, Dtypes dtypes) : model_(std::move(model)), dtypes_(std::move(dtypes)) {}
  PyModel(PyModel&&) = default;
  ~PyModel() {
    const Release released;
    model_.reset();
  }

  Model& model() const { return *model_; }
  const std::shared_ptr<Model>& shared() const { return model_; }
  const Dtypes& dtypes() const { return dtypes_; }
  std::shared_ptr<const Plan> plan(const std::vector<Dims>& shapes) const;

  // The arrays as the core reads them: of the inputs' dtypes, dense.
  Arrays inputs_of(const py::sequence& given) const;
  Arrays outputs_for(const Plan& plan) const;

 private:
  py::array input_of(std::size_t i, const py::handle& given) const;

  std::shared_ptr<Model> model_;
  Dtypes dtypes_;
};

}  // namespace quaver::bindings
