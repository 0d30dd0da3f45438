"""All models, and the thread that loads, exchanges and unloads them."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

from quaver.errors import Error
from quaver.model import Model
from quaver.serve import logs
from quaver.serve.batching.sizes import batch_sizes
from quaver.serve.errors import ServeError, named, not_found, where
from quaver.serve.models import load, policy
from quaver.serve.models.compiler import Compiler
from quaver.serve.models.folder import FILES, Source, Stamp, misplaced, scan
from quaver.serve.models.served import Failure, ServedModel
from quaver.serve.settings import Settings

_EXPECTED = f"NAME/VERSION/ with {' or '.join(FILES)}; of NAME letters, digits, _, - and ."
_MOST_BASES = 8  # that are loaded to find a delta's

T = TypeVar("T")
Observer = Callable[[str, str, float], None]
"""Told of each exchange: the model, how it ended (ok or failed) and the seconds it took."""


class _Unfinished(Exception):  # noqa: N818 -- no error
    """A version is being compiled; the folder is looked through again when it is."""


class Repository:
    """The models of a folder.

    Parameters
    ----------
    settings
        The server's.
    observer
        Told of each exchange.
    """

    def __init__(self, settings: Settings, observer: Observer) -> None:
        self.models: dict[str, ServedModel] = {}
        self.loaded = False
        """Whether the folder was looked through once."""
        self._settings = settings
        self._observer = observer
        self._misplaced: set[str] = set()
        self._ended: SimpleQueue[Model] = SimpleQueue()
        self._orders: SimpleQueue[tuple[Callable[[], Any], Future[Any]] | None] = SimpleQueue()
        self._compiler = Compiler(self.refresh)
        self._thread = threading.Thread(target=self._work, name="loader", daemon=True)

    def start(self) -> None:
        """Begin to load; returns at once."""
        self._thread.start()
        self.refresh()

    def stop(self) -> None:
        """End the thread after what it is at."""
        self._compiler.stop()
        self._orders.put(None)

    def get(self, name: str) -> ServedModel:
        """A model that is ready.

        Raises
        ------
        ServeError
            404, if there is none of this name.
        """
        model = self.models.get(name)
        if model is None or model.current is None:
            reason = "is not ready" if model is not None else "is not there"
            raise not_found(f"model {name!r} {reason}")
        return model

    @property
    def ready(self) -> bool:
        """Whether every model that is not unloaded on purpose can answer."""
        return self.loaded and all(m.ready or m.unloaded for m in list(self.models.values()))

    def index(self) -> list[dict[str, str]]:
        """All versions that are loaded or were tried, with their state and the reason."""
        rows = []
        for model in list(self.models.values()):
            states = dict.fromkeys(list(model.versions), ("READY", ""))
            for number, failure in list(model.failures.items()):
                if number not in states:
                    states[number] = ("UNAVAILABLE", failure.reason)
                else:
                    states[number] = ("READY", f"an update was refused: {failure.reason}")
            for number in list(model.withdrawn):
                states.setdefault(number, ("UNAVAILABLE", "rolled back"))
            for number in list(model.pending):
                states.setdefault(number, ("LOADING", ""))
            if model.unloaded:
                states = {0: ("UNAVAILABLE", "unloaded")}
            for number, (state, reason) in sorted(states.items()):
                version = str(number) if number else ""
                rows.append(
                    {"name": model.name, "version": version, "state": state, "reason": reason}
                )
        return rows

    def refresh(self) -> Future[bool]:
        """Look through the folder; tell whether files are still changing in it."""
        return self._order(self._refresh)

    def load(self, name: str) -> Future[None]:
        """Load a model, also what was unloaded, rolled back or refused before."""
        return self._order(lambda: self._load(name))

    def unload(self, name: str) -> Future[None]:
        """Unload a model, until it is loaded again."""
        return self._order(lambda: self._unload(name))

    def rollback(self, name: str) -> Future[int]:
        """Make a model's version before the current one current again; give its number."""
        return self._order(lambda: self._rollback(name))

    # What follows runs on the loader's thread.

    def _order(self, function: Callable[[], T]) -> Future[T]:
        future: Future[T] = Future()
        self._orders.put((function, future))
        return future

    def _work(self) -> None:
        while (order := self._orders.get()) is not None:
            function, future = order
            try:
                future.set_result(function())
            except BaseException as error:  # a bad version must not end the loading
                future.set_exception(error)
                if not isinstance(error, ServeError):
                    logs.event("error", "loader", error=named(error), traceback=where(error))
            del order, function, future
            self._free()

    def _free(self) -> None:
        """Drop models after their last run, and give their memory back."""
        count = 0
        try:
            while True:
                self._ended.get_nowait()
                count += 1
        except Empty:
            pass
        if count:
            from quaver import _core  # noqa: PLC0415 -- the command line is read before it is loaded

            _core.return_free_memory()

    def _refresh(self) -> bool:
        try:
            found = scan(self._settings.root)
            self._tell_misplaced(misplaced(self._settings.root, found))
        except OSError as error:
            logs.event("error", "folder", path=str(self._settings.root), error=str(error))
            return False
        for name in list(self.models):
            if not found.get(name):
                self._drop(name)
        for name, sources in found.items():
            if sources:
                self._update(name, sources, settle=self.loaded)
        self.loaded = True
        busy = [sources for name, sources in found.items() if name in self.models
                and self.models[name].pending]  # fmt: skip
        self._compiler.keep({source for sources in busy for source in sources.values()})
        return any(model.pending for model in self.models.values())

    def _tell_misplaced(self, names: set[str]) -> None:
        for name in sorted(names - self._misplaced):
            path = self._settings.root / name
            logs.event("warning", "misplaced", path=str(path), expected=_EXPECTED)
        self._misplaced = names

    def _drop(self, name: str) -> None:
        model = self.models[name]
        model.unload()
        self.models = {n: m for n, m in self.models.items() if n != name}
        logs.event("info", "unloaded", model=name, reason="its folder is empty or gone")

    def _model(self, name: str) -> ServedModel:
        if name not in self.models:
            model = ServedModel(name, self._settings.of_model(name), self._ended)
            self.models = {**self.models, name: model}
        return self.models[name]

    def _load(self, name: str) -> None:
        sources = scan(self._settings.root).get(name)
        if not sources:
            raise not_found(f"model {name!r} is not there")
        model = self._model(name)
        model.unloaded = False
        model.failures.clear()
        model.withdrawn.clear()
        self._update(name, sources, settle=False, wait=True)
        if model.failures:
            number, failure = max(model.failures.items())
            raise ServeError(400, f"model {name!r}, version {number}: {failure.reason}")

    def _unload(self, name: str) -> None:
        model = self.models.get(name)
        if model is None:
            raise not_found(f"model {name!r} is not there")
        model.unloaded = True
        model.unload()
        logs.event("info", "unloaded", model=name, reason="as asked for")

    def _rollback(self, name: str) -> int:
        model = self.get(name)
        try:
            number = model.rollback()
        except ServeError:
            raise
        except Error as error:  # no other was current since the start
            number = self._roll_back_by_files(model, error)
        logs.event("info", "rolled_back", model=name, version=number)
        return number

    def _roll_back_by_files(self, model: ServedModel, error: Error) -> int:
        """Make that version current which would be if the current one were not there."""
        back = model.default
        withdrawn = {*model.withdrawn, back}
        sources = scan(self._settings.root).get(model.name, {})
        there = [n for n in sources if n not in model.failures]
        if not policy.wanted(model.settings.versions, there, withdrawn):
            raise ServeError(400, f"model {model.name!r}: {error}") from error
        model.withdrawn[back] = model.stamps[back]
        self._update(model.name, sources, settle=False, wait=True)
        if model.default == back:
            del model.withdrawn[back]
            reason = "; ".join(failure.reason for failure in model.failures.values())
            raise ServeError(400, f"model {model.name!r}: {reason or error}") from error
        return model.default

    def _update(
        self, name: str, sources: dict[int, Source], settle: bool = True, wait: bool = False
    ) -> None:
        """Bring a model to what its policy asks for of the versions that are there."""
        model = self._model(name)
        if model.unloaded:
            return
        _forget(model, sources)
        changing = {n for n, s in sources.items() if settle and not self._settled(model, s)}
        model.pending = set(changing)
        while True:
            usable = [n for n in sources if n not in model.failures and n not in changing]
            targets = policy.wanted(model.settings.versions, usable, model.withdrawn)
            loaded = [n for n in model.versions if model.stamps[n] == _stamp(sources, n)]
            missing = [n for n in targets if n not in loaded and n not in model.pending]
            if not missing:
                break
            number = _first(model, missing, sources)
            self._bring(model, sources, number, current=number == targets[-1], wait=wait)
        ready = [n for n in targets if n in model.versions]
        if ready:
            model.prefer(ready[-1])
        if ready and ready[-1] == targets[-1]:  # until then those that serve are needed
            for number in [n for n in model.versions if n not in targets]:
                model.retire(number)
                logs.event("info", "retired", model=name, version=number)

    def _settled(self, model: ServedModel, source: Source) -> bool:
        if model.stamps.get(source.version) == source.stamp:
            return True
        return time.time_ns() - source.stamp[2] > self._settings.settle * 1e9

    def _bring(
        self,
        model: ServedModel,
        sources: dict[int, Source],
        number: int,
        current: bool,
        wait: bool,
    ) -> None:
        """Load a version, try it out, and let it serve; or remember why not."""
        source, start = sources[number], time.perf_counter()
        try:
            loaded = self._loaded(model, sources, source, wait)
            model.expect_fits(loaded)
            alone = load.check(loaded, source, batch_sizes(model.settings.max_batch))
            if current or model.current is None:
                model.alone = alone
            model.admit(number, loaded, source.stamp, current or model.current is None)
            outcome, level, more = "ok", "info", {"file": source.file.name}
        except _Unfinished:
            model.pending.add(number)
            return
        except Exception as error:  # whatever is wrong with a version, others come after it
            known = isinstance(error, Error)
            reason = str(error) if known else named(error)
            model.failures[number] = Failure(source.stamp, reason)
            outcome, level, more = "failed", "error", {"error": reason}
            if not known:
                more["traceback"] = where(error)
        seconds = time.perf_counter() - start
        self._observer(model.name, outcome, seconds)
        logs.event(
            level,
            "loaded" if outcome == "ok" else "refused",
            model=model.name,
            version=number,
            seconds=round(seconds, 4),
            **more,
        )

    def _loaded(
        self, model: ServedModel, sources: dict[int, Source], source: Source, wait: bool
    ) -> Model:
        """A version; where it is a delta, of one that serves, else of one that is there.

        Raises
        ------
        _Unfinished
            If it must be compiled first, and is not to be waited for.
        """

        def compile_onnx(source: Source) -> bytes:
            if wait:
                return self._compiler.compile(source.file)
            data = self._compiler.get(source)
            if data is None:
                raise _Unfinished
            return data

        live = [model.versions[n].model for n in sorted(model.versions, reverse=True)]
        settings = model.settings
        try:
            return load.load_model(source, live, settings, compile_onnx)
        except Error:
            if source.file.suffix != ".qdelta":
                raise
            older = [n for n in sorted(sources, reverse=True) if n < source.version]
            for number in [n for n in older if n not in model.versions][:_MOST_BASES]:
                if number not in model.failures:
                    with contextlib.suppress(Error):
                        base = self._loaded(model, sources, sources[number], wait)
                        return load.load_model(source, [base], settings, compile_onnx)
            raise


def _stamp(sources: dict[int, Source], number: int) -> Stamp:
    """What tells a version's files; nothing if they are gone."""
    return sources[number].stamp if number in sources else ()


def _first(model: ServedModel, missing: list[int], sources: dict[int, Source]) -> int:
    """Which to load first: the newest where nothing serves yet, but for what needs older ones."""
    if model.current is None and sources[missing[-1]].file.suffix != ".qdelta":
        return missing[-1]
    return missing[0]


def _forget(model: ServedModel, sources: dict[int, Source]) -> None:
    """What was found of files that are others now, or gone, says nothing any more."""
    for number, failure in list(model.failures.items()):
        if number not in sources or sources[number].stamp != failure.stamp:
            del model.failures[number]
    for number, stamp in list(model.withdrawn.items()):
        if number not in sources or sources[number].stamp != stamp:
            del model.withdrawn[number]
