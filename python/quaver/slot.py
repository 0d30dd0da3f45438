"""A place for a model that can be exchanged while it runs."""

from __future__ import annotations

import contextlib
import math
import os
import threading
import weakref
from collections.abc import Callable, Iterator, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, NamedTuple

from numpy.typing import ArrayLike, NDArray

from quaver.errors import InputError, UnsupportedError
from quaver.model import Bytes, Model, Port
from quaver.probe import Arrays, Probe

if TYPE_CHECKING:
    from quaver.model import Core


class Answer(NamedTuple):
    """What a run gave, and which version gave it."""

    outputs: NDArray[Any] | tuple[NDArray[Any], ...]
    """As calling the model gives them: the output, or all of them where there are several."""
    version: int


class Pinned(Model):
    """The model of one version of a `Slot`, held until it is released; made by `Slot.pin`."""

    __slots__ = ("_held", "_stages", "version")

    version: int

    def __init__(self, stages: Stages, core: Core, version: int, slot: Slot) -> None:
        # Not Model's: a slot knows the ports already, and a pin is taken for every run.
        self._held = core
        self._core = stages.of(version, core)
        self._stages = stages
        self.version = version
        self.inputs = slot.inputs
        self.outputs = slot.outputs

    def release(self) -> None:
        """Let the version end; the model must not be used afterwards. May be called again."""
        if hasattr(self, "_core"):
            del self._core, self._held

    def _in_stages(self, refusal: UnsupportedError) -> Core:
        self._core = self._stages.make(self.version, refusal)
        return self._core

    def __enter__(self) -> Pinned:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.release()


class Stages:
    """What runs those versions of a slot whose graph could not be planned for shapes they met."""

    def __init__(self) -> None:
        self._again: dict[int, Callable[[], Core]] = {}
        self._made: dict[int, Core] = {}
        self._lock = threading.Lock()

    @contextlib.contextmanager
    def coming(self, version: int, model: Model, live: Sequence[int]) -> Iterator[None]:
        """Know a version, unless it turns out in the block that it does not come."""
        with self._lock:
            before = self._again.get(version)
            keep = {*live, version}
            self._again = {at: again for at, again in self._again.items() if at in keep}
            self._made = {at: core for at, core in self._made.items() if at in keep}
            if model._again is not None:
                self._again[version] = model._again
        try:
            yield
        except BaseException:
            with self._lock:
                self._again.pop(version, None)
                if before is not None:
                    self._again[version] = before
            raise

    def __len__(self) -> int:
        return len(self._made)

    def of(self, version: int, core: Core) -> Core:
        """What runs a version: its stages where it has such, else its core."""
        return self._made.get(version, core) if self._made else core

    def make(self, version: int, refusal: UnsupportedError) -> Core:
        """Make a version's stages.

        Raises
        ------
        UnsupportedError
            The refusal, where there can be none.
        """
        with self._lock:
            if version not in self._made:
                again = self._again.pop(version, None)  # what it cannot do, it never can
                if again is None:
                    raise refusal
                try:
                    self._made[version] = again()
                except UnsupportedError:
                    raise refusal from None
            return self._made[version]


class Slot:
    """A model that can be exchanged while it runs.

    >>> slot = quaver.Slot(model)
    >>> y = slot(x)
    >>> slot.swap(newer)

    All methods may be called from any thread. A run waits for no swap, fails for none, and is of
    one version from its start to its end. All versions have the same inputs and outputs. An old
    version is dropped by a thread of the slot, after its last run. Not to be shared across fork.

    Parameters
    ----------
    model
        The first version.
    version
        Its number, from 1.
    max_live
        Versions that may be in memory at once, from 3 to 64: the current one, the one before,
        older ones that still run, and the one that comes. (Without `keep_previous`, from 2.)
    keep_previous
        Whether the version before the current one is kept, for `rollback`.
    probe
        Inputs by name on which every version must run before it serves, or a `Probe`, which also
        says what they must give. The version then has its plan and its memory for inputs of these
        shapes, so that no request waits for them.

    Raises
    ------
    InputError
        If a number is out of range, or the model is pinned in a slot.
    """

    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]

    def __init__(
        self,
        model: Model,
        *,
        version: int = 1,
        max_live: int = 4,
        keep_previous: bool = True,
        probe: Arrays | Probe | None = None,
    ) -> None:
        from quaver import _core  # noqa: PLC0415 -- conversion alone does without the extension

        _expect_unpinned(model)
        self.inputs = model.inputs
        self.outputs = model.outputs
        self._probe = _probe(probe, None)
        if self._probe is not None:
            self._probe.check(model)
        self._highest = _count("version", version)
        self._numbering = threading.Lock()
        self._stages = Stages()
        with self._stages.coming(version, model, ()):
            self._core = _core.Slot(
                model._core, version, _count("max_live", max_live), keep_previous
            )
        # Dropping a model may need the interpreter, which is gone at the very end.
        weakref.finalize(self, _core.Slot.stop, self._core)

    def __call__(
        self, /, *arrays: ArrayLike, **named: ArrayLike
    ) -> NDArray[Any] | tuple[NDArray[Any], ...]:
        """Run the current version once; as calling a `Model`."""
        if named:
            return self.call(*arrays, **named).outputs
        outputs, _ = self._run(arrays)
        return outputs[0] if len(outputs) == 1 else tuple(outputs)

    def _run(self, arrays: Sequence[ArrayLike]) -> tuple[list[NDArray[Any]], int]:
        """Run the current version once; give its outputs and its number."""
        core, version = self._core.pin()
        try:
            return self._stages.of(version, core).run(arrays), version
        except UnsupportedError as error:
            return self._stages.make(version, error).run(arrays), version
        finally:
            del core  # else the traceback of an error would hold the version

    def run(self, inputs: Arrays) -> dict[str, NDArray[Any]]:
        """Run the current version once on inputs by name; as `Model.run`."""
        with self.pin() as model:
            return model.run(inputs)

    def call(self, /, *arrays: ArrayLike, **named: ArrayLike) -> Answer:
        """Run the current version once; tell the answer and the version that gave it."""
        with self.pin() as model:
            return Answer(model(*arrays, **named), model.version)

    def pin(self) -> Pinned:
        """Hold the current version for several runs: ``with slot.pin() as model: ...``.

        It stays in memory, and `model.version` its number, until the block ends, whatever is
        swapped in meanwhile.
        """
        return Pinned(self._stages, *self._core.pin(), self)

    @property
    def version(self) -> int:
        """The current version; for that of an answer, see `call` and `pin`."""
        return self._core.version

    @property
    def live(self) -> tuple[int, ...]:
        """The versions in memory, in ascending order."""
        return tuple(self._core.live())

    def swap(
        self,
        model: Model,
        *,
        version: int | None = None,
        probe: Arrays | Probe | None = None,
        expect: Arrays | None = None,
        timeout: float = 30.0,
    ) -> int:
        """Make a model the current version, once it has shown that it is well.

        Parameters
        ----------
        model
            The next version, with the inputs and outputs of the first.
        version
            Its number; by default one more than the highest so far.
        probe
            Inputs by name that it is tried on first, or a `Probe`; by default the slot's.
        expect
            What the probe must give, outputs by name, to the bit: a quantized model answers with
            the same bits on every machine, so that a damaged file or a wrong model is seen here.
            Outputs that are not named are not compared.
        timeout
            Seconds to wait for old versions to end where there are `max_live`.

        Returns
        -------
        int
            The version's number.

        Raises
        ------
        InputError
            If the model has other inputs or outputs, or the version is live already; if the
            probe does not fit, or `expect` names no output.
        ModelError
            If the probe gives other bits than expected.
        BusyError
            If `max_live` versions are in use when the time is up.

        Whatever is raised, the slot serves on as before.
        """
        _expect_unpinned(model)
        if not (timeout >= 0 and math.isfinite(timeout)):
            raise InputError(f"timeout={timeout!r}: expected seconds, 0 or more")
        if version is not None:
            _count("version", version)
        self._expect_fits(model)
        trial = _probe(self._probe if probe is None else probe, expect)
        if trial is not None:
            trial.check(model)
        with self._number(version) as number, self._stages.coming(number, model, self.live):
            return self._core.swap(model._core, number, min(timeout, _LONGEST))

    def _expect_fits(self, model: Model) -> None:
        self._core.expect_fits(model._core)
        for kind, current, given in (
            ("input", self.inputs, model.inputs),
            ("output", self.outputs, model.outputs),
        ):
            if current != given:  # only of models in stages: the core tells of others
                raise InputError(
                    f"the new model does not fit this slot: expected the {kind}s {list(current)}, "
                    f"got {list(given)}; give it a slot of its own"
                )

    @contextlib.contextmanager
    def _number(self, version: int | None) -> Iterator[int]:
        """A version's number, by default the next one, which is free again where it fails."""
        with self._numbering:
            before = self._highest
            number = before + 1 if version is None else version
            self._highest = max(before, number)
        try:
            yield number
        except BaseException:
            with self._numbering:
                if self._highest == number > before:
                    self._highest = before
            raise

    def update(
        self,
        delta: str | os.PathLike[str] | Bytes,
        *,
        version: int | None = None,
        probe: Arrays | Probe | None = None,
        expect: Arrays | None = None,
        timeout: float = 30.0,
    ) -> int:
        """Apply a delta to the current version and make the result current, as `swap` does.

        What the delta does not change stays where it is in memory, shared by both versions.
        Raises as `Model.updated` and `swap`; the slot then serves on as before.
        """
        with self.pin() as current:
            model = current.updated(delta)
        return self.swap(model, version=version, probe=probe, expect=expect, timeout=timeout)

    def rollback(self) -> int:
        """Make the version before the current one current again, at once; give its number.

        A second call comes back to the version that was rolled back.

        Raises
        ------
        InputError
            If none is kept.
        """
        return self._core.rollback()

    def __repr__(self) -> str:
        with self.pin() as model:
            return f"<quaver.Slot version {model.version}: {model!r}>"


_LONGEST = 1e6  # seconds; what a clock can add without running over


def _expect_unpinned(model: Model) -> None:
    if isinstance(model, Pinned):
        raise InputError(
            "a pinned model is its slot's already: give a loaded model, or use slot.rollback()"
        )


def _count(name: str, value: int) -> int:
    if not (isinstance(value, int) and 1 <= value < 2**32):
        raise InputError(f"{name}={value!r}: expected an integer from 1 to {2**32 - 1}")
    return value


def _probe(inputs: Arrays | Probe | None, expect: Arrays | None) -> Probe | None:
    if isinstance(inputs, Probe):
        return Probe(inputs.inputs, expect, exact=inputs.exact) if expect else inputs
    if inputs is None:
        if expect:
            raise InputError("expect= says what a probe gives: give its inputs as probe=")
        return None
    return Probe(inputs, expect)
