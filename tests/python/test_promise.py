"""Promises of accuracy: metrics, samples set apart, layers returned to float."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper

import quaver
from models import model_of
from quaver.quantize import Result, data, metrics


def _model() -> onnx.ModelProto:
    """Three products, the second of which has weights that no step of a byte resolves."""
    rng = np.random.default_rng(0)
    hard = rng.standard_normal((16, 16)).astype(np.float32)
    hard[0] *= 30  # one input channel, nearly always small
    constants = {
        "w1": rng.standard_normal((8, 16)).astype(np.float32),
        "w2": hard,
        "w3": rng.standard_normal((16, 5)).astype(np.float32),
    }
    constants["w1"][:, 0] *= 1e-3
    nodes = [
        helper.make_node("MatMul", ["x", "w1"], ["a"], "first"),
        helper.make_node("Tanh", ["a"], ["t"], "tanh"),
        helper.make_node("MatMul", ["t", "w2"], ["b"], "hard"),
        helper.make_node("Tanh", ["b"], ["u"], "tanh2"),
        helper.make_node("MatMul", ["u", "w3"], ["y"], "last"),
    ]
    return model_of(nodes, {"x": np.zeros((1, 8), np.float32)}, ["y"], constants)


def _inputs(count: int = 60) -> np.ndarray:
    return np.random.default_rng(1).standard_normal((count, 8)).astype(np.float32)


def _quantize(**options: Any) -> Result:
    return quaver.quantize(_model(), _inputs(), measure=False, **options)


def test_a_promise_kept_at_once_changes_nothing() -> None:
    made = _quantize(max_drop=0.5)
    promise = made.report["promise"]
    assert promise["kept"]
    assert promise["chosen"] == 0
    assert promise["samples"] == {"searched": 20, "held_out": 20}
    assert made.report["samples"] == 40  # held out ones are not calibrated on
    assert set(made.report["nodes"]["int8"]) == {"first", "tanh", "hard", "tanh2", "last"}


def test_layers_return_to_float_until_it_is_kept() -> None:
    free = _quantize(metric="cosine").report["promise"]
    drop = max(free["frontier"][0]["drop"], free["frontier"][0]["held_out_drop"])
    made = _quantize(max_drop=drop / 2)
    promise = made.report["promise"]
    chosen = next(p for p in promise["frontier"] if p["layers_in_float"] == promise["chosen"])
    assert promise["chosen"] > 0
    assert chosen["drop"] <= drop / 2
    assert chosen["held_out_drop"] <= drop / 2
    in_float = {layer["node"] for layer in promise["layers"][: promise["chosen"]]}
    why = made.report["nodes"]["float"]
    assert in_float == {name for name in why if "promise" in why[name]}
    x, model = _inputs(4), quaver.load(made.model)
    exact = quaver.load(_model())
    for row in x:
        a, b = exact(row[None]).ravel(), model(row[None]).ravel()
        assert a @ b / np.linalg.norm(a) / np.linalg.norm(b) > 1 - 10 * drop


def test_a_clear_no() -> None:
    with pytest.raises(quaver.AccuracyError, match="no int8 model keeps the promise") as caught:
        _quantize(max_drop=0.0)
    promise = caught.value.report["promise"]
    assert not promise["kept"]
    assert len(promise["frontier"]) > 1
    assert {layer["node"] for layer in promise["layers"]} == {"first", "hard", "last"}
    assert all(layer["noise"] > 0 for layer in promise["layers"])
    json.dumps(caught.value.report)


def test_a_function_as_metric() -> None:
    seen = []

    def right(outputs: list[dict[str, np.ndarray]], labels: list[int]) -> float:
        seen.append((len(outputs), list(outputs[0]), labels))
        found = [run["y"].argmax() for run in outputs]
        return float(np.mean([f == label for f, label in zip(found, labels, strict=True)]))

    exact = quaver.load(_model())
    labels = [int(exact(row[None]).argmax()) for row in _inputs()]
    made = _quantize(metric=right, labels=labels, max_drop=0.3)
    assert made.report["promise"]["exact"] == {"searched": 1.0, "held_out": 1.0}
    assert made.report["promise"]["metric"] == "right"
    assert all(count == 20 and names == ["y"] and len(own) == 20 for count, names, own in seen)
    assert _quantize(metric="top1", labels=labels, max_drop=0.3).report["promise"]["kept"]


def test_a_stream_will_do() -> None:
    made = quaver.quantize(_model(), iter(_inputs()[:, None]), measure=False, max_drop=0.5)
    assert made.report["promise"]["samples"] == {"searched": 20, "held_out": 20}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"max_drop": -1}, "at least 0"),
        ({"max_drop": float("nan")}, "at least 0"),
        ({"metric": "bleu"}, "no metric 'bleu'; there are cosine, f1, top1"),
        ({"metric": 3, "max_drop": 1}, "a name or a function"),
        ({"metric": "top1", "labels": [1, 2]}, "2 labels for 60 samples"),
        ({"metric": "top1", "labels": [0.5] * 60}, "numbers of classes"),
        ({"metric": lambda *_: 1 / 0}, "raised ZeroDivisionError"),
        ({"metric": lambda *_: float("nan")}, "gave nan"),
    ],
)
def test_refuses(options: dict[str, Any], words: str) -> None:
    with pytest.raises(quaver.InputError, match=words):
        _quantize(**options)


def test_too_few_samples() -> None:
    with pytest.raises(quaver.InputError, match="at least 6 samples; there are 5"):
        quaver.quantize(_model(), _inputs(5), max_drop=0.1)


def test_f1_and_cosine() -> None:
    exact = [{"y": np.eye(3, dtype=np.float32)[[i]]} for i in (0, 0, 1, 2)]
    other = [{"y": np.eye(3, dtype=np.float32)[[i]]} for i in (0, 1, 1, 2)]
    judge = metrics.Judge("f1", [0, 0, 1, 2], exact)
    assert judge.exact == 1.0
    assert judge.score(other) == pytest.approx((2 / 3 + 2 / 3 + 1) / 3)
    assert metrics.Judge("cosine", None, exact).drop(other) == pytest.approx(0.25)
    assert metrics.Judge("top1", None, exact).drop(other) == 0.25


def test_labels_from_files(tmp_path: Path) -> None:
    np.save(tmp_path / "l.npy", [1, 2])
    np.savez(tmp_path / "l.npz", labels=[1, 2])
    (tmp_path / "l.txt").write_text("1\n2\n")
    for file in tmp_path.iterdir():
        assert metrics.read_labels(file).tolist() == [1, 2]
    (tmp_path / "bad.txt").write_text("cat\n")
    with pytest.raises(quaver.CorruptFileError, match=r"bad\.txt.* holds no labels"):
        metrics.read_labels(tmp_path / "bad.txt")
    with pytest.raises(quaver.FileError, match="cannot read"):
        metrics.read_labels(tmp_path / "none.txt")


def test_samples_set_apart_do_not_meet() -> None:
    ports = [quaver.Port("x", np.dtype(np.float32), (1, 8))]
    samples = data.Samples(_inputs(20), ports)
    apart = data.take_apart(samples, list(range(20)), seed=0)
    held = {feed["x"].tobytes() for feed in apart.held_out[0]}
    others = {feed["x"].tobytes() for feed in apart.others}
    assert len(held) == 6
    assert not held & others
    assert len(held | others) == 20
    for feed, label in zip(*apart.searched, strict=True):
        assert (feed["x"][0] == _inputs(20)[label]).all()


def test_never_slower_leaves_out_what_is() -> None:
    """Whatever this machine finds, what stays in float is named and the model answers alike."""
    made = _quantize(never_slower=True)
    exact = quaver.load(_model())(_inputs(1))
    assert np.allclose(quaver.load(made.model)(_inputs(1)), exact, atol=0.3 * np.abs(exact).max())


def test_command(tmp_path: Path) -> None:
    onnx.save(_model(), tmp_path / "m.onnx")
    np.save(tmp_path / "x.npy", _inputs())
    np.save(tmp_path / "labels.npy", np.zeros(60, np.int64))
    command = [sys.executable, "-m", "quaver", "quantize", "m.onnx", "--data", "x.npy"]
    fine = ["--metric", "top1", "--labels", "labels.npy", "--max-drop", "0.5"]
    run = subprocess.run(
        [*command, *fine], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert "layers in float" in run.stdout
    assert "chosen" in run.stdout
    (tmp_path / "m.int8.onnx").unlink()
    strict = ["--max-drop", "0", "--report", "r.html"]
    run = subprocess.run(
        [*command, *strict], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert run.returncode == 1
    assert "no int8 model keeps the promise" in run.stderr
    assert "layers in float" in run.stdout
    assert not (tmp_path / "m.int8.onnx").exists()
    assert "Not kept." in (tmp_path / "r.html").read_text()
