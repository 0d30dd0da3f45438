"""Each layer against the machine's peak: a table, and a roofline picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np

from compare import models

mpl.use("Agg")
from matplotlib import pyplot as plt
from matplotlib.axes import Axes

_RUNS = 30
#: Kinds of steps by the beginning of their kernel's name, with their colours.
_KINDS = {
    "gemm_u8": ("convolution, product (int8)", "tab:blue"),
    "depthwise_u8": ("depthwise (int8)", "tab:orange"),
    "gemm_f32": ("convolution, product (float)", "tab:red"),
    "depthwise_f32": ("depthwise (float)", "tab:pink"),
}


def measure(network: str) -> dict[str, Any]:
    """Profile Quaver's int8 version of a network on one thread, as `quaver inspect --profile`."""
    import quaver  # noqa: PLC0415
    from quaver import _core, inspect  # noqa: PLC0415

    model = quaver.load(models.compiled_file(network, 1, "-int8-quaver"), threads=1)
    facts = inspect.report(model, profile=_RUNS)
    facts["copy"] = {size: _core.peak_copy(size) for size in (1 << 18, 1 << 26)}
    facts["peak_macs"] = _core.peak_macs(model.isa, True)
    return facts


def markdown(network: str, facts: Mapping[str, Any]) -> str:
    """Set a profile as a table, the slowest steps first."""
    total = facts["totals"]["ms"]
    lines = [
        f"# {network}",
        "",
        f"![roofline]({network}.png)",
        "",
        f"One thread, {facts['isa']}; {total:.2f} ms in {len(facts['nodes'])} steps.",
        "",
        "| step | operator | kernel | shape | MMAC | ms | of all | of peak |",
        "| --- | --- | --- | --- | ---: | ---: | ---: | ---: |",
    ]
    for node in sorted(facts["nodes"], key=lambda node: -node["ms"]):
        shape = "×".join(map(str, node["outputs"][0]["shape"])) if node["outputs"] else ""
        peak = "" if node["of_peak"] is None else f"{node['of_peak']:.0%}"
        peak += " of a copy" if node["peak"] == "copy" else ""
        macs = f"{node['macs'] / 1e6:.1f}" if node["macs"] else ""
        lines.append(
            f"| {node['node']} | {node['op']} | {node['kernel']} | {shape} | {macs} "
            f"| {node['ms']:.3f} | {node['ms'] / total:.1%} | {peak} |"
        )
    return "\n".join([*lines, ""])


def by_kind(facts: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Add up the steps of each kind of kernel: share of the time, and of the peak over it."""
    kinds: dict[str, dict[str, float]] = {}
    for node in facts["nodes"]:
        sums = kinds.setdefault(_kind(node["kernel"])[0], {"ms": 0.0, "macs": 0})
        sums["ms"] += node["ms"]
        sums["macs"] += node["macs"]
    peak = facts["peak_macs"]
    return [
        {
            "kind": kind,
            "ms": sums["ms"],
            "of_time": sums["ms"] / facts["totals"]["ms"],
            "of_peak": sums["macs"] / (sums["ms"] * 1e-3) / peak if peak and sums["macs"] else None,
        }
        for kind, sums in sorted(kinds.items(), key=lambda item: -item[1]["ms"])
    ]


def picture(network: str, facts: Mapping[str, Any], path: Path) -> None:
    """Draw the roofline: each layer's rate over its intensity, under what the machine can do."""
    figure, axes = plt.subplots(figsize=(8, 5), dpi=120)
    layers = [node for node in facts["nodes"] if node["macs"] and node["ms"]]
    _roof(axes, facts, [_intensity(node) for node in layers])
    for prefix, (label, colour) in {**_KINDS, "": ("other", "tab:gray")}.items():
        chosen = [node for node in layers if _kind(node["kernel"])[2] == prefix]
        _points(axes, chosen, label, colour)
    axes.set_xlabel("intensity: multiply-accumulates a byte read or written")
    axes.set_ylabel("GMAC/s")
    total = facts["totals"]
    rate = total["macs"] / total["ms"] / 1e6
    axes.set_title(
        f"{network}, int8, one thread: {total['ms']:.2f} ms in the steps, {rate:.0f} GMAC/s;\n"
        "a dot is a layer, its area the layer's part of the time",
        fontsize=10,
    )
    axes.legend(fontsize=8, loc="lower right")
    axes.grid(which="both", alpha=0.25)
    figure.tight_layout()
    figure.savefig(path)
    plt.close(figure)


def _kind(kernel: str) -> tuple[str, str, str]:
    for prefix, (label, colour) in _KINDS.items():
        if kernel.startswith(prefix):
            return label, colour, prefix
    return "other", "tab:gray", ""


def _intensity(node: Mapping[str, Any]) -> float:
    return float(node["macs"]) / (node["bytes"] + node["weight_bytes"])


def _roof(axes: Axes, facts: Mapping[str, Any], intensities: Sequence[float]) -> None:
    peak = facts["peak_macs"] / 1e9
    x = np.geomspace(min([0.5, *intensities]) / 2, max([100.0, *intensities]) * 2, 200)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.axhline(peak, color="black", linewidth=1)
    axes.annotate(
        f"{peak:.0f} GMAC/s in registers",
        (x[1], peak),
        (0, 4),
        fontsize=8,
        textcoords="offset points",
    )
    for style, (size, bytes_per_s) in zip((":", "--"), facts["copy"].items(), strict=True):
        level = "the second cache" if int(size) < 1 << 20 else "memory"
        axes.plot(
            x,
            np.minimum(peak, x * bytes_per_s / 1e9),
            style,
            color="black",
            linewidth=1,
            label=f"a copy in {level}: {bytes_per_s / 1e9:.0f} GB/s",
        )
    axes.set_ylim(peak / 200, peak * 1.6)


def _points(axes: Axes, nodes: Sequence[Mapping[str, Any]], label: str, colour: str) -> None:
    if not nodes:
        return
    whole = sum(node["ms"] for node in nodes)
    axes.scatter(
        [_intensity(node) for node in nodes],
        [node["macs_per_s"] / 1e9 for node in nodes],
        [12 + 400 * node["ms"] / whole for node in nodes],
        color=colour,
        alpha=0.6,
        edgecolors="none",
        label=label,
    )
