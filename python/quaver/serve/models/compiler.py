"""ONNX files to compiled models, by processes of low priority, one after another.

The import is Python: here it would hold the interpreter's lock, there it holds nobody up, and what
it takes of memory goes with the process.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path

import quaver.errors
from quaver.errors import CorruptFileError, Error, FileError
from quaver.serve.models.folder import Source

_PROGRAM = """
import os, sys
os.nice(10)
import quaver
try:
    quaver.load(sys.argv[1], threads=1, fallback=None).save(sys.argv[2])
except quaver.Error as error:
    print(type(error).__name__, error)
    sys.exit(1)
"""


class Compiler:
    """Compiles versions.

    Parameters
    ----------
    done
        Called, from any thread, when one more is compiled or failed.
    """

    def __init__(self, done: Callable[[], object]) -> None:
        self._done = done
        self._results: dict[Source, bytes | Error | None] = {}
        self._lock = threading.Lock()
        self._turn = threading.Semaphore(1)
        self._processes: set[subprocess.Popen[str]] = set()

    def get(self, source: Source) -> bytes | None:
        """A version's compiled model, until `keep` forgets it; None while it is made.

        More than one delta may be tried on it.

        Raises
        ------
        Error
            If it cannot be compiled.
        """
        with self._lock:
            if source not in self._results:
                self._results[source] = None
                threading.Thread(target=self._work, args=(source,), daemon=True).start()
            result = self._results[source]
        if isinstance(result, Error):
            raise result
        return result

    def keep(self, sources: set[Source]) -> None:
        """Forget what was compiled of others: nobody asks for it any more."""
        with self._lock:
            self._results = {
                source: result
                for source, result in self._results.items()
                if result is None or source in sources
            }

    def stop(self) -> None:
        """End what is under way."""
        for process in list(self._processes):
            process.kill()

    def _work(self, source: Source) -> None:
        result: bytes | Error
        try:
            with self._turn:
                result = self.compile(source.file)
        except (Error, OSError, MemoryError) as error:
            result = error if isinstance(error, Error) else FileError(f"{source.file}: {error}")
        with self._lock:
            self._results[source] = result
        self._done()

    def compile(self, path: Path) -> bytes:
        """The compiled model, when it is made.

        Raises
        ------
        Error
            As `quaver.load` and `Model.save`.
        """
        with tempfile.TemporaryDirectory(prefix="quaver-") as folder:
            output = Path(folder) / "model.quaver"
            process = subprocess.Popen(
                [sys.executable, "-c", _PROGRAM, str(path), str(output)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            self._processes.add(process)
            try:
                told, errors = process.communicate()
            finally:
                self._processes.discard(process)
            if process.returncode:
                raise _error(path, told, errors or f"exit code {process.returncode}")
            return output.read_bytes()


def _error(path: Path, told: str, errors: str) -> Error:
    """What the program told; where it told nothing, how it ended."""
    name, _, message = told.strip().partition(" ")
    kind = getattr(quaver.errors, name, None) if name else None
    if kind is None:
        return CorruptFileError(f"{path}: {errors.strip().splitlines()[-1]}")
    error: Error = kind(message if str(path) in message else f"{path}: {message}")
    return error
