"""The command `quaver serve`."""

from __future__ import annotations

import gc
import json
import os
import sys

from quaver.errors import InputError


def main(arguments: list[str]) -> None:
    """Serve as the command line says.

    Raises
    ------
    Error
        If it cannot.
    """
    gc.disable()  # until it serves: what is made meanwhile stays
    # The settings need none, and to look for them all installed packages' metadata is read.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    try:
        from pydantic import ValidationError  # noqa: PLC0415 -- an extra's
        from pydantic_settings import SettingsError  # noqa: PLC0415

        from quaver.serve import settings  # noqa: PLC0415
    except ImportError as error:
        raise InputError(
            f"serving needs more packages ({error}): pip install quaver[serve]"
        ) from error
    if arguments[:1] == ["--schema"]:
        print(json.dumps(settings.Settings.model_json_schema(), indent=2))
        return
    try:
        parsed = settings.parse(arguments)
    except ValidationError as error:
        raise InputError(_sentence(error)) from error
    except (SettingsError, OSError, ValueError) as error:
        raise InputError(f"settings: {error}") from error
    from quaver.serve.server import serve  # noqa: PLC0415 -- after the settings are known to be good

    serve(parsed)
    sys.stdout.flush()


def _sentence(error: object) -> str:
    """Each setting that is wrong, and why."""
    problems = []
    for item in error.errors():  # type: ignore[attr-defined]
        where = ".".join(map(str, item["loc"])) or "settings"
        given = item.get("input")
        problems.append(f"{where}: {item['msg'][:1].lower()}{item['msg'][1:]}, got {given!r}")
    return "; ".join(problems)
