"""Accuracy after quantization, ours and the peers' in the same run.

``PYTHONPATH=bench python -m accuracy`` prints the table.

One row of the table so far: EfficientNet-Lite0 on crops of photographs. Every quantizer gets the
same calibration crops; the float model's answers on held-out crops are the truth. Ours runs on
Quaver, a peer's on the peer. Each quantizer works in a process of its own, for its peak memory.
"""

from __future__ import annotations

import argparse
import json
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory

import zoo
from accuracy import classification, recipes
from quaver import table


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="python -m accuracy", description=__doc__)
    parser.add_argument("--calibration", type=int, default=64, help="crops (default: 64)")
    parser.add_argument("--held-out", type=int, default=128, help="crops (default: 128)")
    parser.add_argument("--recipes", nargs="*", choices=recipes.ALL, default=list(recipes.ALL))
    parser.add_argument("--json", type=Path, metavar="FILE", help="keep the numbers")
    arguments = parser.parse_args()
    model = zoo.path("efficientnet-lite0")
    rows = []
    with TemporaryDirectory() as directory:
        samples = Path(directory, "calibration.npy")
        classification.save_calibration(samples, arguments.calibration)
        images = classification.held_out(arguments.held_out)
        truth = classification.answers(recipes.ours_runner(model), images)
        for name in arguments.recipes:
            made = Path(directory, f"{name}.onnx")
            with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
                cost = pool.submit(recipes.quantize, name, model, samples, made).result()
            run = recipes.ALL[name].runner(made)
            figures = classification.agreement(truth, classification.answers(run, images))
            rows.append({"recipe": name, **figures, **cost})
    print(render(rows))
    if arguments.json:
        arguments.json.write_text(json.dumps({"efficientnet-lite0": rows}, indent=2))


def render(rows: list[dict[str, float | str]]) -> str:
    """Set the figures as a table."""
    header = ["recipe", "top-1", "cosine", "worst", "seconds", "peak MB"]
    keys = ("recipe", "top1", "cosine_mean", "cosine_least", "seconds", "peak_mb")
    formats = ("{}", "{:.3f}", "{:.4f}", "{:.4f}", "{:.1f}", "{:.0f}")
    cells = [[f.format(row[key]) for key, f in zip(keys, formats, strict=True)] for row in rows]
    return table.render(header, cells, right=range(1, len(header)))


if __name__ == "__main__":
    main()
