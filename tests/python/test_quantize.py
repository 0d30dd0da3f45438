"""`quaver.quantize` and its command, from a float model to an int8 one that runs everywhere."""

from __future__ import annotations

import json
import subprocess
import sys
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import helper, numpy_helper

import quaver
from models import model_of
from quaver import inspect
from quaver.quantize import Result
from recorder import peer


def _node(op: str, inputs: str, outputs: str, **attrs: Any) -> onnx.NodeProto:
    names = outputs.split()
    return helper.make_node(op, inputs.split(), names, f"{op}_{names[0]}", **attrs)


def _vision() -> onnx.ModelProto:
    """Each pattern of an image network once: folded norm, residual, SiLU, concat, pools, head."""
    rng = np.random.default_rng(0)

    def w(*shape: int) -> np.ndarray:
        fan_in = int(np.prod(shape[1:])) or 1
        return (rng.standard_normal(shape) / np.sqrt(fan_in)).astype(np.float32)

    uneven = np.logspace(-1, 0, 16).reshape(-1, 1, 1, 1)
    nodes = [
        _node("Conv", "x w1", "c1", pads=[1, 1, 1, 1], strides=[2, 2]),
        _node("BatchNormalization", "c1 g b m v", "n1"),
        _node("Clip", "n1 lo hi", "r1"),
        _node("Conv", "r1 w2 b2", "c2", pads=[1, 1, 1, 1], group=8),
        _node("Sigmoid", "c2", "s2"),
        _node("Mul", "c2 s2", "m2"),
        _node("Conv", "m2 w3 b3", "c3"),
        _node("Add", "c3 r1", "a3"),
        _node("MaxPool", "a3", "p3", kernel_shape=[2, 2], strides=[2, 2]),
        _node("Resize", "p3  scales", "u3", mode="nearest", nearest_mode="floor",
              coordinate_transformation_mode="asymmetric"),
        _node("ConvTranspose", "p3 w4 b3", "t3", strides=[2, 2]),
        _node("Concat", "u3 t3", "k3", axis=1),
        _node("Mul", "k3 gain", "h3"),
        _node("Conv", "h3 w6", "c6"),
        _node("Relu", "c6", "r6"),
        _node("Conv", "r6 w7", "c7", pads=[1, 1, 1, 1], group=16),
        _node("GlobalAveragePool", "c7", "g3"),
        _node("Flatten", "g3", "f3"),
        _node("Gemm", "f3 w5 b5", "y", transB=1),
    ]  # fmt: skip
    nodes[9].input[:] = ["p3", "", "scales"]
    constants = {
        "w1": w(8, 3, 3, 3), "g": 1 + w(8), "b": w(8), "m": w(8), "v": 1 + w(8) ** 2,
        "lo": np.float32(0), "hi": np.float32(6), "w2": w(8, 1, 3, 3), "b2": w(8),
        "w3": w(8, 8, 1, 1), "b3": w(8), "w4": w(8, 8, 2, 2), "w5": w(10, 16), "b5": w(10),
        "w6": w(16, 16, 1, 1) * uneven, "w7": w(16, 1, 3, 3),
        "scales": np.array([1, 1, 2, 2], np.float32), "gain": 1 + w(16, 1, 1) ** 2,
    }  # fmt: skip
    constants = {k: np.asarray(v, np.float32) for k, v in constants.items()}
    return model_of(nodes, {"x": np.zeros((1, 3, 16, 16), np.float32)}, ["y"], constants)


def _images(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((count, 3, 16, 16)).astype(np.float32)


@pytest.fixture(scope="module")
def result() -> Result:
    return quaver.quantize(_vision(), _images(32))


def _ort(model: onnx.ModelProto, x: np.ndarray) -> np.ndarray:
    options = ort.SessionOptions()
    options.log_severity_level = 3
    options.add_session_config_entry("session.x64quantprecision", "1")  # sums that don't saturate
    session = ort.InferenceSession(model.SerializeToString(), options)
    return np.asarray(session.run(None, {"x": x})[0])


def test_the_whole_network_is_int8(result: Result) -> None:
    facts = inspect.report(quaver.load(result.model))
    left = [n["node"] for n in facts["nodes"] if not n["int8"] and n["op"] != "QuantizeLinear"]
    left = [n for n in left if "dequantize" not in n]
    assert left == []
    assert result.report["nodes"]["float"] == {}
    assert facts["totals"]["int8_macs"] == facts["totals"]["macs"] > 0


def test_it_answers_like_the_float_model(result: Result) -> None:
    x = _images(16, seed=1)
    exact, int8 = quaver.load(_vision()), quaver.load(result.model)
    pairs = [(exact(i[None]), int8(i[None])) for i in x]
    a, b = (np.concatenate(side).ravel() for side in zip(*pairs, strict=True))
    assert 10 * np.log10((a @ a) / ((a - b) @ (a - b))) > 25


def test_onnxruntime_runs_it_alike(result: Result) -> None:
    """A step a layer on rounding ties, where the runtimes fuse: few steps after fourteen."""
    onnx.checker.check_model(result.model, full_check=True)
    int8 = quaver.load(result.model)
    pairs = [(_ort(result.model, i[None]), int8(i[None])) for i in _images(16, seed=1)]
    step = np.ptp([y for y, _ in pairs]) / 255
    for one, other in pairs:
        assert np.abs(one - other).max() <= 5.01 * step
        assert np.abs(one - other).mean() <= 2 * step


def test_standard_form(result: Result) -> None:
    domains = {node.domain for node in result.model.graph.node}
    assert domains == {""}
    weights = {t.name: t.data_type for t in result.model.graph.initializer}
    assert weights["Conv_c3/w3/quantized"] == onnx.TensorProto.INT8
    assert weights["Conv_c3/bias/quantized"] == onnx.TensorProto.INT32
    assert weights["x/quantized/zero"] == onnx.TensorProto.UINT8


def test_ranges_stay_in_the_model(result: Result) -> None:
    kept = {p.key: p.value for p in result.model.metadata_props}
    ranges = json.loads(kept["quaver.ranges"])
    assert {"x", "r1", "m2", "a3"} <= set(ranges)
    assert ranges["r1"][0] == 0.0
    assert kept["quaver.samples"] == "32"


def test_reproducible(result: Result) -> None:
    """The same bytes again, from any form of the same data; other samples give other ranges."""
    again = quaver.quantize(_vision(), [{"x": i[None]} for i in _images(32)], measure=False)
    assert again.model.SerializeToString() == result.model.SerializeToString()
    other = quaver.quantize(_vision(), _images(32, seed=9), measure=False)
    assert other.model.SerializeToString() != result.model.SerializeToString()


def test_seed_chooses_the_samples_kept() -> None:
    def make(seed: int) -> bytes:
        made = quaver.quantize(_vision(), _images(80), seed=seed, measure=False)
        return made.model.SerializeToString()

    assert make(0) != make(1)


def test_stream_is_as_good_as_a_list(result: Result) -> None:
    stream = quaver.quantize(_vision(), (i[None] for i in _images(32)), measure=False)
    assert stream.model.SerializeToString() == result.model.SerializeToString()


def test_memory_does_not_grow() -> None:
    """Of a stream no more samples are alive at once than are kept, and the one that runs."""
    alive, most = 0, 0

    def gone() -> None:
        nonlocal alive
        alive -= 1

    def stream() -> Iterator[np.ndarray]:
        nonlocal alive, most
        for image in _images(150):
            copy = image[None].copy()
            weakref.finalize(copy, gone)
            alive += 1
            most = max(most, alive)
            yield copy

    assert quaver.quantize(_vision(), stream(), measure=False).report["samples"] == 150
    assert 64 <= most <= 68


@pytest.mark.parametrize("method", ["minmax", "percentile", "mse", "entropy"])
def test_methods(method: str) -> None:
    made = quaver.quantize(_vision(), _images(8), method=method)
    assert {t["method"] for n, t in made.report["tensors"].items() if n != "gain"} == {method}
    assert made.report["outputs"]["y"]["sqnr_db"] > 10


def test_engine_onnxruntime(result: Result) -> None:
    made = quaver.quantize(_vision(), _images(32), engine="onnxruntime", measure=False)
    for name, tensor in result.report["tensors"].items():
        other = made.report["tensors"][name]
        assert other["seen"] == pytest.approx(tensor["seen"], rel=1e-4, abs=1e-5)


def test_repairs_are_switches(result: Result) -> None:
    made = quaver.quantize(
        _vision(),
        _images(32),
        smooth=False,
        equalize=False,
        correct_bias=False,
        search_weights=False,
        gptq=False,
    )
    assert made.report["repairs"] == {
        "smooth": None, "equalize": None, "correct_bias": None, "gptq": None,
        "search_weights": False,
    }  # fmt: skip
    assert result.report["repairs"]["equalize"]
    assert set(result.report["repairs"]["correct_bias"]) >= {"Conv_c1", "Conv_c3", "Gemm_y"}


def test_nodes_kept_in_float() -> None:
    made = quaver.quantize(
        _vision(), _images(8), keep_float=["Conv_c3"], measure=False, mixed=False
    )
    assert made.report["nodes"]["float"] == {
        "Conv_c3": "asked for",
        "Sigmoid_s2": "only operators in float read its result",
        "Mul_m2": "only operators in float read its result",
    }
    onnx.checker.check_model(made.model, full_check=True)
    facts = inspect.report(quaver.load(made.model))
    assert [n["int8"] for n in facts["nodes"] if "Conv_c3" in n["node"]] == [False]
    x = _images(1)
    np.testing.assert_allclose(quaver.load(made.model)(x), _ort(made.model, x), atol=0.1)


def test_report(result: Result, tmp_path: Path) -> None:
    facts = result.report
    assert json.loads(json.dumps(facts)) == facts
    assert facts["samples"] == 32
    assert facts["measured_samples"] == 16
    assert min(facts["sqnr_db"].values()) > 15
    assert {"r1", "a3", "y"} <= set(facts["sqnr_db"])
    assert facts["outputs"]["y"]["cosine_mean"] > 0.99
    assert facts["latency"]["float_ms"] > 0
    assert {step["node"] for step in facts["latency"]["int8_steps"]} >= {"Conv_c2"}
    tensor = facts["tensors"]["m2"]
    assert sum(tensor["histogram"]["counts"]) + tensor["zeros"] == 32 * 8 * 64
    for name in ("report.html", "report.json", "model.onnx"):
        path = tmp_path / name
        (result.save if name == "model.onnx" else result.save_report)(path)
        assert path.stat().st_size > 1000
    page = (tmp_path / "report.html").read_text()
    assert page.count("<svg") == 1 + len(facts["tensors"])
    assert "http" not in page
    assert json.loads((tmp_path / "report.json").read_text()) == facts
    with pytest.raises(quaver.FileError, match="cannot write"):
        result.save(tmp_path / "absent" / "m.onnx")


def test_noise_of_a_tensor(result: Result) -> None:
    """The figure of the last tensor is that of the output; observing changes what is fused."""
    assert result.report["sqnr_db"]["y"] == pytest.approx(
        result.report["outputs"]["y"]["sqnr_db"], abs=2.0
    )


@pytest.mark.parametrize("value", [0.0, 2.5, -1.0])
def test_constant_tensor_and_zero_channel(value: float) -> None:
    """No range and no weight: scales are safe and the answer is right."""
    weight = np.random.default_rng(0).standard_normal((4, 3, 1, 1)).astype(np.float32)
    weight[1] = 0
    bias = np.array([0, 1000, 1, -1], np.float32)
    nodes = [_node("Conv", "x w b", "c"), _node("Relu", "c", "y")]
    feed = {"x": np.full((1, 3, 4, 4), value, np.float32)}
    model = model_of(nodes, feed, ["y"], {"w": weight, "b": bias})
    made = quaver.quantize(model, [feed])
    exact, int8 = quaver.load(model)(feed["x"]), quaver.load(made.model)(feed["x"])
    assert np.isfinite(int8).all()
    np.testing.assert_allclose(int8, exact, atol=1000 / 255)
    json.dumps(made.report, allow_nan=False)


def test_open_batch() -> None:
    model = _vision()
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.shape.dim[0].dim_param = "N"
    made = quaver.quantize(model, _images(8))
    assert made.report["samples"] == 8
    assert quaver.load(made.model)(_images(3)).shape == (3, 10)


def test_several_inputs_and_attention() -> None:
    """Products with weights give and take bytes; scores between them are not rounded."""
    nodes = [
        _node("MatMul", "x wq", "q"),
        _node("MatMul", "z wk", "k"),
        _node("Transpose", "k", "kt", perm=[0, 2, 1]),
        _node("MatMul", "q kt", "s"),
        _node("Div", "s root", "d"),
        _node("Softmax", "d", "p", axis=-1),
        _node("MatMul", "p z", "c"),
        _node("MatMul", "c wo", "y"),
    ]
    rng = np.random.default_rng(0)
    feed = {k: rng.standard_normal((1, 6, 8)).astype(np.float32) for k in "xz"}
    constants = {k: rng.standard_normal((8, 8)).astype(np.float32) for k in ("wq", "wk", "wo")}
    model = model_of(nodes, feed, ["y"], {**constants, "root": np.float32(8**0.5)})
    made = quaver.quantize(model, [feed] * 4, mixed=False)
    assert made.report["nodes"]["int8"] == ["MatMul_k", "MatMul_q", "MatMul_y"]
    why = made.report["nodes"]["float"]
    assert {n for n in why if "attention" in why[n]} == {
        "MatMul_s",
        "Div_d",
        "Softmax_p",
        "MatMul_c",
    }
    assert set(made.report["tensors"]) == {"x", "z", "q", "k", "c"}
    assert made.report["outputs"]["y"]["sqnr_db"] > 30
    with pytest.raises(quaver.InputError, match="give a dictionary with 'x', 'z'"):
        quaver.quantize(model, [feed["x"]])


def test_embeddings_are_gathered_in_bytes() -> None:
    """What a product reads too, is small, or is to stay in float, is as it was."""
    nodes = [
        _node("Gather", "table ids", "rows"),
        _node("Gather", "places ids", "at"),
        _node("Gather", "tied ids", "same"),
        _node("Add", "rows at", "sum"),
        _node("Add", "sum same", "all"),
        _node("MatMul", "all w", "h"),
        _node("Relu", "h", "r"),
        _node("MatMul", "r tied", "y"),
    ]
    rng = np.random.default_rng(0)
    constants = {
        "table": rng.standard_normal((8192, 128)) * rng.uniform(0.1, 10, 128),
        "places": rng.standard_normal((8192, 128))[:1000],
        "tied": rng.standard_normal((8192, 128)).T.copy().T,
        "w": rng.standard_normal((128, 8192)) / 10,
    }
    constants = {name: array.astype(np.float32) for name, array in constants.items()}
    feeds = [{"ids": rng.integers(0, 1000, (1, 6))} for _ in range(4)]
    model = model_of(nodes, feeds[0], ["y"], constants)
    made = quaver.quantize(model, feeds, mixed=False)
    (gather,) = (node for node in made.model.graph.node if node.name == "Gather_rows")
    bytes_of = {t.name: t for t in made.model.graph.initializer}
    assert bytes_of[gather.input[0]].data_type == onnx.TensorProto.INT8
    assert {"places", "tied"} <= bytes_of.keys()
    assert "Gather_rows" in made.report["nodes"]["int8"]
    assert "Gather_at" in made.report["nodes"]["float"]
    got, want = quaver.load(made.model).run(feeds[0])["y"], quaver.load(model).run(feeds[0])["y"]
    assert np.corrcoef(got.ravel(), want.ravel())[0, 1] > 0.999
    np.testing.assert_allclose(got, peer(made.model, feeds[0])[0], atol=0.02 * np.abs(want).max())
    kept = quaver.quantize(model, feeds, mixed=False, keep_float=["Gather_rows"])
    assert "Gather_rows" in kept.report["nodes"]["float"]
    assert "table" in {t.name for t in kept.model.graph.initializer}


def test_refuses(result: Result) -> None:
    with pytest.raises(quaver.UnsupportedError, match="quantized already"):
        quaver.quantize(result.model, _images(1))
    with pytest.raises(quaver.InputError, match="no data"):
        quaver.quantize(_vision(), [])
    with pytest.raises(quaver.InputError, match="no method 'best'"):
        quaver.quantize(_vision(), _images(1), method="best")
    with pytest.raises(quaver.InputError, match="no engine 'tvm'"):
        quaver.quantize(_vision(), _images(1), engine="tvm")
    with pytest.raises(quaver.InputError, match="cannot quantize a int"):
        quaver.quantize(3, _images(1))
    moves = model_of([_node("Flatten", "x", "y")], {"x": _images(1)}, ["y"])
    with pytest.raises(quaver.ModelError, match="nothing to quantize"):
        quaver.quantize(moves, _images(1))
    sick = _vision()
    for tensor in sick.graph.initializer:
        if tensor.name == "w3":
            tensor.CopyFrom(numpy_helper.from_array(np.full((8, 8, 1, 1), np.nan, "f"), "w3"))
    with pytest.raises(quaver.ModelError, match="NaN"):
        quaver.quantize(sick, _images(1))


def _run(*arguments: object, code: int = 0) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "quaver", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stderr
    return done


def test_command(tmp_path: Path, result: Result) -> None:
    model, folder, page = tmp_path / "m.onnx", tmp_path / "calibration", tmp_path / "r.html"
    onnx.save(_vision(), model)
    folder.mkdir()
    for i, image in enumerate(_images(32)):
        np.savez(folder / f"{i:02}.npz", x=image[None])
    done = _run("quantize", model, "--data", folder, "--report", page)
    assert "m.int8.onnx" in done.stdout
    assert "32 samples" in done.stdout
    assert done.stderr == ""
    assert (tmp_path / "m.int8.onnx").read_bytes() == result.model.SerializeToString()
    assert "<svg" in page.read_text()
    switches = ["--no-equalize", "--no-bias-correction", "--method", "minmax"]
    keep = ["--keep-float", "Conv_c3", "-o", tmp_path / "p.onnx"]
    plain = _run("quantize", model, "--data", folder, *switches, *keep)
    assert "in float: Conv_c3: asked for" in plain.stdout
    done = _run("quantize", model, "--data", tmp_path / "absent.npz", code=1)
    assert "cannot read" in done.stderr
    assert "Traceback" not in done.stderr
