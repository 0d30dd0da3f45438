#include "bindings/arrays.h"

#include <memory>
#include <string>

#include "base/error.h"

namespace quaver::bindings {

DType dtype_of(const py::dtype& dtype) {
  const auto name = dtype.attr("name").cast<std::string>();
  const auto found = dtype_from_name(name);
  if (!found) fail(Status::unsupported, "no tensor can have the dtype ", name);
  return *found;
}

py::dtype to_numpy(DType dtype) {
  if (dtype == DType::bf16) return py::dtype::from_args(py::module_::import("ml_dtypes").attr("bfloat16"));
  return py::dtype(std::string(name_of(dtype)));
}

Dims dims_of(const py::iterable& shape) {
  Dims dims;
  for (const py::handle dim : shape) {
    const auto known = dim.is_none() ? kDynamic : dim.cast<std::int64_t>();
    dims.push_back(known < 0 ? kDynamic : known);
  }
  return dims;
}

py::tuple to_shape(const Dims& dims) {
  py::tuple shape(dims.size());
  for (std::size_t i = 0; i < dims.size(); ++i) {
    shape[i] = dims[i] < 0 ? py::object(py::none()) : py::object(py::int_(dims[i]));
  }
  return shape;
}

namespace {

py::array with_flags(py::array array, int wanted) {
  const char order = array.dtype().byteorder();
  if ((array.flags() & wanted) == wanted && (order == '=' || order == '|')) return array;
  return array.attr("astype")(array.dtype().attr("newbyteorder")("="), py::arg("order") = "C");
}

}  // namespace

py::array in_rows(py::array array) {
  return with_flags(std::move(array), py::detail::npy_api::NPY_ARRAY_C_CONTIGUOUS_);
}

py::array dense(py::array array) {
  return with_flags(std::move(array),
                    py::detail::npy_api::NPY_ARRAY_C_CONTIGUOUS_ | py::detail::npy_api::NPY_ARRAY_ALIGNED_);
}

Blob blob_of(py::array array) {
  auto* owner = new py::array(dense(std::move(array)));
  const auto release = [](const void* held) {
    const py::gil_scoped_acquire gil;
    delete static_cast<const py::array*>(held);
  };
  const auto bytes = static_cast<std::size_t>(owner->nbytes());
  const void* data = owner->data();
  return Blob(std::shared_ptr<const void>(owner, release), data, bytes);
}

}  // namespace quaver::bindings
