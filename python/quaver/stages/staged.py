"""A model in stages: native ones, nodes on the host, and, with a fallback, foreign ones."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
from onnx import ModelProto, TypeProto, ValueInfoProto, numpy_helper

from quaver import _core
from quaver.convert.onnx.dtypes import known_dtype, numpy_dtype
from quaver.convert.onnx.names import node_name
from quaver.convert.onnx.shapes import shape_of
from quaver.errors import InputError, UnsupportedError
from quaver.stages.assign import FOREIGN, HOST, NATIVE, Assignment, assign
from quaver.stages.deciding import KNOWN, levels
from quaver.stages.extract import part, types_of, with_initializers, with_tensors
from quaver.stages.foreign import Foreign
from quaver.stages.host import Host, host_of
from quaver.stages.native import Specialized, Whole, native
from quaver.stages.options import Options

_NAMED = re.compile(r"^[\w.]+ '([^']*)'")


class Runs(Protocol):
    """What a stage does: give its outputs for its inputs, both in order."""

    kind: str

    def run(self, arrays: Sequence[Any]) -> list[Any]:
        """Run once."""


class Stage(NamedTuple):
    """One stage of a model, and where it takes its inputs from and leaves its outputs."""

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    runs: Runs
    model: ModelProto
    reasons: dict[str, str]
    """Why its nodes are not native, by their names."""


class Port(NamedTuple):
    """An input or output, as `_core.Port`; a dtype of object stands for what is no tensor."""

    name: str
    dtype: np.dtype[Any]
    shape: tuple[int | None, ...]


class Staged:
    """A model in stages, with what `_core.Model` has as far as stages can have it.

    Raises
    ------
    UnsupportedError
        If some node can run nowhere.
    """

    def __init__(self, model: ModelProto, options: Options) -> None:
        model = with_initializers(model)
        self._model = model
        self._options = options
        tensors = {tensor.name for tensor in model.graph.initializer}
        self.inputs = [_port(i) for i in model.graph.input if i.name not in tensors]
        self.outputs = [_port(info) for info in model.graph.output]
        self._initializers = tensors
        self._types = types_of(model)
        self._refused: dict[str, str] = {}
        self.stages = self._cut()

    @property
    def isa(self) -> str:
        """The highest instruction set of the native stages."""
        return str(_core.info()["isa"]) if self._options.isa is None else self._options.isa

    @property
    def threads(self) -> int:
        """Threads a stage is spread over."""
        return self._options.threads or int(_core.info()["threads"])

    @property
    def float_precision(self) -> str:
        """Of the native stages."""
        return self._options.float_precision

    def run(self, arrays: Sequence[Any]) -> list[Any]:
        """Run once on all inputs in order."""
        return self._run(arrays, None)

    def feeds(self, arrays: Sequence[Any]) -> list[list[Any]]:
        """Return what each stage takes in a run."""
        taken: list[list[Any]] = []
        self._run(arrays, taken)
        return taken

    def _run(self, arrays: Sequence[Any], taken: list[list[Any]] | None) -> list[Any]:
        if len(arrays) != len(self.inputs):
            raise InputError(f"expected {len(self.inputs)} inputs, got {len(arrays)}")
        values: dict[str, Any] = {"": None}
        for port, array in zip(self.inputs, arrays, strict=True):
            values[port.name] = _checked(port, array)
        for stage in self.stages:
            given = [values[name] for name in stage.inputs]
            if taken is not None:
                taken.append(given)
            try:
                made = stage.runs.run(given)
            except UnsupportedError as error:
                # Not native for the sizes of this run: cut again without that node, and run again.
                if not isinstance(stage.runs, (Whole, Specialized)) or not self._note(error):
                    raise
                self.stages = self._cut()
                if taken is not None:
                    taken.clear()
                return self._run(arrays, taken)
            values.update(zip(stage.outputs, made, strict=True))
        return [values[port.name] for port in self.outputs]

    def profile(
        self,
        arrays: Sequence[Any],  # noqa: ARG002
        runs: int,  # noqa: ARG002
        kernels: str | None = None,  # noqa: ARG002
    ) -> list[tuple[str, float]]:
        """Refuse: only the steps of one native graph are timed."""
        raise UnsupportedError("the model runs in stages; only a single native graph is profiled")

    def serialize(self, packed: bool = False) -> bytes:
        """Refuse: a compiled file holds one native graph."""
        whole = len(self.stages) == 1 and isinstance(self.stages[0].runs, Whole)
        if whole:
            return self._whole().serialize(packed)
        raise UnsupportedError(self._unsaved())

    def save(self, path: str, packed: bool = False) -> None:
        """Write a compiled file, where the model is one native graph."""
        if not (len(self.stages) == 1 and isinstance(self.stages[0].runs, Whole)):
            raise UnsupportedError(self._unsaved())
        self._whole().save(path, packed)

    def _whole(self) -> _core.Model:
        runs = self.stages[0].runs
        assert isinstance(runs, Whole)
        return runs.core

    def _unsaved(self) -> str:
        kinds = list(dict.fromkeys(stage.runs.kind for stage in self.stages))
        if kinds == ["native"]:
            names = ", ".join(repr(port.name) for port in self.inputs)
            return (
                "the model cannot be compiled into a file before the contents that decide its "
                f"sizes or branches are known: bind them, load(..., constants={{...}}), of {names}"
            )
        return (
            f"the model runs in {len(self.stages)} stages ({', '.join(kinds)}), and a compiled "
            "file holds one native graph; keep the ONNX file (`quaver inspect` shows the stages)"
        )

    def _cut(self) -> list[Stage]:
        """Cut, make the stages, and cut again without what a native stage refused."""
        while True:
            assignment = assign(self._model, self._types, self._refused, self._options)
            refusal: UnsupportedError | None = None
            stages = []
            for device, nodes in assignment.stages:
                model = part(self._model, nodes, self._types, assignment.shared)
                try:
                    stages.append(self._stage(device, model, nodes, assignment))
                except UnsupportedError as error:
                    if device != NATIVE or not self._note(error):
                        raise
                    refusal = error
                    break
            if refusal is None:
                return stages

    def _stage(
        self, device: int, model: ModelProto, nodes: Sequence[int], assignment: Assignment
    ) -> Stage:
        if device == FOREIGN:
            runs: Runs = Foreign(with_tensors(model), self._options)
        elif device == HOST:
            runs = Host(with_tensors(_evaluated(model, self._options)), self._options)
        else:
            curable = any(i in assignment.curable for i in nodes)
            runs = native(model, self._options, curable=curable)
        graph = model.graph
        reasons = {
            node_name(self._model.graph.node[i]): assignment.reasons[i]
            for i in nodes
            if device != NATIVE and i in assignment.reasons
        }
        return Stage(
            tuple(info.name for info in graph.input),
            tuple(info.name for info in graph.output),
            runs,
            model,
            reasons,
        )

    def _note(self, error: UnsupportedError) -> bool:
        """Remember which node a native stage refused; whether it was one of this model."""
        found = _NAMED.match(str(error))
        if not found:
            return False
        for node in self._model.graph.node:
            name = node_name(node)
            # What stands in a branch that a stage took carries the name of its If before its own.
            if (found[1] == name or found[1].startswith(f"{name}/")) and name not in self._refused:
                self._refused[name] = str(error)
                return True
        return False


def native_plans(core: Staged, arrays: Sequence[Any]) -> list[_core.PlanRecord | None]:
    """Return the plan of each stage for these inputs; None for one that is not native."""
    feeds = core.feeds(arrays)
    return [
        stage.runs.inspect(given) if isinstance(stage.runs, (Whole, Specialized)) else None
        for stage, given in zip(core.stages, feeds, strict=True)
    ]


def _evaluated(model: ModelProto, options: Options) -> ModelProto:
    """Give a host stage whose nodes that compute constants have become initializers."""
    tensors = {tensor.name for tensor in model.graph.initializer}
    known = levels(model.graph)
    fixed = [
        i
        for i, node in enumerate(model.graph.node)
        if host_of(node) is None and all(known[name] == KNOWN for name in node.output if name)
    ]
    if not fixed:
        return model
    constants = part(model, fixed, types_of(model))
    values = Whole(constants, options).run([])
    result = ModelProto()
    result.CopyFrom(model)
    del result.graph.node[:]
    result.graph.node.extend(n for i, n in enumerate(model.graph.node) if i not in fixed)
    result.graph.initializer.extend(
        numpy_helper.from_array(value, info.name)
        for info, value in zip(constants.graph.output, values, strict=True)
        if info.name not in tensors
    )
    return result


def _port(info: ValueInfoProto) -> Port:
    kind: TypeProto = info.type
    if not kind.HasField("tensor_type"):
        return Port(info.name, np.dtype(object), ())
    name = known_dtype(kind.tensor_type.elem_type)
    dtype = numpy_dtype(name) if name else np.dtype(object)
    return Port(info.name, dtype, tuple(shape_of(info) or ()))


def _checked(port: Port, array: Any) -> Any:
    """Return an input as the stages take it; nothing is cast."""
    if port.dtype == object:
        return array
    given = np.asarray(array)
    if given.dtype != port.dtype:
        raise InputError(
            f"input '{port.name}': expected dtype {port.dtype}, got {given.dtype}; "
            f'convert it: x.astype("{port.dtype}")'
        )
    fits = len(given.shape) == len(port.shape) and all(
        want in (None, size) for want, size in zip(port.shape, given.shape, strict=True)
    )
    if not fits:
        shown = ", ".join("?" if dim is None else str(dim) for dim in port.shape)
        raise InputError(
            f"input '{port.name}': expected the shape [{shown}], got {list(given.shape)}"
        )
    return given


__all__ = ["Port", "Stage", "Staged", "native_plans"]
