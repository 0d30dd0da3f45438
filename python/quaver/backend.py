"""Quaver behind ONNX's own interface, `onnx.backend.base`, for its conformance suite and tools.

No other runtime takes part. A model that cannot run with all its inputs open, because weights or
scales come as inputs, is loaded once more for each run with some of them bound as constants (see
`quaver.load`): first the integers after the first input, then everything after it, then
everything. `Prepared.bound` tells which it took.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import ArrayLike, NDArray
from onnx.backend.base import Backend, BackendRep, Device, DeviceType

from quaver.errors import Error, InputError, ModelError
from quaver.model import Model, load

Arrays = dict[str, NDArray[Any]]


class Prepared(BackendRep):
    """A model ready to run.

    Attributes
    ----------
    bound
        Names of the inputs that the last run took as constants.
    kinds
        The kinds of the stages that it ran in: ("native",) for one graph.
    """

    def __init__(self, model: onnx.ModelProto) -> None:
        self.bound: tuple[str, ...] = ()
        self.kinds: tuple[str, ...] = ()
        self._proto = model
        known = {tensor.name for tensor in model.graph.initializer}
        self._names = [info.name for info in model.graph.input if info.name not in known]
        self._open: Model | None = None
        self._refusal: Error | None = None
        try:
            self._open = load(model, fallback=None)
        except ModelError as error:
            self._refusal = error

    def run(self, inputs: Any, **_: Any) -> tuple[Any, ...]:
        """Run the model once.

        Parameters
        ----------
        inputs
            Arrays in the order of the model's inputs, or a mapping from their names.

        Returns
        -------
        tuple of NDArray
            The outputs in the model's order.

        Raises
        ------
        ModelError
            Where Quaver cannot run the model; what it says is of the run with all inputs open.
        InputError
            If an input is missing or does not fit.
        """
        feeds = self._feeds(inputs)
        refusal = self._refusal
        if self._open is not None:
            try:
                self.bound = ()
                outputs = tuple(self._open.run(feeds).values())
                self.kinds = _kinds(self._open)
                return outputs
            except Error as error:
                refusal = error
        for constants in _bindings(feeds):
            try:
                model = load(self._proto, constants=constants, fallback=None)
                rest = {name: array for name, array in feeds.items() if name not in constants}
                outputs = tuple(model.run(rest).values())
            except Error:
                continue  # the first refusal says most
            self.bound = tuple(constants)
            self.kinds = _kinds(model)
            return outputs
        assert refusal is not None
        raise refusal

    def _feeds(self, inputs: Any) -> Arrays:
        if isinstance(inputs, Mapping):
            return {name: _value(array) for name, array in inputs.items()}
        arrays: Sequence[ArrayLike] = [inputs] if isinstance(inputs, np.ndarray) else inputs
        if len(arrays) > len(self._names):
            raise InputError(f"expected {len(self._names)} inputs, got {len(arrays)}")
        return {name: _value(a) for name, a in zip(self._names, arrays, strict=False)}


def _kinds(model: Model) -> tuple[str, ...]:
    stages = getattr(model._core, "stages", None)
    return ("native",) if stages is None else tuple(stage.runs.kind for stage in stages)


def _value(given: Any) -> Any:
    """A tensor as an array; a sequence (a list) and an empty optional (None) as they are."""
    if given is None or isinstance(given, np.ndarray):
        return given
    return list(map(_value, given)) if isinstance(given, (list, tuple)) else np.asarray(given)


def _bindings(feeds: Arrays) -> Iterator[Arrays]:
    """What to bind, from little to all; nothing twice."""
    if not all(isinstance(array, np.ndarray) for array in feeds.values()):
        return
    after_first = dict(list(feeds.items())[1:])
    integers = {name: array for name, array in after_first.items() if array.dtype.kind in "iu"}
    tried: list[int] = [0]
    for constants in (integers, after_first, feeds):
        if len(constants) not in tried:
            tried.append(len(constants))
            yield constants


class QuaverBackend(Backend):
    """Quaver as a backend of ONNX."""

    @classmethod
    def prepare(cls, model: onnx.ModelProto, device: str = "CPU", **kwargs: Any) -> Prepared:
        """Load a model.

        Parameters
        ----------
        model
            As `onnx.checker` accepts it.
        device
            ``"CPU"``.
        **kwargs
            Not used; part of ONNX's interface.
        """
        if not cls.supports_device(device):
            raise InputError(f"device {device!r}: Quaver runs on the CPU")
        super().prepare(model, device, **kwargs)  # checks the model
        return Prepared(model)

    @classmethod
    def run_node(
        cls,
        node: onnx.NodeProto,
        inputs: Any,
        device: str = "CPU",
        outputs_info: Sequence[tuple[Any, tuple[int, ...]]] | None = None,
        **kwargs: Any,
    ) -> tuple[Any, ...]:
        """Run one node.

        Parameters
        ----------
        node
            What to run.
        inputs
            Arrays, one for each input of the node that is not left out.
        device
            ``"CPU"``.
        outputs_info
            Dtype and shape of each output; inferred where it is not given.
        **kwargs
            ``opset_version``, by default the newest of the installed onnx.
        """
        names = [name for name in node.input if name]
        arrays = [np.asarray(array) for array in inputs]
        ports = [_port(n, a.dtype, a.shape) for n, a in zip(names, arrays, strict=True)]
        outputs = [onnx.ValueInfoProto(name=name) for name in node.output]
        if outputs_info is not None:
            outputs = [_port(n, *info) for n, info in zip(node.output, outputs_info, strict=True)]
        opset = kwargs.get("opset_version", onnx.defs.onnx_opset_version())
        model = onnx.helper.make_model(
            onnx.helper.make_graph([node], "node", ports, outputs),
            opset_imports=[
                onnx.helper.make_opsetid("", opset),
                *([onnx.helper.make_opsetid(node.domain, 1)] if node.domain else []),
            ],
        )
        if outputs_info is None:
            model = onnx.shape_inference.infer_shapes(model)
        return cls.prepare(model, device).run(arrays)

    @classmethod
    def supports_device(cls, device: str) -> bool:
        """Whether Quaver runs on a device: the CPU it does."""
        return bool(Device(device).type == DeviceType.CPU)


def _port(name: str, dtype: Any, shape: Sequence[int]) -> onnx.ValueInfoProto:
    elem_type = onnx.helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    return onnx.helper.make_tensor_value_info(name, elem_type, shape)


prepare = QuaverBackend.prepare
run_model = QuaverBackend.run_model
run_node = QuaverBackend.run_node
supports_device = QuaverBackend.supports_device
