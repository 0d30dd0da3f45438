"""Watching the folder of models."""

from __future__ import annotations

import asyncio
import contextlib

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
    changed = asyncio.Event()
    notifier = asyncio.create_task(_notify(settings, changed))
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
        notifier.cancel()


async def _notify(settings: Settings, changed: asyncio.Event) -> None:
    import watchfiles  # noqa: PLC0415 -- not all servers watch

    while True:
        try:
            async for _ in watchfiles.awatch(
                settings.root, watch_filter=None, step=_STEP_MS, debounce=200, recursive=True
            ):
                changed.set()
        except (OSError, RuntimeError) as error:
            logs.event("error", "watch", path=str(settings.root), error=str(error))
        changed.set()
        await asyncio.sleep(1)
