// quaver::Error becomes the class of quaver.errors that its status names.
#include "base/error.h"

#include "bindings/bindings.h"

namespace quaver::bindings {
namespace {

const char* class_of(Status status) {
  switch (status) {
    case Status::invalid_input: return "InputError";
    case Status::invalid_model: return "ModelError";
    case Status::unsupported: return "UnsupportedError";
    case Status::corrupt_file: return "CorruptFileError";
    case Status::io: return "FileError";
    case Status::isa: return "IsaError";
    case Status::busy: return "BusyError";
    default: return "Error";
  }
}

void translate(std::exception_ptr pointer) {
  try {
    if (pointer) std::rethrow_exception(pointer);
  } catch (const Error& error) {
    if (error.status() == Status::out_of_memory) return py::set_error(PyExc_MemoryError, error.what());
    py::set_error(py::module_::import("quaver.errors").attr(class_of(error.status())), error.what());
  }
}

}  // namespace

void bind_errors(py::module_&) { py::register_local_exception_translator(&translate); }

}  // namespace quaver::bindings
