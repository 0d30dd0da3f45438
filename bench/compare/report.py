"""The results as Markdown; the README's table is a part of it."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from compare.contest import CONTENDERS, HELD
from compare.networks import NETWORKS
from compare.profiles import by_kind

_SHARES = {
    "int8 / best": ("int8", ""),
    "dynamic / best": ("dynamic", "dynamic"),
    "float / best": ("float", "float"),
}
"""Columns of ratios: by how variants begin, which of ours is set against which of the peers'."""
_RUNTIMES = {
    "quaver": "Quaver",
    "onnxruntime": "ONNX Runtime",
    "openvino": "OpenVINO",
    "litert": "LiteRT",
    "ncnn": "ncnn",
}
BEGIN, END = "<!-- make tables: begin -->", "<!-- make tables: end -->"

_HELD = (
    "OpenVINO is held by oneDNN's `ONEDNN_MAX_CPU_ISA`, Quaver by `QUAVER_ISA`. ONNX Runtime's "
    "MLAS, LiteRT's XNNPACK and ncnn pick their kernels by CPUID and have no switch in their "
    "packages, so they could not be held."
)


def key(network: str, threads: int, batch: int) -> str:
    """Name a contest."""
    return f"{network}, threads={threads}, batch={batch}"


def markdown(results: Mapping[str, Any]) -> str:
    """Give everything that was measured."""
    parts = ["# Quaver and its peers", "", _machine(results["machine"]), ""]
    for threads, batch in _settings(results["contests"]):
        parts += [f"## {_thread_words(threads)}, batch {batch}", ""]
        parts += [_contests(results["contests"], threads, batch), ""]
    if _scaling(results["contests"]):
        parts += ["## From one thread to two", "", _scaling(results["contests"]), ""]
    if results.get("held"):
        parts += ["## Held to lower instruction sets, one thread, batch 1", "", _HELD, ""]
    for title, contests in results.get("held", {}).items():
        parts += [f"### {title}", "", _held(contests, [c.key for c in HELD[title]]), ""]
    parts += ["## Loading, memory, overhead, size", "", _costs(results), ""]
    if results.get("profiles"):
        parts += ["## Part of the peak", "", _profiles(results["profiles"]), ""]
    absent = _absent(results["contests"])
    if absent:
        parts += ["## What is missing", "", absent, ""]
    return "\n".join(parts)


def readme(results: Mapping[str, Any]) -> str:
    """Give the README's part: one thread, batch 1, and what else a user pays."""
    return "\n".join(
        [
            BEGIN,
            _machine(results["machine"]),
            "",
            _contests(results["contests"], 1, 1),
            "",
            _costs(results),
            END,
        ]
    )


def put_into(path: Path, text: str) -> None:
    """Replace what stands between the two marks.

    Raises
    ------
    ValueError
        If the file lacks them.
    """
    page = path.read_text()
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{path} has no lines {BEGIN} and {END}")
    path.write_text(before + text + after)


def table(header: Sequence[str], rows: Iterable[Sequence[str]], left: int = 1) -> str:
    """Set a Markdown table; all columns but the first `left` are flush right."""
    marks = ["---" if i < left else "---:" for i in range(len(header))]
    return "\n".join("| " + " | ".join(row) + " |" for row in (header, marks, *rows))


def _machine(machine: Mapping[str, Any]) -> str:
    versions = ", ".join(
        f"{_RUNTIMES.get(name, name)} {version}"
        for name, version in machine["versions"].items()
        if version
    )
    return (
        f"{machine['cpu']}, {machine['isa']}, {machine['threads']} threads; {machine['date']}; "
        f"{versions}. Milliseconds are medians of interleaved rounds in one run; they drift with "
        "the machine, the ratios do not."
    )


def _thread_words(threads: int) -> str:
    return "One thread" if threads == 1 else f"{threads} threads"


def _settings(contests: Mapping[str, Any]) -> list[tuple[int, int]]:
    return sorted({(c["threads"], c["batch"]) for c in contests.values()})


def _of(contests: Mapping[str, Any], threads: int, batch: int) -> list[Mapping[str, Any]]:
    return [c for c in contests.values() if (c["threads"], c["batch"]) == (threads, batch)]


def _title(contender: str) -> str:
    runtime, _, variant = contender.partition(" ")
    return f"{_RUNTIMES[runtime]} {variant}"


def _contests(contests: Mapping[str, Any], threads: int, batch: int) -> str:
    chosen = _of(contests, threads, batch)
    columns = [c.key for c in CONTENDERS if any(c.key in one["results"] for one in chosen)]
    field = "median_ms" if threads == 1 else "p10_ms"
    shares = [
        name
        for name, (ours, _) in _SHARES.items()
        if any(c.startswith(f"quaver {ours}") for c in columns)
    ]
    header = ["network", *map(_title, columns), *shares]
    rows = []
    for one in chosen:
        results = one["results"]
        cells = [f"{results[c][field]:.2f}" if c in results else "" for c in columns]
        cells += [_share(results, *_SHARES[name], field) for name in shares]
        rows.append([NETWORKS[one["network"]].title, *cells])
    note = "" if threads == 1 else "\n\nTenth percentiles: two threads may share a physical core."
    return table(header, rows) + note


def _share(results: Mapping[str, Any], ours: str, theirs: str, field: str) -> str:
    """The fastest of our kind over the fastest peer of theirs, the median of the rounds' ratios."""
    mine = [one for name, one in results.items() if name.startswith(f"quaver {ours}")]
    peers = [
        one
        for name, one in results.items()
        if not name.startswith("quaver") and name.partition(" ")[2].startswith(theirs)
    ]
    if not mine or not peers:
        return ""
    us, them = (min(group, key=lambda one: float(one[field])) for group in (mine, peers))
    return f"**{ratio(us, them):.2f}**"


def ratio(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> float:
    """The median of the rounds' ratios."""
    pairs = zip(ours["rounds_ms"], theirs["rounds_ms"], strict=True)
    return statistics.median(mine / other for mine, other in pairs)


def _scaling(contests: Mapping[str, Any]) -> str:
    """How much faster two threads are, by the tenth percentile, at batch 1."""
    one, two = ({c["network"]: c["results"] for c in _of(contests, t, 1)} for t in (1, 2))
    networks = [network for network in one if network in two]
    if not networks:
        return ""
    names = [c.key for c in CONTENDERS if any(c.key in two[n] for n in networks)]
    rows = [
        [
            NETWORKS[n].title,
            *(
                f"{one[n][c]['p10_ms'] / two[n][c]['p10_ms']:.2f}"
                if c in one[n] and c in two[n]
                else ""
                for c in names
            ),
        ]
        for n in networks
    ]
    return table(["network", *map(_title, names)], rows)


def _held(contests: Mapping[str, Any], contenders: Sequence[str]) -> str:
    held = [c for c in contenders if any(c in one["results"] for one in contests.values())]
    rows = []
    for network, contest in contests.items():
        results = contest["results"]
        cells = [f"{results[c]['median_ms']:.2f}" if c in results else "" for c in held]
        share = _share(results, *_SHARES["int8 / best"], "median_ms")
        rows.append([NETWORKS[network].title, *cells, share])
    reasons = [
        f"- {NETWORKS[network].title}, {_title(name)}: {reason}"
        for network, contest in contests.items()
        for name, reason in contest["absent"].items()
    ]
    text = table(["network", *map(_title, held), "int8 / best"], rows)
    return "\n".join([text, *(["", *reasons] if reasons else [])])


def _costs(results: Mapping[str, Any]) -> str:
    """What loading ResNet-50, a call and the package cost."""
    contest = results["contests"].get(key("resnet50", 1, 1), {"results": {}})
    rows = []
    for runtime, title in _RUNTIMES.items():
        if not results["sizes"].get(runtime):
            continue
        facts = next(
            (one for name, one in contest["results"].items() if name.startswith(f"{runtime} int8")),
            None,
        )
        call = results["overhead"].get(runtime)
        cells = (
            [f"{facts[f]:.1f}" for f in ("load_ms", "peak_mb", "import_ms")] if facts else [""] * 3
        )
        size = f"{results['sizes'][runtime] / 1e6:.1f}"
        rows.append([title, *cells, f"{call:.1f}" if isinstance(call, float) else "", size])
    header = [
        "runtime",
        "load int8 ResNet-50, ms",
        "peak memory of that, MB",
        "import, ms",
        "a call of a two-layer 16×16 network, µs",
        "installed package, MB",
    ]
    note = (
        "Loading is from a file in the page cache, the first time in a process. Memory is what "
        "loading and one run add to an interpreter with NumPy, at its peak."
    )
    return table(header, rows) + "\n\n" + note


def _profiles(profiles: Mapping[str, Any]) -> str:
    rows = [
        [
            NETWORKS[network].title if i == 0 else "",
            kind["kind"],
            f"{kind['ms']:.2f}",
            f"{kind['of_time']:.0%}",
            "" if kind["of_peak"] is None else f"{kind['of_peak']:.0%}",
        ]
        for network, facts in profiles.items()
        for i, kind in enumerate(by_kind(facts))
    ]
    links = ", ".join(f"[{NETWORKS[n].title}]({n}.md)" for n in profiles)
    header = ["network", "steps", "ms", "of the time", "of the measured peak"]
    return table(header, rows, left=2) + f"\n\nLayer by layer, with rooflines: {links}."


def _absent(contests: Mapping[str, Any]) -> str:
    lines: dict[str, list[str]] = {}
    for contest in contests.values():
        where = f"{NETWORKS[contest['network']].title} at batch {contest['batch']}"
        for name, reason in contest["absent"].items():
            places = lines.setdefault(f"- {_title(name)}: {reason}", [])
            if where not in places:
                places.append(where)
    return "\n".join(f"{line} ({'; '.join(places)})" for line, places in lines.items())
