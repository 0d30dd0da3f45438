"""Native stages: one graph of the core, or one for each set of contents it must know."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, helper

from quaver import _core
from quaver.convert.onnx import bind_constants, import_onnx
from quaver.errors import InputError
from quaver.stages.deciding import bound_inputs
from quaver.stages.options import Options
from quaver.stages.survey import with_branches

Key = tuple[tuple[Any, ...], ...]

_KEPT = 16  # graphs for the contents and shapes last met


def compiled(model: ModelProto, options: Options) -> _core.Model:
    """Import a model whole.

    Raises
    ------
    UnsupportedError
        Where it asks for what is not native.
    """
    graph = _core.Graph()
    import_onnx(model, graph)
    return _core.Model.from_graph(graph, options.threads, options.isa, options.float_precision)


class Specialized:
    """A model compiled for the shapes of its inputs and the contents of those that decide sizes.

    Each set of them is compiled when it is met first and kept with the few met last; a run with
    one that is kept costs a look-up more than a plain model's.

    Parameters
    ----------
    model
        Whose nodes all are native once shapes and the contents of `bound` are known.
    bound
        Names of inputs.
    """

    kind = "native"

    def __init__(self, model: ModelProto, bound: Sequence[str], options: Options) -> None:
        self._model = model
        self._options = options
        names = [info.name for info in model.graph.input]
        self._bound = tuple(names.index(name) for name in bound)
        self._rest = tuple(i for i in range(len(names)) if i not in self._bound)
        self._names = names
        self._cores: OrderedDict[Key, _core.Model] = OrderedDict()
        self._lock = threading.Lock()

    def core(self, arrays: Sequence[NDArray[Any]]) -> _core.Model:
        """Return the graph for these inputs."""
        shapes = tuple((array.shape, array.dtype) for array in arrays)
        contents = tuple(arrays[i].tobytes() for i in self._bound)
        key = (shapes, contents)
        with self._lock:
            core = self._cores.get(key)
            if core is not None:
                self._cores.move_to_end(key)
                return core
            core = compiled(self._fixed(arrays), self._options)
            self._cores[key] = core
            if len(self._cores) > _KEPT:
                self._cores.popitem(last=False)
        return core

    def run(self, arrays: Sequence[NDArray[Any]]) -> list[NDArray[Any]]:
        """Run on all inputs in order."""
        arrays = [np.asarray(array) for array in arrays]
        return self.core(arrays).run([arrays[i] for i in self._rest])

    def inspect(self, arrays: Sequence[NDArray[Any]]) -> _core.PlanRecord:
        """Return the plan for these inputs."""
        arrays = [np.asarray(array) for array in arrays]
        return self.core(arrays).inspect([arrays[i].shape for i in self._rest])

    def _fixed(self, arrays: Sequence[NDArray[Any]]) -> ModelProto:
        """Give the model for inputs of these shapes, and these contents where they decide."""
        model = ModelProto()
        model.CopyFrom(self._model)
        for info, array in zip(model.graph.input, arrays, strict=True):
            elem_type = helper.np_dtype_to_tensor_dtype(array.dtype)
            declared = info.type.tensor_type.elem_type
            if declared not in (0, elem_type):
                raise InputError(
                    f"input '{info.name}': expected dtype "
                    f"{helper.tensor_dtype_to_np_dtype(declared)}, got {array.dtype}"
                )
            info.CopyFrom(helper.make_tensor_value_info(info.name, elem_type, array.shape))
        del model.graph.value_info[:]
        for info in model.graph.output:
            info.type.tensor_type.ClearField("shape")
        contents = {self._names[i]: arrays[i] for i in self._bound}
        if contents:
            model = bind_constants(model, contents)
        return with_branches(model)


class Whole:
    """A model that is one graph for all shapes."""

    kind = "native"

    def __init__(self, model: ModelProto, options: Options) -> None:
        self.core = compiled(model, options)

    def run(self, arrays: Sequence[NDArray[Any]]) -> list[NDArray[Any]]:
        """Run on all inputs in order."""
        return self.core.run(arrays)

    def inspect(self, arrays: Sequence[NDArray[Any]]) -> _core.PlanRecord:
        """Return the plan for these inputs."""
        return self.core.inspect([np.shape(array) for array in arrays])


def native(model: ModelProto, options: Options, *, curable: bool) -> Whole | Specialized:
    """Make a native stage; `curable` says that some node waits for the shapes of a run."""
    bound = bound_inputs(model.graph)
    tensors = [info.type.tensor_type for info in model.graph.input]
    known = all(tensor.elem_type and tensor.HasField("shape") for tensor in tensors)
    if bound or curable or not known:
        return Specialized(model, bound, options)
    return Whole(model, options)
