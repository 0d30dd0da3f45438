"""Work that takes long and is no run, away from the loop's thread.

Reading and writing JSON holds the interpreter's lock all the while; a process of its own holds
nobody up, and what it takes of memory goes with it when it has had nothing to do for a time. Many
strings are made here, by a thread: to take them from another process is to make them again, at one
go.
"""

from __future__ import annotations

import asyncio
import pickle
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from quaver.serve.errors import ServeError, refusal

#: Bytes of a text, or of strings, that are worth the way there.
LONG = 1 << 18
_IDLE = 60.0  # seconds
_PROGRAM = "from quaver.serve.aside import work; work()"

Result = TypeVar("Result")


class Aside:
    """Calls functions, one after another. The process is started when one is needed."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, "aside")
        self._process: subprocess.Popen[bytes] | None = None
        self._idle: asyncio.TimerHandle | None = None

    async def in_turns(self, function: Callable[..., Result], *arguments: Any) -> Result:
        """What a function gives that is all Python: other threads have their turns meanwhile."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, function, *arguments)

    async def call(self, function: Callable[..., Result], *arguments: Any) -> Result:
        """What a function of a module gives, in the process.

        Raises
        ------
        ServeError
            As the function; 503, if the process ended: its memory was not enough.
        """
        loop = asyncio.get_running_loop()
        outcome = await loop.run_in_executor(self._thread, self._ask, function, arguments)
        if self._idle is not None:
            self._idle.cancel()
        self._idle = loop.call_later(_IDLE, self._thread.submit, self._end)
        if isinstance(outcome, Exception):
            try:
                raise outcome
            finally:
                del outcome  # it has this frame, which has the arguments
        result: Result = outcome
        return result

    def _ask(self, function: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
        if self._process is None:
            command = [sys.executable, "-c", _PROGRAM]
            self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            pickle.dump((function, arguments), self._process.stdin, 5)
            self._process.stdin.flush()
            return pickle.load(self._process.stdout)
        except (OSError, EOFError, pickle.UnpicklingError):
            self._end()
            return ServeError(503, "there is not enough memory for this request")

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.communicate()

    def stop(self) -> None:
        """End, also in the midst of something."""
        if self._process is not None:
            self._process.kill()
        self._thread.shutdown(wait=False)


def work() -> None:
    """Do what is read from standard input, until it ends."""
    calls, outcomes = sys.stdin.buffer, sys.stdout.buffer
    while True:
        try:
            function, arguments = pickle.load(calls)
        except EOFError:
            return
        outcome: Any
        try:
            outcome = function(*arguments)
        except MemoryError:
            outcome = ServeError(503, "there is not enough memory for this request")
        except Exception as error:
            outcome = refusal(error)
        pickle.dump(outcome, outcomes, 5)
        outcomes.flush()
        del function, arguments, outcome
