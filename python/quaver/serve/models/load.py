"""Loading one version and trying it out, without disturbing those that serve.

What takes long is native, and done on threads of low priority.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from quaver.errors import CorruptFileError, Error, FileError, UnsupportedError
from quaver.model import Model, load
from quaver.probe import Probe
from quaver.samples import random_inputs
from quaver.serve.models.folder import FILES, Source
from quaver.serve.settings import ModelSettings

if TYPE_CHECKING:
    from quaver.model import Core

_TURN = 0.0005  # seconds


def load_model(
    source: Source,
    bases: Sequence[Model],
    settings: ModelSettings,
    compile_onnx: Callable[[Source], bytes],
) -> Model:
    """Load a version. Its file may change afterwards: nothing of it stays mapped.

    Parameters
    ----------
    source
        The version.
    bases
        Models that a delta may be of, the likeliest first.
    settings
        The model's; a delta is loaded as its base was.
    compile_onnx
        Gives the compiled model of an ONNX file.

    Raises
    ------
    Error
        If it cannot be loaded.
    """
    from quaver import _core  # noqa: PLC0415 -- the command line is read before it is loaded

    if source.file.is_dir():
        raise FileError(f"{source.file}: no model in it: expected {' or '.join(FILES)}")
    if source.file.suffix == ".qdelta":
        return _updated(source.file, bases)
    again = None
    if source.file.suffix == ".onnx":
        try:
            data = compile_onnx(source)
        except UnsupportedError as refusal:
            return in_stages(source, settings, refusal)
        again = _late_stages(source, settings)
    else:
        data = _read(source.file)
    if not data:
        raise CorruptFileError(f"{source.file}: the file is empty")
    try:
        core = _core.Model.open_bytes(
            data, settings.threads, float_precision=settings.float_precision, background=True
        )
    except Error as error:
        raise type(error)(str(error).replace("model in memory", str(source.file))) from error
    return Model(core, again)


def in_stages(source: Source, settings: ModelSettings, refusal: UnsupportedError) -> Model:
    """Load an ONNX model that is no single native graph.

    Its import is Python, and holds the interpreter's lock: requests take turns with it meanwhile.

    Raises
    ------
    UnsupportedError
        The refusal, where there are no stages either.
    """
    import onnx  # noqa: PLC0415 -- seldom needed

    with _short_turns():
        proto = onnx.load(source.file)
        for port in (*proto.graph.input, *proto.graph.output):
            if not port.type.HasField("tensor_type"):
                raise UnsupportedError(
                    f"{source.file}: {port.name!r} is no tensor, and the protocol has only these"
                )
        fallback = None if settings.fallback == "none" else settings.fallback
        try:
            return load(
                proto,
                threads=settings.threads,
                float_precision=settings.float_precision,
                fallback=fallback,
            )
        except UnsupportedError as error:
            raise UnsupportedError(f"{source.file}: {error}") from refusal


def _late_stages(source: Source, settings: ModelSettings) -> Callable[[], Core]:
    """Makes a version's stages where its graph cannot be planned for the shapes of a request."""

    def again() -> Core:
        from quaver.serve.models.folder import stamp_of  # noqa: PLC0415

        refusal = UnsupportedError(f"'{source.file}' has changed since it was loaded")
        if stamp_of(source.file) != source.stamp[:3]:
            raise refusal
        model = in_stages(source, settings, refusal)
        if model._again is None:
            return model._core
        with _short_turns():
            return model._again()

    return again


@contextlib.contextmanager
def _short_turns() -> Iterator[None]:
    """Let threads that wait for the interpreter's lock have it sooner."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(_TURN)
    try:
        yield
    finally:
        sys.setswitchinterval(before)


def _updated(path: Path, bases: Sequence[Model]) -> Model:
    data = _read(path)
    reasons: list[str] = []
    for base in bases:
        try:
            return Model(base._whole().updated_bytes(data, background=True))
        except Error as error:  # noqa: PERF203 -- few, and each may be the one
            reasons.append(str(error).replace("delta in memory", str(path)))
    raise FileError(reasons[0] if reasons else f"{path}: there is no version that it could change")


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise FileError(f"cannot read '{path}': {error.strerror or error}") from error


def check(model: Model, source: Source, batches: Sequence[int]) -> str:
    """Run a version before it serves; tell why its requests may not be gathered, if so.

    Its probe's answers are compared. Then, or where it has none, it is run on made up inputs at
    each size that requests may be gathered to, which makes ready what such runs need.

    Raises
    ------
    Error
        If it fails, or its answer to the probe is not the recorded one.
    """
    if source.probe is not None:
        Probe.load(source.probe).check(model)
    why_not = unbatchable(model)
    if not why_not:
        return _warm_batches(model, batches) or unbatchable(model)  # a run may show that it is
    rows = 1 if hasattr(model._core, "stages") else 0  # of stages nothing else is tried
    if all(None not in port.shape[rows:] and port.dtype != object for port in model.inputs):
        Probe(_inputs(model, 1)).check(model)
    return why_not


def unbatchable(model: Model) -> str:
    """Why requests to a model cannot be gathered; empty where they can."""
    if hasattr(model._core, "stages"):
        return "it runs in stages"
    for port in (*model.inputs, *model.outputs):
        if not port.shape or port.shape[0] is not None:
            return f"the first dimension of {port.name!r} is fixed"
    return "" if model.inputs else "it has no inputs"


def _warm_batches(model: Model, batches: Sequence[int]) -> str:
    """Bits must not depend on company: what rows give together, they must give alone."""
    if any(None in port.shape[1:] for port in model.inputs):
        return ""
    inputs = _inputs(model, max(batches))
    together: dict[int, list[Any]] = {
        size: model._try_out([array[:size] for array in inputs.values()]) for size in batches
    }
    for row in range(min(2, max(batches))):
        alone = model._try_out([array[row : row + 1] for array in inputs.values()])
        for size in batches:
            for port, whole, part in zip(model.outputs, together[size], alone, strict=True):
                if row < size and whole[row : row + 1].tobytes() != part.tobytes():
                    return f"{port.name!r} of a row depends on how many rows there are"
                if len(whole) != size:
                    return f"{port.name!r} has not one row for each of the inputs'"
    return ""


def _inputs(model: Model, rows: int) -> dict[str, np.ndarray[Any, Any]]:
    shapes = [[rows if dim is None else dim for dim in port.shape] for port in model.inputs]
    arrays = random_inputs(model.inputs, shapes)
    return {port.name: array for port, array in zip(model.inputs, arrays, strict=True)}
