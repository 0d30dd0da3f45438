// NumPy arrays and dtypes as the core sees them.
#pragma once

#include "base/blob.h"
#include "base/dims.h"
#include "base/dtype.h"
#include "bindings/bindings.h"

namespace quaver::bindings {

// By NumPy's name. Throws Error(unsupported) for a dtype the core does not have.
DType dtype_of(const py::dtype& dtype);
py::dtype to_numpy(DType dtype);

// None or a negative number is a dynamic dimension.
Dims dims_of(const py::iterable& shape);
py::tuple to_shape(const Dims& dims);

// The array's elements: the array itself, kept alive, where they lie dense and aligned in native byte order, else a
// copy. The caller must not write to the array afterwards.
Blob blob_of(py::array array);

// `array` where its elements lie in row-major order without gaps, at any address, and in native byte order; else such a
// copy of it.
py::array in_rows(py::array array);

// As in_rows, and aligned: `array` where it is dense, aligned and in native byte order, else such a copy of it.
py::array dense(py::array array);

}  // namespace quaver::bindings
