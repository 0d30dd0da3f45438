"""Running a model with any of its tensors as outputs, on Quaver or on ONNX Runtime."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeAlias, TypeVar

import onnx

from quaver.errors import InputError
from quaver.model import load
from quaver.quantize.data import Feed
from quaver.quantize.net import Array, Net

Item = TypeVar("Item")
Runner: TypeAlias = Callable[[Feed], dict[str, Array]]

_CHUNK_BYTES = 256 << 20  # of observed tensors that a run holds at once


class Observer:
    """Runs a model and gives its tensors by name, a chunk of them at a time.

    Parameters
    ----------
    net
        The model; its shapes say how many tensors a chunk takes.
    names
        Which tensors.
    engine
        "quaver" or "onnxruntime".
    chunk_bytes
        How much all tensors of a chunk may take; a larger tensor is a chunk of its own.
    """

    def __init__(
        self, net: Net, names: Sequence[str], engine: str, chunk_bytes: int = _CHUNK_BYTES
    ) -> None:
        made = [name for name in names if name in net.producer]
        self._given = [name for name in names if name in net.inputs]
        self._runners: list[tuple[Runner, set[str]]] = []

        def nbytes(name: str) -> int:
            return 4 * math.prod(dim or 1 for dim in net.shape(name) or ())

        for chunk in chunks(made, nbytes, chunk_bytes):
            model = net.observed(chunk)
            used = {name for node in model.graph.node for name in node.input}
            unused = [i for i in model.graph.input if i.name not in used]
            for port in unused:
                model.graph.input.remove(port)
            self._runners.append((runner(model, engine), {i.name for i in model.graph.input}))

    def run(self, feed: Feed) -> Iterator[tuple[str, Array]]:
        """Give the tensors of one run, in chunks that are dropped before the next."""
        yield from ((name, feed[name]) for name in self._given)
        for run, inputs in self._runners:
            yield from run({name: feed[name] for name in inputs}).items()


def runner(model: onnx.ModelProto, engine: str) -> Runner:
    """Load a model: a function from inputs by name to outputs by name."""
    if engine == "quaver":
        return load(model).run
    if engine != "onnxruntime":
        raise InputError(f"there is no engine {engine!r}; there are quaver and onnxruntime")
    try:
        import onnxruntime as ort  # noqa: PLC0415 -- an option
    except ImportError as error:
        raise InputError(
            f"onnxruntime is not installed: pip install onnxruntime ({error})"
        ) from error
    options = ort.SessionOptions()
    options.log_severity_level = 3
    session = ort.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    names = [output.name for output in session.get_outputs()]

    def run(feed: Feed) -> dict[str, Any]:
        return dict(zip(names, session.run(None, feed), strict=True))

    return run


def chunks(items: Sequence[Item], size: Callable[[Item], int], limit: int) -> Iterator[list[Item]]:
    """Put together what is held at once: items in turn up to a limit, one at least."""
    chunk: list[Item] = []
    held = 0
    for item in items:
        if chunk and held + size(item) > limit:
            yield chunk
            chunk, held = [], 0
        chunk.append(item)
        held += size(item)
    if chunk:
        yield chunk
