"""Products of weights of four bits (MatMulNBits), and rows gathered from a table of such."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from quaver import bench
from tables import record

ROUNDS, SECONDS = 9, 0.05
BLOCK = 32
FLOAT, INT64 = TensorProto.FLOAT, TensorProto.INT64

#: k and n: a square projection, and a quarter of a wide gate of a language model.
MATRICES = [(2048, 2048), (4096, 11008 // 4)]
ROWS = [1, 4, 8, 24]
#: Of MatMulNBits: 0 leaves rows in float32, 4 lets them become bytes.
LEVELS = [0, 4]


def few_bits(op: str, names: list[str], columns: int, rows: int, **attrs: int) -> onnx.ModelProto:
    """A model of one node on random weights [rows, columns], in blocks of a row."""
    rng = np.random.default_rng(0)
    blocks = columns // BLOCK
    shape = (rows, blocks, BLOCK // 2) if op == "MatMulNBits" else (rows, columns // 2)
    scales = rng.uniform(0.005, 0.02, (rows, blocks)).astype(np.float32)
    tensors = [
        numpy_helper.from_array(rng.integers(0, 256, shape).astype(np.uint8), "w"),
        numpy_helper.from_array(scales, "s"),
    ]
    kind = INT64 if op == "GatherBlockQuantized" else FLOAT
    shapes = {"MatMulNBits": ["rows", columns], "GatherBlockQuantized": ["rows"]}
    node = helper.make_node(op, names, ["y"], domain="com.microsoft", block_size=BLOCK, **attrs)
    graph = helper.make_graph(
        [node],
        op,
        [helper.make_tensor_value_info("x", kind, shapes[op])],
        [helper.make_tensor_value_info("y", FLOAT, None)],
        tensors,
    )
    imports = [helper.make_opsetid("", 21), helper.make_opsetid("com.microsoft", 1)]
    return helper.make_model(graph, opset_imports=imports, ir_version=10)


def contest(model: onnx.ModelProto, folder: Path, x: np.ndarray, name: str) -> None:
    """Time it on Quaver and ONNX Runtime, whose answers must be the same."""
    path, inputs = str(folder / "model.onnx"), {"x": x}
    onnx.save(model, path)
    pair = [bench.ours(path, inputs, 1), bench.PEERS["onnxruntime"](path, inputs, 1)]
    got, wanted = np.asarray(pair[0].run()), np.asarray(pair[1].run()[0])
    assert np.abs(got - wanted).max() < 0.01 * np.abs(wanted).max()
    (results,) = bench._interleave([pair], ROUNDS, SECONDS)
    for one in results:
        ratio = "" if one.runtime == "quaver" else f"{one.ratio:.2f}"
        cells = (f"{one.median_ms:.3f}", f"{one.p10_ms:.3f}", ratio)
        record("few bits", name, "1", one.runtime, *cells)


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("rows", ROWS)
@pytest.mark.parametrize(("k", "n"), MATRICES)
def test_products(k: int, n: int, rows: int, level: int, tmp_path: Path) -> None:
    model = few_bits("MatMulNBits", ["x", "w", "s"], k, n, K=k, N=n, bits=4, accuracy_level=level)
    x = np.random.default_rng(1).normal(size=(rows, k)).astype(np.float32)
    contest(model, tmp_path, x, f"{rows}x{k}x{n}, level {level}")


@pytest.mark.parametrize("tokens", [1, 128])
def test_rows(tokens: int, tmp_path: Path) -> None:
    rows, columns = 32000, 2048
    model = few_bits(
        "GatherBlockQuantized", ["w", "x", "s"], columns, rows, gather_axis=0, quantize_axis=1
    )
    at = np.random.default_rng(1).integers(0, rows, tokens)
    contest(model, tmp_path, at, f"{tokens} of {rows} rows of {columns}")
