"""One model and those of its versions that serve."""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from numpy.typing import ArrayLike, NDArray

from quaver.model import Model, Port
from quaver.serve.errors import not_found
from quaver.serve.models.folder import Stamp
from quaver.serve.protocol.datatypes import Buffer
from quaver.serve.settings import ModelSettings
from quaver.slot import Slot

if TYPE_CHECKING:
    from quaver import _core

Arrays = list[NDArray[Any]]


class Track(Protocol):
    """Where requests go: always to the current version, or to a certain one."""

    def run(self, arrays: Sequence[ArrayLike]) -> tuple[Arrays, int]:
        """Run once; give the outputs and the version's number."""
        ...

    def answer(
        self, body: Buffer, start: int, layout: _core.Layout, frames: dict[int, _core.Frame]
    ) -> tuple[bytes, int] | None:
        """Run once on inputs in a body, straight into an answer; give it and the version's number.

        Parameters
        ----------
        body
            Bytes that the inputs are among.
        start
            Where what `layout` tells of begins.
        layout
            Where the inputs lie.
        frames
            Of the answer, by the version's number. Where there is none that fits, the result is
            None, and nothing was run.
        """
        ...


class Fixed:
    """A certain version. Who lets go of it last only tells `ended`; freeing is left to others."""

    __slots__ = ("__weakref__", "model", "number")

    def __init__(self, model: Model, number: int, ended: SimpleQueue[Model]) -> None:
        self.model = model
        self.number = number
        weakref.finalize(self, ended.put, model).atexit = False

    @property
    def memory(self) -> int:
        """Bytes, also those that it shares with other versions."""
        return getattr(self.model._core, "memory", 0)  # of stages it is not known

    def run(self, arrays: Sequence[ArrayLike]) -> tuple[Arrays, int]:
        """Run once; give the outputs and the version's number."""
        return self.model._run(arrays), self.number

    def answer(
        self, body: Buffer, start: int, layout: _core.Layout, frames: dict[int, _core.Frame]
    ) -> tuple[bytes, int] | None:
        """Run once on inputs in a body, straight into an answer."""
        frame = frames.get(self.number)
        ask = getattr(self.model._core, "answer", None)  # stages have none
        if frame is None or ask is None:
            return None
        answer = ask(body, start, layout, frame)
        return (answer, self.number) if answer is not None else None


class Current:
    """The version that is current in a slot when a run begins."""

    __slots__ = ("_answer", "_run", "_stages", "numbers")

    def __init__(self, slot: Slot) -> None:
        self._run = slot._run
        self._stages = slot._stages
        self._answer = slot._core.answer
        self.numbers: dict[int, int] = {}
        """The versions' numbers by those that they have in the slot."""

    def run(self, arrays: Sequence[ArrayLike]) -> tuple[Arrays, int]:
        """Run once; give the outputs and the version's number."""
        outputs, version = self._run(arrays)
        return outputs, self.numbers[version]

    def answer(
        self, body: Buffer, start: int, layout: _core.Layout, frames: dict[int, _core.Frame]
    ) -> tuple[bytes, int] | None:
        """Run once on inputs in a body, straight into an answer."""
        if self._stages:
            return None
        return self._answer(body, start, layout, self.numbers, frames)


class Failure(NamedTuple):
    """Why a version does not serve, and of which files that is true."""

    stamp: Stamp
    reason: str


class ServedModel:
    """A model and its versions. The loader's thread changes it; requests read it meanwhile.

    Each attribute that requests read is replaced as a whole.
    """

    def __init__(self, name: str, settings: ModelSettings, ended: SimpleQueue[Model]) -> None:
        self.name = name
        self.settings = settings
        self.inputs: tuple[Port, ...] = ()
        self.outputs: tuple[Port, ...] = ()
        self.versions: dict[int, Fixed] = {}
        self.current: Current | None = None
        self.default = 0
        """The number of the current version."""
        self.alone = ""
        """Why requests are not gathered; empty where they are."""
        self.stamps: dict[int, Stamp] = {}
        self.failures: dict[int, Failure] = {}
        self.withdrawn: dict[int, Stamp] = {}
        self.pending: set[int] = set()
        """Versions whose files are still changing."""
        self.unloaded = False
        self.wire = _wire()
        """What each protocol keeps of the requests it has seen."""
        self._ended = ended
        self._slot: Slot | None = None

    @property
    def ready(self) -> bool:
        """Whether it can answer."""
        return self.current is not None

    def track(self, version: str) -> Track:
        """Where requests for a version go: a number, a label, or empty for the current one.

        Raises
        ------
        ServeError
            404, if it is not there.
        """
        current = self.current
        if current is None:
            raise not_found(f"model {self.name!r} has no version that is ready")
        return self.fixed(version) if version else current

    def fixed(self, version: str) -> Fixed:
        """The version of a number or a label.

        Raises
        ------
        ServeError
            404, if it is not there.
        """
        versions = self.versions
        number = self.settings.labels.get(version)
        if number is None:
            number = int(version) if version.isascii() and version.isdigit() else -1
        found = versions.get(number)
        if found is None:
            there = ", ".join(map(str, versions))
            raise not_found(f"model {self.name!r} has no version {version!r}; it has {there}")
        return found

    def expect_fits(self, model: Model) -> None:
        """Raise InputError if a model takes or gives something else than the versions there are."""
        if self._slot is not None:
            self._slot._expect_fits(model)

    def admit(self, number: int, model: Model, stamp: Stamp, current: bool) -> None:
        """Let a version serve that is well; perhaps as the current one."""
        if current:
            self._make_current(number, model)
        self.versions = dict(
            sorted({**self.versions, number: Fixed(model, number, self._ended)}.items())
        )
        self.stamps[number] = stamp
        self.failures.pop(number, None)

    def prefer(self, number: int) -> None:
        """Make a version current that serves already."""
        if number != self.default:
            self._make_current(number, self.versions[number].model)

    def _make_current(self, number: int, model: Model) -> None:
        if self._slot is None or self.current is None:
            self.inputs, self.outputs = model.inputs, model.outputs
            self._slot = Slot(model)
            current = Current(self._slot)
            current.numbers = {1: number}
            self.default = number
            self.current = current
            return
        coming = self._slot_version() + 1
        live = set(self._slot.live)
        numbers = {at: n for at, n in self.current.numbers.items() if at in live}
        self.current.numbers = {**numbers, coming: number}
        self._slot.swap(model, version=coming)
        self.default = number

    def _slot_version(self) -> int:
        return max(self.current.numbers) if self.current else 0

    def rollback(self) -> int:
        """Make the version before the current one current; give its number."""
        if self._slot is None or self.current is None:
            raise not_found(f"model {self.name!r} has no version that is ready")
        back = self.default
        version = self._slot.rollback()
        self.default = self.current.numbers[version]
        if back in self.stamps:
            self.withdrawn[back] = self.stamps[back]
        if self.default not in self.versions:
            with self._slot.pin() as pinned:
                model = Model(pinned._core)
            self.versions = {
                **self.versions,
                self.default: Fixed(model, self.default, self._ended),
            }
        self.retire(back)
        return self.default

    def retire(self, number: int) -> None:
        """Let a version end that is not current, after its last run."""
        self.versions = {n: fixed for n, fixed in self.versions.items() if n != number}

    def unload(self) -> None:
        """Let all versions end."""
        slot, self._slot = self._slot, None
        self.current, self.default, self.versions = None, 0, {}
        self.stamps.clear()
        self.wire = _wire()
        del slot


def _wire() -> dict[str, dict[bytes, Any]]:
    return {"http": {}, "grpc": {}}
