"""Probes: inputs and what a model must make of them."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from quaver import npz
from quaver.errors import CorruptFileError, InputError, ModelError
from quaver.model import Model
from quaver.samples import input_shapes, random_inputs

Arrays = Mapping[str, ArrayLike]

#: How far an output that is not exact may be from the recorded one, relative to its largest value.
_CLOSE = 1e-3


class Probe:
    """Inputs by name, and outputs by name that a model must give for them.

    Parameters
    ----------
    inputs
        All of the model's.
    outputs
        Those to compare; none, if running is all that is asked.
    exact
        Whether the bits must be the same, as a quantized model's are on every machine; else
        outputs may differ by a thousandth of their largest value.
    """

    def __init__(
        self, inputs: Arrays, outputs: Arrays | None = None, *, exact: bool = True
    ) -> None:
        self.inputs = dict(inputs)
        self.outputs = dict(outputs or {})
        self.exact = exact

    @classmethod
    def record(
        cls,
        model: Model,
        inputs: Arrays | None = None,
        *,
        shapes: Mapping[str, Sequence[int]] | None = None,
    ) -> Probe:
        """Run a model that is known to be well, and keep what it gives.

        It is exact if all of this CPU's instruction sets give the same bits.

        Parameters
        ----------
        model
            The model.
        inputs
            By name; by default random ones, the same each time.
        shapes
            Of random inputs whose shapes the model leaves open, by name.
        """
        from quaver import _core  # noqa: PLC0415 -- conversion alone does without the extension

        if inputs is None:
            arrays = random_inputs(model.inputs, input_shapes(model.inputs, shapes or {}))
            inputs = {port.name: array for port, array in zip(model.inputs, arrays, strict=True)}
        probe = cls(inputs, model.run(inputs))
        data = model._core.serialize()
        for isa in _core.info()["isas"]:
            other = Model(_core.Model.open_bytes(data, 1, isa, model.float_precision)).run(inputs)
            if any(_difference(array, probe.outputs[name]) for name, array in other.items()):
                probe.exact = False
        return probe

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Probe:
        """Read what `save` wrote.

        Raises
        ------
        FileError
            If the file cannot be read; `CorruptFileError` if it is no probe.
        """
        parts: dict[str, dict[str, NDArray[Any]]] = {"input": {}, "output": {}, "exact": {}}
        for key, array in npz.read(path).items():
            kind, _, name = key.partition(":")
            if kind not in parts:
                raise CorruptFileError(f"'{path}': no probe: it has an array {key!r}")
            parts[kind][name] = array
        if "" not in parts["exact"] or parts["exact"][""].size != 1:
            raise CorruptFileError(f"'{path}': no probe: it does not say whether it is exact")
        return cls(parts["input"], parts["output"], exact=bool(parts["exact"][""]))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the probe as an .npz, with arrays ``input:NAME``, ``output:NAME`` and ``exact``."""
        arrays = {f"input:{name}": np.asarray(array) for name, array in self.inputs.items()}
        arrays |= {f"output:{name}": np.asarray(array) for name, array in self.outputs.items()}
        npz.write(path, {**arrays, "exact": np.array(self.exact)})

    def check(self, model: Model) -> None:
        """Run a model on the inputs, on one thread of low priority, and compare what it gives.

        Raises
        ------
        InputError
            If the inputs do not fit the model, or it has no output of a recorded name.
        ModelError
            If it gives something else.
        """
        outputs = model._try_out(model._ordered((), self.inputs))
        answers = {port.name: array for port, array in zip(model.outputs, outputs, strict=True)}
        compare = _difference if self.exact else _distance
        for name, wanted in self.outputs.items():
            if name not in answers:
                raise InputError(
                    f"expect: there is no output {name!r}; there is {', '.join(answers)}"
                )
            difference = compare(answers[name], wanted)
            if difference:
                raise ModelError(
                    "the new model is refused, its answer to the probe is not the expected one: "
                    f"output {name!r}: {difference}"
                )


def _kind(answer: NDArray[Any], expected: NDArray[Any]) -> str:
    """Say how dtype or shape differ; nothing where they don't."""
    if (expected.dtype, expected.shape) == (answer.dtype, answer.shape):
        return ""
    return (
        f"expected {expected.dtype}{list(expected.shape)}, got {answer.dtype}{list(answer.shape)}"
    )


def _difference(answer: NDArray[Any], wanted: ArrayLike) -> str:
    """Say in what the bits differ; nothing where they don't."""
    expected = np.asarray(wanted)
    if kind := _kind(answer, expected):
        return kind
    given, right = (
        np.frombuffer(array.tobytes(), np.uint8).reshape(-1, array.itemsize)
        for array in (answer, expected)
    )
    count = int(np.count_nonzero((given != right).any(axis=1)))
    return f"{count} of {len(given)} elements differ" if count else ""


def _distance(answer: NDArray[Any], wanted: ArrayLike) -> str:
    """Say how far it is; nothing where it is close."""
    expected = np.asarray(wanted)
    if kind := _kind(answer, expected):
        return kind
    if not np.issubdtype(expected.dtype, np.floating):
        return _difference(answer, expected)
    scale = float(np.max(np.abs(expected), initial=0.0, where=np.isfinite(expected)))
    close = np.isclose(answer, expected, rtol=0, atol=_CLOSE * scale, equal_nan=True)
    far = int(close.size - np.count_nonzero(close))
    return f"{far} of {close.size} elements are off by more than {_CLOSE:g} of the largest" * bool(
        far
    )
