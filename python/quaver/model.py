"""Loading models and running them."""

from __future__ import annotations

import difflib
import os
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from quaver.errors import FileError, InputError, ModelError, UnsupportedError

if TYPE_CHECKING:
    import onnx

    from quaver import _core
    from quaver.stages.staged import Staged

    Core: TypeAlias = _core.Model | Staged

Bytes: TypeAlias = bytes | bytearray | memoryview
Source: TypeAlias = "str | os.PathLike[str] | Bytes | onnx.ModelProto"

_MAGIC = b"QUAVER\0"
_STAGING = threading.Lock()


class Port(NamedTuple):
    """An input or output of a model."""

    name: str
    dtype: np.dtype[Any]
    shape: tuple[int | None, ...]
    """Its dimensions; None for one that the model leaves open."""


class Model:
    """A model ready to run on this machine; made by `load`.

    One model may run in many threads at once.
    """

    __slots__ = ("_again", "_core", "inputs", "outputs")

    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]

    def __init__(self, core: Core, again: Callable[[], Core] | None = None) -> None:
        self._core: Core = core
        self._again = again  # makes it in stages, where a plan for some shapes is refused
        self.inputs = tuple(Port(p.name, p.dtype, p.shape) for p in core.inputs)
        self.outputs = tuple(Port(p.name, p.dtype, p.shape) for p in core.outputs)

    def __call__(
        self, /, *arrays: ArrayLike, **named: ArrayLike
    ) -> NDArray[Any] | tuple[NDArray[Any], ...]:
        """Run the model once.

        Parameters
        ----------
        *arrays
            The inputs, in the model's order.
        **named
            Those not given by position, by name.

        Returns
        -------
        NDArray or tuple of NDArray
            The output, or all of them in the model's order where there are several.

        Raises
        ------
        InputError
            If an input is missing, unknown, or of another dtype or shape. Nothing is cast.
        """
        outputs = self._run(self._ordered(arrays, named) if named else arrays)
        return outputs[0] if len(outputs) == 1 else tuple(outputs)

    def run(self, inputs: Mapping[str, ArrayLike]) -> dict[str, NDArray[Any]]:
        """Run the model once on inputs by name; give the outputs by name.

        Raises
        ------
        InputError
            If an input is missing, unknown, or of another dtype or shape. Nothing is cast.
        """
        outputs = self._run(self._ordered((), inputs))
        return {port.name: array for port, array in zip(self.outputs, outputs, strict=True)}

    def save(self, path: str | os.PathLike[str], *, packed: bool = False) -> None:
        """Write the model as a compiled file, which loads without being converted again.

        Parameters
        ----------
        path
            Of the file; it is there whole or not at all.
        packed
            Also write the weights as the kernels take them. The file is about twice as large, and
            loads in milliseconds without reading or copying the weights on every machine whose
            kernels take the same layouts; on others it loads as without.

        Raises
        ------
        FileError
            If the file cannot be written.
        InputError
            If nothing is packed yet, since the model leaves shapes open and has not run.
        UnsupportedError
            If the model runs in several stages: a compiled file holds one native graph.
        CorruptFileError
            If the file that the model came from is damaged.
        """
        self._core.save(os.fspath(path), packed)

    def updated(self, delta: str | os.PathLike[str] | Bytes) -> Model:
        """Make the model that a delta describes; this one stays as it is.

        The two share the memory of what did not change, so that a delta of a few tensors takes
        milliseconds. `quaver.delta` and the command ``quaver delta`` make deltas.

        Parameters
        ----------
        delta
            The path of a ``.qdelta``, or its bytes.

        Raises
        ------
        InputError
            If the delta was made from another model.
        FileError
            If the file cannot be read; `CorruptFileError` if it is no delta, or a damaged one.
        """
        if isinstance(delta, (bytes, bytearray, memoryview)):
            return Model(self._whole().updated_bytes(memoryview(delta).cast("B")))
        return Model(self._whole().updated(os.fspath(delta)))

    @property
    def identity(self) -> str:
        """What tells models apart: a hash of graph and constants, as 16 hexadecimal digits."""
        return f"{self._whole().identity():016x}"

    @property
    def isa(self) -> str:
        """The highest instruction set the model uses."""
        return self._core.isa

    @property
    def threads(self) -> int:
        """Threads a run is spread over."""
        return self._core.threads

    @property
    def float_precision(self) -> str:
        """What its float convolutions and products multiply in: "fp32" or "bf16"."""
        return self._core.float_precision

    def __repr__(self) -> str:
        inputs, outputs = (
            ", ".join(f"{p.name}: {p.dtype}{_shape(p.shape)}" for p in ports)
            for ports in (self.inputs, self.outputs)
        )
        return f"<quaver.Model ({inputs}) -> ({outputs}), {self.isa}, threads={self.threads}>"

    def _run(self, arrays: Sequence[ArrayLike]) -> list[NDArray[Any]]:
        try:
            return self._core.run(arrays)
        except UnsupportedError as error:
            return self._in_stages(error).run(arrays)

    def _in_stages(self, refusal: UnsupportedError) -> Core:
        """What runs the model from now on, since its graph cannot be planned for all shapes."""
        with _STAGING:
            if self._again is not None:
                again, self._again = self._again, None  # what it cannot do, it never can
                try:
                    self._core = again()
                except UnsupportedError:
                    raise refusal from None
            elif not hasattr(self._core, "stages"):  # nor has another thread just made them
                raise refusal
            return self._core

    def _try_out(self, arrays: Sequence[ArrayLike]) -> list[NDArray[Any]]:
        """Run once aside: on one thread of low priority where it is a native graph."""
        from quaver import _core  # noqa: PLC0415 -- as in load

        core = self._core
        try:
            return core.try_out(arrays) if isinstance(core, _core.Model) else core.run(arrays)
        except UnsupportedError as error:
            return self._in_stages(error).run(arrays)

    def _whole(self) -> _core.Model:
        """The native graph; refuses a model in stages."""
        from quaver import _core  # noqa: PLC0415 -- as in load

        if not isinstance(self._core, _core.Model):
            raise UnsupportedError(
                "the model runs in stages, and this needs a single native graph; `quaver inspect` "
                "shows the stages"
            )
        return self._core

    def _ordered(
        self, arrays: Sequence[ArrayLike], named: Mapping[str, ArrayLike]
    ) -> list[ArrayLike]:
        """All inputs in the model's order: `arrays` are the first ones, `named` the rest."""
        names = [port.name for port in self.inputs]
        if len(arrays) > len(names):
            raise InputError(f"expected {len(names)} inputs, got {len(arrays)} by position")
        for name in named:
            if name not in names:
                raise InputError(f"there is no input {name!r}{_suggest(name, names)}")
            if name in names[: len(arrays)]:
                raise InputError(f"input {name!r} is given by position and by name")
        rest = names[len(arrays) :]
        missing = [name for name in rest if name not in named]
        if missing:
            raise InputError(f"missing input {', '.join(map(repr, missing))}")
        return [*arrays, *(named[name] for name in rest)]


def load(
    source: Source,
    *,
    threads: int | None = None,
    isa: str | None = None,
    constants: Mapping[str, ArrayLike] | None = None,
    fallback: str | None = "auto",
    float_precision: str = "fp32",
) -> Model:
    """Load a model.

    Most models become one native graph. One whose branches, or sizes of tensors, depend on what
    it computes is cut into stages and stays native; `quaver inspect` shows them.

    Parameters
    ----------
    source
        The path of an ONNX model or of a compiled one (``.quaver``), the bytes of either, or
        an ``onnx.ModelProto``.
    threads
        How many threads a run is spread over; by default as many as this process may use.
    isa
        The highest instruction set to use, such as ``"avx2"``; by default the environment
        variable ``QUAVER_ISA``, else the best this CPU has. It changes speed, never results.
    constants
        Arrays to bind to inputs of an ONNX model, by name: the model is compiled for these
        contents and no longer has these inputs. What decides the sizes of tensors (axes,
        shapes, a number of repeats) is otherwise learnt from each run; weights may be bound too.
    fallback
        What runs the nodes of an ONNX model that Quaver lacks: ``"onnxruntime"``, or with an
        execution provider ``"onnxruntime:CUDAExecutionProvider"``, which then takes all that it
        can. ``None`` refuses such models. By default (``"auto"``) it is onnxruntime where that
        is installed. The model is cut into as few stages as pay for themselves.
    float_precision
        ``"bf16"`` rounds the operands of float convolutions, matrix products and attention to
        bfloat16 and sums in float32: up to twice as fast where the CPU has AVX-512 BF16, and half
        the memory for their weights. It changes results, the same way on every machine. All else,
        and by default (``"fp32"``) all, is float32. What is int8 stays as it is.

    Raises
    ------
    FileError
        If the file cannot be read; `CorruptFileError` if it is no model, or a damaged one.
    ModelError
        If the model breaks ONNX's rules; `UnsupportedError` if it asks for what is not here.
    IsaError
        If this CPU lacks the instruction set.
    InputError
        If a constant names no input, or is of another dtype or shape; or if there is no such
        precision.
    """
    if threads is not None and not (isinstance(threads, int) and threads >= 1):
        raise InputError(f"threads={threads!r}: expected a positive integer or None")
    from quaver import _core  # noqa: PLC0415 -- conversion alone does without the extension

    if float_precision not in ("fp32", "bf16"):
        raise InputError(f"float_precision={float_precision!r}: expected 'fp32' or 'bf16'")
    workers = threads or 0
    options = (workers, isa, fallback, float_precision)
    if isinstance(source, (str, os.PathLike)):
        path = os.fspath(source)
        if _is_compiled(path):
            _expect_none(constants)
            return Model(_core.Model.open(path, workers, isa, float_precision))
        return _prepared(path, constants, options)
    if isinstance(source, (bytes, bytearray, memoryview)):
        data = memoryview(source).cast("B")
        if data[: len(_MAGIC)] == _MAGIC:
            _expect_none(constants)
            return Model(_core.Model.open_bytes(data, workers, isa, float_precision))
        return _prepared(bytes(data), constants, options)
    if _is_proto(source):
        return _prepared(source, constants, options)
    raise InputError(
        f"cannot load a {type(source).__name__}: expected the path or bytes of an ONNX or a "
        "compiled model, or an onnx.ModelProto"
    )


def delta(old: Model, new: Model) -> bytes:
    """Say what makes `new` out of `old`: the new graph, and the tensors that the old one lacks.

    Returns
    -------
    bytes
        For `Model.updated`, or to be written to a ``.qdelta``.
    """
    return old._whole().delta_to(new._whole())


def _is_compiled(path: str) -> bool:
    """Whether the file is a compiled model, or says it is by its name."""
    try:
        with open(path, "rb") as file:
            head = file.read(len(_MAGIC))
    except OSError as error:
        raise FileError(f"cannot read '{path}': {error.strerror}") from error
    return head == _MAGIC or path.endswith(".quaver")


def _is_proto(source: object) -> bool:
    loaded = sys.modules.get("onnx")
    return loaded is not None and isinstance(source, loaded.ModelProto)


def _expect_none(constants: Mapping[str, ArrayLike] | None) -> None:
    if constants:
        raise InputError(
            "a compiled model's inputs cannot be bound: give constants when loading the ONNX model"
        )


def _prepared(
    source: str | bytes | onnx.ModelProto,
    constants: Mapping[str, ArrayLike] | None,
    choices: tuple[int, str | None, str | None, str],
) -> Model:
    try:
        from quaver.convert.onnx import bind_constants, load_proto  # noqa: PLC0415 -- needs onnx
        from quaver.stages import in_stages, options_of, prepare  # noqa: PLC0415 -- likewise
    except ImportError as error:
        raise ModelError(
            f"reading ONNX models needs the package onnx ({error}): pip install onnx"
        ) from error
    options = options_of(*choices)
    stamp = _stamp(source)

    def read() -> onnx.ModelProto:
        if _stamp(source) != stamp:
            raise UnsupportedError(f"'{source!r}' has changed since it was loaded")
        proto = load_proto(source, mapped=True) if isinstance(source, (str, bytes)) else source
        return bind_constants(proto, constants) if constants else proto

    try:
        core = prepare(read(), options)
    except (ModelError, UnsupportedError) as error:
        if not isinstance(source, str) or source in str(error):
            raise
        raise type(error)(f"'{source}': {error}") from error
    late = not hasattr(core, "stages") and any(None in port.shape for port in core.inputs)
    return Model(core, (lambda: in_stages(read(), options)) if late else None)


def _stamp(source: object) -> tuple[int, int] | None:
    """What tells a file from a later one of its name."""
    if not isinstance(source, str):
        return None
    try:
        facts = os.stat(source)
    except OSError:  # reading it says why
        return None
    return facts.st_size, facts.st_mtime_ns


def _shape(shape: Sequence[int | None]) -> str:
    return "[" + ", ".join("?" if dim is None else str(dim) for dim in shape) + "]"


def _suggest(name: str, names: list[str]) -> str:
    close = difflib.get_close_matches(name, names, n=1)
    if close:
        return f"; did you mean {close[0]!r}?"
    return f"; the model's inputs are {', '.join(map(repr, names))}"
