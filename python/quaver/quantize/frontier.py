"""The section of the report page on a promise: accuracy against latency, and what layers cost."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from quaver.quantize.markup import milliseconds, table

_WIDTH, _HEIGHT, _LEFT, _BASE = 640, 260, 70, 220
_LAYERS = 20


def render(promise: Mapping[str, Any]) -> str:
    """The verdict, the plot of the models that were tried, and the layers in order."""
    return "".join(
        [
            f"<p>{_verdict(promise)}</p>",
            plot(promise),
            "<p>Each point is a model that was measured, with as many layers in float as it says; "
            "filled is the one chosen, gray the float model, dashed the drop allowed.</p>",
            table(*points(promise), (0, 1, 2, 3)),
            _layers(promise["layers"]),
        ]
    )


def _verdict(promise: Mapping[str, Any]) -> str:
    metric, limit = escape(str(promise.get("metric", "cosine"))), promise["max_drop"]
    samples = promise["samples"]
    on = (
        f"{metric}, searched on {samples['searched']} samples and judged on "
        f"{samples['held_out']} others that nothing else has seen"
    )
    allowed = "" if math.isinf(limit) else f" of at most {limit:g}"
    if not promise["kept"]:
        return f"<b>Not kept.</b> No int8 model has a drop{allowed} in {on}."
    chosen = next(p for p in promise["frontier"] if p["layers_in_float"] == promise["chosen"])
    return (
        f"<b>Kept</b>: a drop{allowed} in {on}. {chosen['layers_in_float']} layers stay in float; "
        f"the drop is {chosen['held_out_drop']:.3g} from {promise['exact']['held_out']:.4g}, at "
        f"{milliseconds(chosen['ms'])} ms against {milliseconds(promise['float_ms'])} ms in float."
    )


def plot(promise: Mapping[str, Any]) -> str:
    """Drop, on a logarithmic scale, against milliseconds."""
    points = [(p["ms"], max(p["drop"], 0.0), p["layers_in_float"]) for p in promise["frontier"]]
    drops = [drop for _, drop, _ in points if drop > 0]
    least = min(drops, default=1e-4) / 2
    most = max([*drops, 2 * least]) * 2
    limit = promise["max_drop"]
    if 0 < limit < math.inf:
        least, most = min(least, limit / 2), max(most, limit * 2)
    slowest = float(max([promise["float_ms"], *(ms for ms, _, _ in points)])) * 1.05

    def x(ms: float) -> float:
        return _LEFT + float(ms) / slowest * (_WIDTH - _LEFT - 30)

    def y(drop: float) -> float:
        part = math.log(max(float(drop), least) / least) / math.log(most / least)
        return float(_BASE - part * (_BASE - 20))

    parts = _axes(x, y, slowest, least, most)
    if 0 < limit < math.inf:
        parts.append(
            f'<line class="cut" stroke-dasharray="4" x1="{_LEFT}" x2="{_WIDTH}" '
            f'y1="{y(limit):.1f}" y2="{y(limit):.1f}"/>'
        )
    path = " ".join(f"{x(ms):.1f},{y(drop):.1f}" for ms, drop, _ in sorted(points))
    parts.append(f'<polyline class="path" points="{path}"/>')
    for ms, drop, count in points:
        chosen = count == promise["chosen"]
        parts.append(
            f'<circle class="{"bar" if chosen else "open"}" cx="{x(ms):.1f}" cy="{y(drop):.1f}" '
            f'r="{6 if chosen else 4}"><title>{count} layers in float: {milliseconds(ms)} ms, drop '
            f'{drop:.3g}</title></circle><text x="{x(ms) + 7:.1f}" y="{y(drop) - 6:.1f}">{count}'
            "</text>"
        )
    parts.append(
        f'<circle class="float" cx="{x(promise["float_ms"]):.1f}" cy="{_BASE}" r="5"><title>the '
        "float model</title></circle>"
    )
    return f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img">{"".join(parts)}</svg>'


def _axes(x: Any, y: Any, slowest: float, least: float, most: float) -> list[str]:
    parts = [
        f'<text x="{_LEFT}" y="12">drop</text><text x="{_WIDTH - 20}" y="{_BASE + 28}">ms</text>'
    ]
    for power in range(math.ceil(math.log10(least)), math.floor(math.log10(most)) + 1):
        at = y(10.0**power)
        parts.append(
            f'<line class="axis" x1="{_LEFT}" x2="{_WIDTH}" y1="{at:.1f}" y2="{at:.1f}"/>'
            f'<text x="0" y="{at + 3:.1f}">{10.0**power:g}</text>'
        )
    for tick in range(5):
        ms = slowest * tick / 4
        parts.append(f'<text text-anchor="middle" x="{x(ms):.1f}" y="{_BASE + 16}">{ms:.3g}</text>')
    return parts


def points(promise: Mapping[str, Any]) -> tuple[list[str], list[list[str]]]:
    """The models that were tried, as the header and the rows of a table."""
    rows = [
        [
            str(p["layers_in_float"]),
            f"{p['drop']:.3g}",
            "" if p["held_out_drop"] is None else f"{p['held_out_drop']:.3g}",
            milliseconds(p["ms"]),
            "chosen" if p["layers_in_float"] == promise["chosen"] else "",
        ]
        for p in promise["frontier"]
    ]
    return ["layers in float", "drop", "held out", "ms", ""], rows


def _layers(layers: Sequence[Mapping[str, Any]]) -> str:
    if not layers:
        return ""
    rows = [
        [
            layer["node"],
            f"{layer['noise']:.3g}",
            f"{layer['int8_us']:.1f}",
            f"{layer['float_us']:.1f}",
        ]
        for layer in layers[:_LAYERS]
    ]
    header = ["layer", "noise it brings", "int8 µs", "float µs, conversions included"]
    return (
        "<p>Layers in the order in which they return to float: noise in the outputs, over their "
        "power, for each microsecond won back.</p>" + table(header, rows, (1, 2, 3))
    )
