"""Watching the folder of models."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import threading
from collections.abc import Callable
from pathlib import Path

from quaver.serve import logs
from quaver.serve.models.repository import Repository
from quaver.serve.settings import Settings

_RESCAN_SECONDS = 30.0  # a network's file systems tell nothing
_STEP_MS = 50


async def watch(repository: Repository, settings: Settings) -> None:
    """Refresh the repository whenever something changes in its folder, until cancelled.

    What can be told of a change is not relied on: each is only a reason to look. A bad version,
    and an error of the watching itself, are no reason to stop.
    """
    changed, stopped = asyncio.Event(), threading.Event()
    tell = functools.partial(asyncio.get_running_loop().call_soon_threadsafe, changed.set)
    arguments = (settings.root, tell, stopped)
    threading.Thread(target=_notify, args=arguments, name="watcher", daemon=True).start()
    try:
        pending = False
        while True:
            timeout = settings.settle if pending else _RESCAN_SECONDS
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(changed.wait(), timeout)
            changed.clear()
            with contextlib.suppress(Exception):  # which the loader has logged
                pending = await asyncio.wrap_future(repository.refresh())
    finally:
        stopped.set()


def _notify(root: Path, tell: Callable[[], object], stopped: threading.Event) -> None:
    """Tell of changes, on a thread: for an event loop watchfiles imports much when it starts."""
    import watchfiles  # noqa: PLC0415 -- not all servers watch

    while not stopped.is_set():
        try:
            for _ in watchfiles.watch(
                root, watch_filter=None, step=_STEP_MS, debounce=200, stop_event=stopped
            ):
                tell()
        except (OSError, RuntimeError) as error:
            logs.event("error", "watch", path=str(root), error=str(error))
        if not stopped.wait(1):
            tell()
