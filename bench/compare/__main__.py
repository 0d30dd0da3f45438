"""Measure and write the tables: ``make tables``, or ``python -m compare`` in bench/."""

from __future__ import annotations

import argparse
import datetime
import json
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from compare import contest, profiles, report, runtimes, small
from compare.networks import NETWORKS
from quaver.info import info

_ROOT = Path(__file__).parents[2]
_PARTS = ("contests", "held", "costs", "profiles")


def main() -> None:
    """Run the command."""
    arguments = _parser().parse_args()
    output: Path = arguments.output
    output.mkdir(parents=True, exist_ok=True)
    results = _read(output / "results.json", arguments.fresh)
    results["machine"] = _machine()
    for part in arguments.parts:
        _MEASURE[part](results, arguments)
        _write(output, results)
    _write(output, results)
    if arguments.readme:
        report.put_into(_ROOT / "README.md", report.readme(results))
    print(report.markdown(results))


def _contests(results: dict[str, Any], arguments: argparse.Namespace) -> None:
    for network in arguments.networks:
        for threads in arguments.threads:
            for batch in arguments.batches:
                _say(f"{network}, threads={threads}, batch={batch}")
                held = contest.hold(
                    network,
                    _chosen(contest.CONTENDERS, arguments.only, arguments.skip),
                    threads=threads,
                    batch=batch,
                    rounds=arguments.rounds,
                    seconds=arguments.seconds,
                )
                held |= {"network": network, "threads": threads, "batch": batch}
                results["contests"][report.key(network, threads, batch)] = held
                _write(arguments.output, results)


def _held(results: dict[str, Any], arguments: argparse.Namespace) -> None:
    for title, contenders in contest.HELD.items():
        for network in arguments.networks:
            _say(f"{network}, held to {title}")
            results["held"].setdefault(title, {})[network] = contest.hold(
                network,
                _chosen(contenders, arguments.only, arguments.skip),
                threads=1,
                batch=1,
                rounds=arguments.rounds,
                seconds=arguments.seconds,
            )
            _write(arguments.output, results)


def _costs(results: dict[str, Any], arguments: argparse.Namespace) -> None:
    _say("overhead and sizes")
    results["overhead"] = small.measure(arguments.rounds)
    results["sizes"] = {
        name: runtimes.installed_bytes(name)
        for name in runtimes.RUNTIMES
        if runtimes.version(name) is not None
    }
    results["dispatch_us"] = _dispatch()


def _profiles(results: dict[str, Any], arguments: argparse.Namespace) -> None:
    for network in arguments.networks:
        _say(f"{network}, layer by layer")
        results["profiles"][network] = profiles.measure(network)


_MEASURE = {"contests": _contests, "held": _held, "costs": _costs, "profiles": _profiles}


def _chosen(
    contenders: Sequence[contest.Contender], only: Sequence[str], skip: Sequence[str]
) -> list[contest.Contender]:
    return [
        contender
        for contender in contenders
        if contender.key not in skip
        and (not only or contender.runtime == "quaver" or contender.runtime in only)
    ]


def _dispatch() -> dict[str, float]:
    """Microseconds to start and join a job on two threads, from the native benchmark."""
    program = Path(os.environ.get("QUAVER_BUILD_DIR", _ROOT / "build" / "python"), "quaver_bench")
    if not program.exists():
        return {}
    asked = "dispatch 2\nwake 2\n"
    done = subprocess.run([program], input=asked, capture_output=True, text=True, check=True)
    return dict(
        zip(("spinning", "asleep"), (1e6 * float(s) for s in done.stdout.split()), strict=True)
    )


def _machine() -> dict[str, Any]:
    facts = info()
    return {
        "cpu": facts["cpu"],
        "isa": facts["isa"],
        "threads": facts["threads"],
        "date": datetime.date.today().isoformat(),
        "versions": {name: runtimes.version(name) for name in runtimes.RUNTIMES},
    }


def _read(path: Path, fresh: bool) -> dict[str, Any]:
    empty: dict[str, Any] = {
        "contests": {},
        "held": {},
        "overhead": {},
        "sizes": {},
        "dispatch_us": {},
        "profiles": {},
    }
    if fresh or not path.exists():
        return empty
    return {**empty, **json.loads(path.read_text())}


def _write(output: Path, results: dict[str, Any]) -> None:
    (output / "results.json").write_text(json.dumps(results, indent=1))
    (output / "README.md").write_text(report.markdown(results))
    for network, facts in results["profiles"].items():
        (output / f"{network}.md").write_text(profiles.markdown(network, facts))
        profiles.picture(NETWORKS[network].title, facts, output / f"{network}.png")


def _say(text: str) -> None:
    print(f"compare: {text}", flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m compare", description=__doc__)
    networks = list(NETWORKS)
    add = parser.add_argument
    add("--networks", type=_words, default=networks[:6], help=f"of {', '.join(networks)}")
    add("--threads", type=_numbers, default=[1, 2], help="default: 1,2")
    add("--batches", type=_numbers, default=[1, 8, 32], help="default: 1,8,32")
    add("--parts", type=_words, default=_PARTS, help=f"default: {','.join(_PARTS)}")
    add("--only", type=_words, default=[], metavar="PEER,...", help="peers to run; default: all")
    add("--skip", type=_words, default=[], metavar="NAME,...", help='such as "quaver int8"')
    add("--rounds", type=int, default=7, help="turns of each contender (default: 7)")
    add("--seconds", type=float, default=0.2, help="of a turn, at least (default: 0.2)")
    add("--output", type=Path, default=_ROOT / "build" / "tables", help="default: build/tables")
    add("--fresh", action="store_true", help="forget earlier results; else they are added to")
    add("--readme", action="store_true", help="write the table into README.md")
    return parser


def _words(text: str) -> list[str]:
    return [word for word in text.split(",") if word]


def _numbers(text: str) -> list[int]:
    return [int(word) for word in _words(text)]


if __name__ == "__main__":
    main()
