"""A model in stages: native ones, nodes on the host, and, with a fallback, foreign ones."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Sequence
from typing import Any, NamedTuple

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
from quaver.stages.foreign import Foreign, inferred_types
from quaver.stages.host import Host, host_of
from quaver.stages.native import Specialized, Whole, native
from quaver.stages.options import Options
from quaver.stages.rival import Rival, rival_of
from quaver.stages.stage import Runs, Stage, stage_of

_NAMED = re.compile(r"^[\w.]+ '([^']*)'")


class _Refused(Exception):  # noqa: N818 -- no error: it is cut again
    """A native stage refused a node, which is noted."""


class Port(NamedTuple):
    """An input or output, as `_core.Port`; a dtype of object stands for what is no tensor."""

    name: str
    dtype: np.dtype[Any]
    shape: tuple[int | None, ...]


class Staged:
    """A model in stages, with what `_core.Model` has as far as stages can have it.

    Parameters
    ----------
    model
        What is cut.
    options
        How its parts are loaded.
    original
        The model as it came, which a fallback may run faster whole.

    Raises
    ------
    UnsupportedError
        If some node can run nowhere.
    """

    def __init__(self, model: ModelProto, options: Options, original: ModelProto) -> None:
        model = with_initializers(model)
        self._model = model
        self._original = original
        self._options = options
        tensors = {tensor.name for tensor in model.graph.initializer}
        self.inputs = [_port(i) for i in model.graph.input if i.name not in tensors]
        self.outputs = [_port(info) for info in model.graph.output]
        self._names = [port.name for port in self.inputs]
        self._types = types_of(model)
        made = {name for node in model.graph.node for name in node.output if name}
        if options.provider is not None and (unknown := made - self._types.keys()):
            self._types |= inferred_types(model, sorted(unknown))
        self._refused: dict[str, str] = {}
        self.stages: list[Stage]
        self._rival: Rival | None
        self._set(self._cut())

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
        given = self._given(arrays)
        return self._run(given, self._stages_for(given), None)

    def feeds(self, arrays: Sequence[Any]) -> list[tuple[Stage, list[Any]]]:
        """Return the stages of a run on these inputs, and what each takes."""
        taken: list[tuple[Stage, list[Any]]] = []
        given = self._given(arrays)
        self._run(given, self._stages_for(given), taken)
        return taken

    def _given(self, arrays: Sequence[Any]) -> list[Any]:
        if len(arrays) != len(self.inputs):
            raise InputError(f"expected {len(self.inputs)} inputs, got {len(arrays)}")
        return [_checked(port, array) for port, array in zip(self.inputs, arrays, strict=True)]

    def _stages_for(self, given: Sequence[Any]) -> list[Stage]:
        """Return the cut's stages, or the one that has been measured to be faster."""
        if (rival := self._rival) is None:
            return self.stages
        whole = rival.faster(given, self.stages, lambda: self._run(given, self.stages, None))
        stages = self.stages if whole is None else [whole]
        if all(None not in port.shape for port in self.inputs):  # all runs are of this size
            self.stages, self._rival = stages, None
        return stages

    def _run(
        self,
        given: Sequence[Any],
        stages: Sequence[Stage],
        taken: list[tuple[Stage, list[Any]]] | None,
    ) -> list[Any]:
        values = dict(zip(self._names, given, strict=True))
        values[""] = None
        for stage in stages:
            feeds = [values[name] for name in stage.inputs]
            if taken is not None:
                taken.append((stage, feeds))
            try:
                made = stage.runs.run(feeds)
            except UnsupportedError as error:
                # Not native for the sizes of this run: cut again without that node, and run again.
                if not isinstance(stage.runs, (Whole, Specialized)) or not self._note(error):
                    raise
                self._set(self._cut())
                if taken is not None:
                    taken.clear()
                return self._run(given, self.stages, taken)
            values.update(zip(stage.outputs, made, strict=True))
        return [values[port.name] for port in self.outputs]

    def profile(
        self,
        arrays: Sequence[Any],  # noqa: ARG002
        runs: int,  # noqa: ARG002
        kernels: str | None = None,  # noqa: ARG002
        threads: int = 1,  # noqa: ARG002
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

    def _set(self, stages: list[Stage]) -> None:
        self.stages = stages
        self._rival = rival_of(self._original, stages, self._options)

    def _cut(self) -> list[Stage]:
        """Cut, make the stages, and cut again without what a native stage refused."""
        while True:
            assignment = assign(self._model, self._types, self._refused, self._options)
            with contextlib.suppress(_Refused):
                return [self._stage(*stage, assignment) for stage in assignment.stages]

    def _stage(self, device: int, nodes: Sequence[int], assignment: Assignment) -> Stage:
        model = part(self._model, nodes, self._types, assignment.shared)
        if device == FOREIGN:
            alone = len(assignment.stages) == 1
            runs: Runs = Foreign(with_tensors(model), self._options, alone=alone)
        elif device == HOST:
            runs = Host(with_tensors(_evaluated(model, self._options)), self._options)
        else:
            curable = any(i in assignment.curable for i in nodes)
            try:
                runs = native(model, self._options, curable=curable)
            except UnsupportedError as error:
                if not self._note(error):
                    raise
                raise _Refused from error
        reasons = {
            node_name(self._model.graph.node[i]): assignment.reasons[i]
            for i in nodes
            if device != NATIVE and i in assignment.reasons
        }
        return stage_of(model, runs, reasons)

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
    if given.shape == port.shape and given.dtype == port.dtype:
        return given
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


__all__ = ["Port", "Staged"]
