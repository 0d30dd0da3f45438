# make demo | test | bench | tables   what users want
# make lint | format | types | floors  what .ci/run asks of a change, with test
# make asan | tsan | edge              the native tests under sanitizers; the libraries for C alone
# make asan-python                     tests of the extension, itself built with a sanitizer
#
# Everything is installed into .venv from PyPI; what must be there before is checked by `make check`.

PYTHON ?= python3
CXX ?= g++
VENV := .venv
BIN := $(VENV)/bin
BUILD := build/python
STAMPS := $(VENV)/stamps
PIP := $(BIN)/python -m pip --disable-pip-version-check

export CXX
export PATH := $(CURDIR)/$(BIN):$(PATH)
export QUAVER_BUILD_DIR := $(CURDIR)/$(BUILD)

# Tests that go through every binding, but for one of resident memory: what is freed stays a while for the sanitizer.
ASAN_TESTS := $(addprefix tests/python/test_,answer.py delta.py file.py slot.py slot_stages.py surface.py tables.py) \
              -k "not memory_stays"

# What the installed package is made of.
SOURCES := pyproject.toml CMakeLists.txt README.md LICENSE $(shell find csrc python tests/cpp tests/reference \
           bench/native -type f -not -name '*.pyc' 2>/dev/null)

.PHONY: demo test lint format types floors bench tables asan asan-python tsan edge check clean
.DELETE_ON_ERROR:

demo: $(STAMPS)/quaver $(STAMPS)/demo
	$(BIN)/python examples/classify/demo.py

test: $(STAMPS)/quaver $(STAMPS)/test
	$(BIN)/python -m pytest $(PYTEST)

lint: $(STAMPS)/dev
	ruff check .
	ruff format --check .
	git ls-files -co --exclude-standard '*.cc' '*.h' '*.c' | xargs clang-format --dry-run -Werror --style=file

format: $(STAMPS)/dev
	-ruff check --fix .
	ruff format .
	git ls-files -co --exclude-standard '*.cc' '*.h' '*.c' | xargs clang-format -i --style=file

types: $(STAMPS)/dev
	mypy

floors:
	$(PYTHON) tests/floors.py

bench: $(STAMPS)/quaver $(STAMPS)/bench
	$(BIN)/python -m pytest bench $(PYTEST)

# Quaver and its peers, from scratch; TABLES="--networks resnet50 --readme" and the like.
tables: $(STAMPS)/quaver $(STAMPS)/bench $(STAMPS)/pnnx
	PYTHONPATH=bench $(BIN)/python -m compare $(TABLES)

# The native tests under sanitizers.
asan tsan: $(STAMPS)/build-requires
	cmake --preset $@
	cmake --build --preset $@ --target quaver_tests
	build/$@/quaver_tests

# The extension under a sanitizer, in an interpreter that is not: what that leaks is its own. PYTEST="..." runs other tests.
asan-python: $(STAMPS)/quaver $(STAMPS)/test
	cmake --preset $@ -DPython_EXECUTABLE=$(CURDIR)/$(BIN)/python -Dpybind11_DIR=$$($(BIN)/python -m pybind11 --cmakedir)
	cmake --build --preset $@ --target _core
	rm -rf build/$@/site && mkdir -p build/$@/site
	cp -r python/quaver build/$@/site/ && cp build/$@/_core*.so build/$@/site/quaver/
	LD_PRELOAD="$$($(CXX) -print-file-name=libasan.so) $$($(CXX) -print-file-name=libstdc++.so)" \
	  ASAN_OPTIONS=detect_leaks=0 PYTHONPATH=build/$@/site $(BIN)/python -m pytest -s $(or $(PYTEST),$(ASAN_TESTS))

edge: $(STAMPS)/build-requires
	cmake --preset $@
	cmake --build --preset $@

# Built without isolation: the tools stay where they are, so that a build goes on where the last one ended.
$(STAMPS)/quaver: $(STAMPS)/build-requires $(SOURCES)
	$(PIP) install --quiet --no-build-isolation -Cbuild-dir=$(BUILD) -Ccmake.define.QUAVER_TESTS=ON .
	@touch $@

$(STAMPS)/build-requires: $(STAMPS)/venv
	$(BIN)/python .ci/requirements.py build-system | $(PIP) install --quiet cmake ninja -r /dev/stdin
	@touch $@

$(STAMPS)/demo $(STAMPS)/test $(STAMPS)/bench $(STAMPS)/dev: $(STAMPS)/venv
	$(BIN)/python .ci/requirements.py $(@F) | $(PIP) install --quiet -r /dev/stdin
	@touch $@

# Its program alone converts to ncnn; its Python would bring torch.
$(STAMPS)/pnnx: $(STAMPS)/venv
	-$(PIP) install --quiet --no-deps pnnx
	@touch $@

$(STAMPS)/venv: pyproject.toml .ci/requirements.py | check
	$(PYTHON) -m venv $(VENV)
	$(PIP) install --quiet tomli
	@mkdir -p $(STAMPS) && touch $@

check:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || { \
	  echo 'Quaver needs Python 3.10 or newer: install it, or say where it is with PYTHON=python3.12' >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	  echo 'Python lacks venv. Debian, Ubuntu: apt-get install python3-venv' >&2; exit 1; }
	@$(PYTHON) -c 'import pathlib, sys, sysconfig; \
	  sys.exit(not pathlib.Path(sysconfig.get_path("include"), "Python.h").exists())' || { \
	  echo 'Python.h is missing. Debian, Ubuntu: apt-get install python3-dev' >&2; exit 1; }
	@printf '#include <span>\n#include <bit>\nint main() {}\n' | $(CXX) -std=c++20 -fsyntax-only -x c++ - 2>/dev/null || { \
	  echo 'No C++20 compiler as $(CXX). Debian, Ubuntu: apt-get install g++ (11 or newer), or give CXX=...' >&2; exit 1; }

clean:
	rm -rf build $(VENV)
