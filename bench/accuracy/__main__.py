"""Accuracy after quantization, ours and the peers' in the same run.

``PYTHONPATH=bench python -m accuracy`` prints a table for each model, as Markdown.

Every quantizer gets the same samples to calibrate on; the float model's answers to held-out ones,
or known labels, are the truth. Ours runs on Quaver, a peer's on the peer, each with one thread.
Each quantizer works in a process of its own, for its peak memory. Milliseconds are medians of runs
in turn. A recipe that fails says why in its row.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from accuracy import classification, files, lines, objects, pages, recipes, sentences
from accuracy.task import Answers, Feed, Task

TASKS: dict[str, Task] = {
    "efficientnet-lite0": classification.TASK,
    "minilm-l6": sentences.TASK,
    "ppocr-rec": lines.TASK,
    "ppocr-det": pages.TASK,
    "yolov8n": objects.TASK,
    "magika": files.TASK,
}

_ROUNDS = 11


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="python -m accuracy", description=__doc__)
    parser.add_argument("--models", nargs="*", choices=TASKS, default=list(TASKS))
    parser.add_argument("--recipes", nargs="*", choices=recipes.ALL, default=list(recipes.ALL))
    parser.add_argument("--json", type=Path, metavar="FILE", help="keep the numbers")
    arguments = parser.parse_args()
    found = {}
    for name in arguments.models:
        found[name] = compare(TASKS[name], arguments.recipes)
        print(render(name, TASKS[name], found[name]), flush=True)
        if arguments.json:
            arguments.json.write_text(json.dumps(found, indent=2))


def compare(task: Task, names: list[str]) -> list[dict[str, Any]]:
    """Quantize a model by each recipe and judge what comes out."""
    model, held_out = task.model(), task.held_out()
    rows: list[dict[str, Any]] = []
    with TemporaryDirectory() as directory:
        samples = Path(directory, "samples")
        recipes.save(task.calibration(), samples)
        exact = recipes.ours_runner(model)
        truth = answers(task, exact, held_out)
        runs = {"float": exact}
        rows.append({"recipe": "float", **task.judge(truth, truth)})
        for name in names:
            made = Path(directory, f"{name}.onnx")
            row: dict[str, Any] = {"recipe": name}
            try:
                with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
                    cost = pool.submit(recipes.quantize, name, model, samples, made).result()
                run = recipes.ALL[name].runner(made)
                row |= task.judge(truth, answers(task, run, held_out)) | cost
                runs[name] = run
            except Exception as error:  # a peer's own; the others go on
                row["failed"] = f"{type(error).__name__}: {str(error).splitlines()[0][:100]}"
                print(f"{name}: {row['failed']}", file=sys.stderr)
            rows.append(row)
        times = milliseconds(runs, held_out[0])
    return [row | ({"ms": times[row["recipe"]]} if row["recipe"] in times else {}) for row in rows]


def answers(task: Task, run: recipes.Run, feeds: list[Feed]) -> Answers:
    """What a model says to every run, as far as it is judged."""
    return [task.kept(run(feed)) for feed in feeds]


def milliseconds(runs: dict[str, recipes.Run], feed: Feed) -> dict[str, float]:
    """The median time of each, in turn."""
    times: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(_ROUNDS):
        for name, run in runs.items():
            start = time.perf_counter()
            run(feed)
            times[name].append(1e3 * (time.perf_counter() - start))
    return {name: statistics.median(found) for name, found in times.items()}


def render(name: str, task: Task, rows: list[dict[str, Any]]) -> str:
    """Set the figures of a model as a table in Markdown."""
    keys = [key for key in rows[0] if key not in ("recipe", "ms")]
    keys = [*keys, "ms", "seconds", "peak_mb"]
    lines_ = [f"### {name}, {task.data}", ""]
    lines_.append("| recipe | " + " | ".join(key.replace("_", " ") for key in keys) + " |")
    lines_.append("| --- |" + " ---: |" * len(keys))
    for row in rows:
        cells = [row["failed"]] if "failed" in row else [_cell(row.get(key)) for key in keys]
        lines_.append(f"| {row['recipe']} | " + " | ".join(cells) + " |")
    ours = next((row for row in rows if row["recipe"] == "quaver"), None)
    if ours and "failed" not in ours:
        lines_ += ["", _verdict(task, ours)]
    return "\n".join([*lines_, ""])


def _verdict(task: Task, ours: dict[str, Any]) -> str:
    """Which of the figures asked of ours it has."""
    parts = []
    for key, asked in (*task.required.items(), *task.most.items()):
        sign, fits = (
            ("≥", ours[key] >= asked) if key in task.required else ("≤", ours[key] <= asked)
        )
        parts.append(f"{key.replace('_', ' ')} {sign} {asked:g}: {'yes' if fits else 'no'}")
    return "; ".join(parts)


def _cell(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:.0f}" if value >= 100 or value == int(value) else f"{value:.4f}"


if __name__ == "__main__":
    main()
