"""The report as one self-contained HTML page, its plots as inline SVG."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from quaver.quantize import frontier
from quaver.quantize.markup import milliseconds, table

_STYLE = """
:root { color-scheme: light dark; --ink: #1c2330; --soft: #667085; --line: #d9dee7; --paper: #fff;
  --bar: #3b6fd4; --weak: #d9822b; --cut: #c0392b; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e9ef; --soft: #98a2b3; --line: #343b49;
  --paper: #14181f; --bar: #7aa2f7; --weak: #e0a458; --cut: #f07167; } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper);
  max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.6rem; } h2 { font-size: 1.15rem; margin-top: 2.2rem; }
p, small { color: var(--soft); }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: .15rem 1rem .15rem 0; border-bottom: 1px solid var(--line); }
td.n, th.n { text-align: right; }
.grid { display: grid; grid-template-columns: repeat(auto-fill, minmax(15rem, 1fr)); gap: 1rem; }
figure { margin: 0; } figcaption { font-size: .8rem; overflow-wrap: anywhere; }
svg { width: 100%; height: auto; display: block; } svg text { fill: var(--soft); font-size: 10px; }
.bar { fill: var(--bar); } .weak { fill: var(--weak); } .cut { stroke: var(--cut); }
.axis { stroke: var(--line); } .open { fill: var(--paper); stroke: var(--bar); }
.path { stroke: var(--bar); fill: none; }
.float { fill: var(--soft); }
"""

_WEAK_DB = 20.0  # below it a tensor is drawn as weak
_SHOWN_STEPS = 20


def render(report: Mapping[str, Any], title: str = "Quantization report") -> str:
    """Set a report of `quaver.quantize` as a page.

    Parameters
    ----------
    report
        `Result.report`; sections whose measurements are not in it are left out.
    title
        Of the page.
    """
    parts = [f"<h1>{escape(title)}</h1>", _summary(report)]
    if "outputs" in report:
        parts += ["<h2>Outputs</h2>", _outputs(report["outputs"])]
    if report.get("promise"):
        parts += ["<h2>The promise</h2>", frontier.render(report["promise"])]
    if "latency" in report:
        parts += ["<h2>Time on this machine</h2>", _latency(report["latency"])]
    if "sqnr_db" in report:
        parts += [
            "<h2>Signal to quantization noise, by tensor</h2>",
            "<p>In run order, against the float model on the same samples; what earlier layers "
            "add is included. 6 dB are one bit.</p>",
            _noise(report["sqnr_db"]),
        ]
    parts += ["<h2>What stays in float</h2>", _floats(report["nodes"]["float"])]
    parts += ["<h2>Repairs</h2>", _repairs(report["repairs"])]
    if report.get("mixed"):
        parts += ["<h2>What cost most</h2>", _mixed(report["mixed"])]
    parts += [
        "<h2>Ranges</h2>",
        "<p>Values seen in calibration, without exact zeros, on a logarithmic scale of counts; the "
        "lines are the ends of the stored range.</p>",
        '<div class="grid">',
        *(_range(name, tensor) for name, tensor in report["tensors"].items()),
        "</div>",
    ]
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style>{''.join(parts)}</html>\n"
    )


def _summary(report: Mapping[str, Any]) -> str:
    nodes = report["nodes"]
    return (
        f"<p>{len(nodes['int8'])} nodes in int8, {len(nodes['float'])} in float. Calibrated on "
        f"{report['samples']} samples with {escape(report['engine'])}; ranges by "
        f"{escape(report['method'])}; seed {report['seed']}.</p>"
    )


def _outputs(outputs: Mapping[str, Mapping[str, float]]) -> str:
    rows = [
        [name, f"{o['sqnr_db']:.1f}", f"{o['cosine_mean']:.4f}", f"{o['cosine_least']:.4f}"]
        for name, o in outputs.items()
    ]
    return table(["output", "SQNR dB", "cosine, mean", "least"], rows, (1, 2, 3))


def _latency(latency: Mapping[str, Any]) -> str:
    slowest = sorted(latency["int8_steps"], key=lambda s: -s["ms"])[:_SHOWN_STEPS]
    floats = {step["node"]: step["ms"] for step in latency["float_steps"]}
    rows = []
    for step in slowest:
        before = floats.get(step["node"])
        slower = step["node"] in latency["slower"]
        rows.append(
            [
                step["node"],
                step["op"],
                "int8" if step["int8"] else "float",
                "" if before is None else milliseconds(before),
                milliseconds(step["ms"]),
                "slower than float" if slower else "",
            ]
        )
    return (
        f"<p>Float {milliseconds(latency['float_ms'])} ms, int8 "
        f"{milliseconds(latency['int8_ms'])} ms: "
        f"{latency['speedup']:.2f} times as fast ({escape(latency['isa'])}, one thread). "
        "The slowest steps:</p>"
        + table(["node", "operator", "", "float ms", "int8 ms", ""], rows, (3, 4))
    )


def _noise(values: Mapping[str, float]) -> str:
    width, height, base = 900, 190, 165
    if not values:
        return "<p>None.</p>"
    top = max(40.0, *(min(v, 60.0) for v in values.values()))
    step = width / len(values)
    bars = []
    for i, (name, value) in enumerate(values.items()):
        tall = max(1.0, min(max(value, 0.0), top) / top * 150)
        kind = "weak" if value < _WEAK_DB else "bar"
        bars.append(
            f'<rect class="{kind}" x="{30 + i * step:.1f}" y="{base - tall:.1f}" '
            f'width="{max(step * 0.8, 0.5):.2f}" height="{tall:.1f}">'
            f"<title>{escape(name)}: {value:.1f} dB</title></rect>"
        )
    lines = [
        f'<line class="axis" x1="30" x2="{width + 30}" y1="{base - db / top * 150:.1f}" '
        f'y2="{base - db / top * 150:.1f}"/><text x="0" y="{base - db / top * 150 + 3:.1f}">'
        f"{db} dB</text>"
        for db in range(0, int(top) + 1, 20)
    ]
    worst = sorted(values.items(), key=lambda item: item[1])[:5]
    listed = ", ".join(f"{escape(name)} ({value:.1f} dB)" for name, value in worst)
    return (
        f'<svg viewBox="0 0 {width + 30} {height}" role="img">{"".join(lines)}{"".join(bars)}</svg>'
        f"<p>Lowest: {listed}.</p>"
    )


def _floats(floats: Mapping[str, str]) -> str:
    if not floats:
        return "<p>Nothing: the whole network is in int8.</p>"
    return table(["node", "why"], list(floats.items()), ())


def _repairs(repairs: Mapping[str, Any]) -> str:
    groups, biases = repairs["equalize"], repairs["correct_bias"]
    smoothed = repairs["smooth"]
    rows = [
        ["outlier channels of normalizations smoothed", _groups(smoothed)],
        ["channels equalized", _groups(groups)],
    ]
    if biases is None:
        rows.append(["biases corrected", "off"])
    else:
        largest = max(biases.values(), default=0.0)
        rows.append(["biases corrected", f"{len(biases)} nodes, by at most {largest:.3g}"])
    rounded = repairs["gptq"]
    told = "off" if rounded is None else str(len(rounded))
    rows.append(["weights rounded for their inputs", told])
    rows.append(["weight scales searched", "yes" if repairs["search_weights"] else "off"])
    return table(["repair", "where"], rows, ())


def _mixed(rounds: Sequence[Mapping[str, Any]]) -> str:
    """The parts that bring most noise at first, and what was done about them."""
    fitted = {name: item for found in rounds for name, item in found["refitted"].items()}
    moved = [name for found in rounds for name in found["moved"]]
    tried = {item["part"]: item for found in rounds for item in found["returned"]}
    doubled = {i["part"]: i for found in rounds for i in found["doubled"] if i["kept"]}
    noises = {name: noise for found in reversed(rounds) for name, noise in found["noise"].items()}
    rows = []
    for name, noise in sorted(noises.items(), key=lambda item: -item[1])[:_SHOWN_STEPS]:
        done = []
        if name in fitted:
            done.append(f"range by {fitted[name]['method'][1]}")
        if name in doubled:
            done.append(f"in two bytes ({doubled[name]['time']:+.1%} time)")
        if name in tried:
            kept = "in float" if tried[name]["kept"] else "stays in int8: float did not pay"
            done.append(f"{kept} ({tried[name]['time']:+.1%} time)")
        rows.append([name, f"{noise:.3g}", "; ".join(done)])
    if not rows:
        return "<p>Nothing that stands out.</p>"
    more = (
        f" In float, for outliers to move into weights: {escape(', '.join(moved))}."
        if moved
        else ""
    )
    return (
        "<p>Tensors and weights by the noise in the outputs, over their power, that each alone "
        f"brings.{more}</p>" + table(["tensor or node of the weight", "noise", "done"], rows, (1,))
    )


def _groups(groups: Sequence[Mapping[str, Any]] | None) -> str:
    if groups is None:
        return "off"
    if not groups:
        return "none that it would help"
    largest = max(group["largest"] for group in groups)
    groups_ = "group" if len(groups) == 1 else "groups"
    return f"{len(groups)} {groups_} of layers, factors up to {largest:.3g}"


def _range(name: str, tensor: Mapping[str, Any]) -> str:
    edges, counts = tensor["histogram"]["edges"], tensor["histogram"]["counts"]
    caption = (
        f"{escape(name)}<br><small>{tensor['lo']:.4g} to {tensor['hi']:.4g}, "
        f"{escape(tensor['method'])}, {tensor['cut']:.3%} cut</small>"
    )
    return f"<figure>{_histogram(edges, counts, tensor)}<figcaption>{caption}</figcaption></figure>"


def _histogram(edges: Sequence[float], counts: Sequence[int], tensor: Mapping[str, Any]) -> str:
    width, height = 240, 70
    low = min([*edges[:1], tensor["lo"]])
    span = max([*edges[-1:], tensor["hi"]]) - low or 1.0
    tallest = math.log1p(max(counts, default=1))

    def x(value: float) -> float:
        return float((value - low) / span * width)

    bars = []
    for left, right, count in zip(edges, edges[1:], counts, strict=False):
        if count:
            tall = math.log1p(count) / tallest * (height - 4)
            bars.append(
                f"M{x(left):.1f} {height}V{height - tall:.1f}H{max(x(right), x(left) + 0.3):.1f}"
                f"V{height}"
            )
    cuts = "".join(
        f'<line class="cut" x1="{x(tensor[end]):.1f}" x2="{x(tensor[end]):.1f}" y1="0" '
        f'y2="{height}"/>'
        for end in ("lo", "hi")
    )
    return (
        f'<svg viewBox="0 0 {width} {height}" role="img"><path class="bar" d="{"".join(bars)}"/>'
        f'<line class="axis" x1="0" x2="{width}" y1="{height}" y2="{height}"/>{cuts}</svg>'
    )
