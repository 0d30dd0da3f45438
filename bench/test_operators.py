"""Operators one by one: networks of one node, Quaver and ONNX Runtime in turn."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import helper, numpy_helper

from quaver import bench
from tables import record

ROUNDS, SECONDS = 9, 0.01
ROWS, COLUMNS = 64, 512

RNG = np.random.default_rng(0)
X = RNG.normal(size=(ROWS, COLUMNS)).astype(np.float32)
OTHER = RNG.normal(size=X.shape).astype(np.float32)
UNIT = np.tanh(X)
POSITIVE = np.abs(X) + np.float32(0.01)
INTS = RNG.integers(-100, 100, X.shape)
TRUTH = X > 0
MAP = RNG.normal(size=(1, 32, 56, 56)).astype(np.float32)


UNARY = """
    Abs Asinh Atan Ceil Celu Cos Cosh Elu Erf Exp Floor Gelu HardSigmoid HardSwish Identity IsInf
    IsNaN LeakyRelu Mish Neg Reciprocal Relu Round Selu Shrink Sigmoid Sign Sin Sinh Softplus
    Softsign Tan Tanh ThresholdedRelu
"""
BINARY = "Add Sub Mul Div Max Min Greater GreaterOrEqual Less Equal"


class Case(NamedTuple):
    """A node, what it is given at run time, and what lies in the model."""

    op: str
    inputs: tuple[Any, ...]
    constants: tuple[Any, ...] = ()
    attrs: dict[str, Any] = {}  # noqa: RUF012 -- nobody changes it
    outputs: int = 1
    domain: str = ""

    def model(self) -> onnx.ModelProto:
        """The network."""
        given = [f"x{i}" for i in range(len(self.inputs))]
        held = ["" if a is None else f"c{i}" for i, a in enumerate(self.constants)]
        made = [f"y{i}" for i in range(self.outputs)]
        kind = helper.np_dtype_to_tensor_dtype
        graph = helper.make_graph(
            [helper.make_node(self.op, [*given, *held], made, domain=self.domain, **self.attrs)],
            self.op,
            [
                helper.make_tensor_value_info(n, kind(a.dtype), a.shape)
                for n, a in zip(given, self.inputs, strict=True)
            ],
            [onnx.ValueInfoProto(name=n) for n in made],
            [
                numpy_helper.from_array(np.asarray(a), n)
                for n, a in zip(held, self.constants, strict=True)
                if n
            ],
        )
        imports = [helper.make_opsetid("", 22), helper.make_opsetid("com.microsoft", 1)]
        model = helper.make_model(graph, opset_imports=imports, ir_version=10)
        if self.domain:
            model.graph.output[0].CopyFrom(helper.make_tensor_value_info("y0", 1, None))
            return model
        return onnx.shape_inference.infer_shapes(model)


def _elementwise() -> Iterator[tuple[str, Case]]:
    for op in UNARY.split():
        yield op, Case(op, (X,))
    for op in ("Acos", "Asin", "Atanh"):
        yield op, Case(op, (UNIT,))
    for op, x in (("Log", POSITIVE), ("Sqrt", POSITIVE), ("Acosh", POSITIVE + 1)):
        yield op, Case(op, (x,))
    for op in BINARY.split():
        yield op, Case(op, (X, OTHER))
        yield f"{op}, a row", Case(op, (X, OTHER[0]))
        yield f"{op}, a column", Case(op, (X, OTHER[:, :1].copy()))
    for op in ("Add", "Sub", "Mul", "Div", "Max", "Greater", "Equal", "Abs", "Sign", "Neg"):
        one = op in ("Abs", "Sign", "Neg")
        yield f"{op}, int64", Case(op, (INTS,) if one else (INTS, INTS + 300))
        small = INTS.astype(np.int32)
        yield f"{op}, int32", Case(op, (small,) if one else (small, small + 300))
    yield "Mod, int64", Case("Mod", (INTS, np.abs(INTS) + 1))
    yield "Mod, fmod", Case("Mod", (X, POSITIVE), attrs={"fmod": 1})
    yield "BitwiseAnd, int32", Case("BitwiseAnd", (INTS.astype(np.int32), INTS.astype(np.int32)))
    for op in ("And", "Or", "Xor"):
        yield op, Case(op, (TRUTH, X > 1))
    yield "Not", Case("Not", (TRUTH,))
    yield "Where", Case("Where", (TRUTH, X, OTHER))
    yield "Where, a number", Case("Where", (TRUTH, X), (np.float32(0),))
    yield "Clip", Case("Clip", (X,), (np.float32(-1), np.float32(1)))
    yield "PRelu", Case("PRelu", (X,), (OTHER[0],))
    for power in (2.0, 3.0, 0.5, -1.0, 2.7):
        yield f"Pow, {power:g}", Case("Pow", (POSITIVE,), (np.float32(power),))
    yield "Pow, elementwise", Case("Pow", (POSITIVE, OTHER))
    for op in ("Sum", "Mean"):
        yield f"{op} of three", Case(op, (X, OTHER, POSITIVE))
    for op in ("QuickGelu", "FastGelu", "BiasGelu"):
        bias = (OTHER[0],) if op == "BiasGelu" else ()
        yield op, Case(op, (X,), bias, domain="com.microsoft")


def _along_axes() -> Iterator[tuple[str, Case]]:
    for op in ("Sum", "Mean", "Max", "Min", "Prod", "L1", "L2", "LogSum", "LogSumExp", "SumSquare"):
        x = POSITIVE if op == "LogSum" else UNIT
        for name, axes in (("rows", 1), ("columns", 0)):
            yield f"Reduce{op}, {name}", Case(f"Reduce{op}", (x,), (np.array([axes]),))
    for op in ("ArgMax", "ArgMin", "Softmax", "LogSoftmax", "Hardmax", "LpNormalization"):
        for name, axis in (("rows", 1), ("columns", 0)):
            yield f"{op}, {name}", Case(op, (X,), attrs={"axis": axis})
    for name, axis in (("rows", 1), ("columns", 0)):
        yield f"CumSum, {name}", Case("CumSum", (X,), (np.array(axis),))
        yield f"CumSum, {name}, int64", Case("CumSum", (INTS,), (np.array(axis),))
        yield f"TopK of 8, {name}", Case("TopK", (X,), (np.array([8]),), {"axis": axis}, outputs=2)
    yield "TopK of all", Case("TopK", (X,), (np.array([COLUMNS]),), {"axis": 1}, outputs=2)
    yield "LayerNormalization", Case("LayerNormalization", (X,), (OTHER[0], OTHER[1]))
    for op in ("InstanceNormalization", "GlobalAveragePool", "GlobalMaxPool", "LRN"):
        weights = (OTHER[0, :32], OTHER[1, :32]) if op == "InstanceNormalization" else ()
        yield op, Case(op, (MAP,), weights, {"size": 5} if op == "LRN" else {})
    yield (
        "GroupNormalization",
        Case("GroupNormalization", (MAP,), (OTHER[0, :32], OTHER[1, :32]), {"num_groups": 8}),
    )


def _moving() -> Iterator[tuple[str, Case]]:
    rows, at = RNG.integers(0, ROWS, 100), RNG.integers(0, ROWS, X.shape)
    points = np.stack([RNG.integers(0, ROWS, 3000), RNG.integers(0, COLUMNS, 3000)], 1)
    yield "Gather, rows", Case("Gather", (X, rows))
    yield "Gather, columns", Case("Gather", (X, RNG.integers(0, COLUMNS, 100)), attrs={"axis": 1})
    yield "GatherElements, columns", Case("GatherElements", (X, at), attrs={"axis": 0})
    along = RNG.integers(0, COLUMNS, X.shape)
    yield "GatherElements, rows", Case("GatherElements", (X, along), attrs={"axis": 1})
    yield "GatherND", Case("GatherND", (X, points))
    yield "GatherND, rows", Case("GatherND", (X, rows[:, None]))
    unique = np.argsort(OTHER, axis=1)
    yield "ScatterElements", Case("ScatterElements", (X, unique, OTHER), attrs={"axis": 1})
    yield (
        "ScatterElements, add",
        Case("ScatterElements", (X, along, OTHER), attrs={"axis": 1, "reduction": "add"}),
    )
    once = np.unique(points, axis=0)[:2000]
    yield "ScatterND", Case("ScatterND", (X, once, OTHER.ravel()[:2000]))
    yield "ScatterND, rows", Case("ScatterND", (X, np.arange(0, 64, 2)[:, None], OTHER[:32]))
    yield "Transpose", Case("Transpose", (X,), attrs={"perm": [1, 0]})
    heads = X.reshape(1, 64, 8, 64)
    yield "Transpose, heads", Case("Transpose", (heads,), attrs={"perm": [0, 2, 1, 3]})
    yield "Transpose, channels last", Case("Transpose", (MAP,), attrs={"perm": [0, 2, 3, 1]})
    yield "Concat, rows", Case("Concat", (X, OTHER), attrs={"axis": 0})
    yield "Concat, columns", Case("Concat", (X, OTHER), attrs={"axis": 1})
    yield "Split", Case("Split", (X,), attrs={"axis": 1, "num_outputs": 4}, outputs=4)
    yield "Slice", Case("Slice", (X,), (np.array([10]), np.array([400]), np.array([1])))
    yield (
        "Slice, each other",
        Case("Slice", (X,), (np.array([0]), np.array([512]), np.array([1]), np.array([2]))),
    )
    yield (
        "Slice, backwards",
        Case("Slice", (X,), (np.array([-1]), np.array([-600]), np.array([1]), np.array([-1]))),
    )
    yield "Expand", Case("Expand", (X[:1].copy(),), (np.array([ROWS, COLUMNS]),))
    yield "Expand, columns", Case("Expand", (X[:, :1].copy(),), (np.array([ROWS, COLUMNS]),))
    yield "Tile", Case("Tile", (X,), (np.array([2, 2]),))
    for mode in ("constant", "edge", "reflect"):
        yield f"Pad, {mode}", Case("Pad", (X,), (np.array([2, 3, 2, 3]),), {"mode": mode})
    yield "OneHot", Case("OneHot", (rows,), (np.array(64), np.array([0, 1], np.float32)))
    yield "Trilu", Case("Trilu", (X,))
    yield (
        "ReverseSequence",
        Case("ReverseSequence", (X, np.full(COLUMNS, 60)), attrs={"batch_axis": 1, "time_axis": 0}),
    )
    for op in ("DepthToSpace", "SpaceToDepth"):
        yield op, Case(op, (MAP,), attrs={"blocksize": 2})
    yield "NonZero", Case("NonZero", (np.maximum(X, 0),))
    yield "Compress", Case("Compress", (X, TRUTH[:, 0].copy()), attrs={"axis": 0})


def _casts() -> Iterator[tuple[str, Case]]:
    kinds = {"fp32": X, "fp16": X.astype(np.float16), "int64": INTS, "bool": TRUTH}
    kinds |= {"int32": INTS.astype(np.int32), "u8": np.abs(INTS).astype(np.uint8)}
    kinds |= {"s8": INTS.astype(np.int8), "fp64": X.astype(np.float64)}
    for source, x in kinds.items():
        for target, like in kinds.items():
            if source == target or (target == "u8" and x.min() < 0):
                continue
            to = helper.np_dtype_to_tensor_dtype(like.dtype)
            yield f"Cast, {source} to {target}", Case("Cast", (x,), attrs={"to": to})
    quantization = (np.float32(0.03), np.uint8(128))
    yield "QuantizeLinear", Case("QuantizeLinear", (X,), quantization)
    yield "DequantizeLinear", Case("DequantizeLinear", (kinds["u8"],), quantization)
    yield "DynamicQuantizeLinear", Case("DynamicQuantizeLinear", (X,), outputs=3)


def _spatial() -> Iterator[tuple[str, Case]]:
    twice = np.array([1, 1, 2, 2], np.float32)
    for mode in ("nearest", "linear", "cubic"):
        yield f"Resize, {mode}", Case("Resize", (MAP,), (None, twice), {"mode": mode})
    grid = RNG.uniform(-1, 1, (1, 56, 56, 2)).astype(np.float32)
    for mode in ("linear", "nearest", "cubic"):
        yield f"GridSample, {mode}", Case("GridSample", (MAP, grid), attrs={"mode": mode})
    window = {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 1, 1, 1]}
    for op in ("MaxPool", "AveragePool", "LpPool"):
        yield op, Case(op, (MAP,), attrs=window)
    yield "MatMul", Case("MatMul", (X, OTHER.T.copy()))
    yield (
        "Einsum",
        Case(
            *("Einsum", (X.reshape(1, 64, 8, 64), OTHER.reshape(1, 64, 8, 64))),
            attrs={"equation": "bqhd,bkhd->bhqk"},
        ),
    )


CASES = dict([*_elementwise(), *_along_axes(), *_moving(), *_casts(), *_spatial()])


@pytest.mark.parametrize("name", CASES)
def test_operator(name: str, tmp_path: Path) -> None:
    case, path = CASES[name], str(tmp_path / "model.onnx")
    feeds = {f"x{i}": array for i, array in enumerate(case.inputs)}
    onnx.save(case.model(), path)
    try:
        theirs = bench.PEERS["onnxruntime"](path, feeds, 1)
        wanted = theirs.run()
    except onnxruntime.capi.onnxruntime_pybind11_state.NotImplemented:
        pytest.skip("ONNX Runtime lacks it")
    pair = [bench.ours(path, feeds, 1), theirs]
    got = pair[0].run()
    for ours, other in zip(got if case.outputs > 1 else [got], wanted, strict=True):
        np.testing.assert_allclose(
            np.asarray(ours, np.float64), np.asarray(other, np.float64), rtol=2e-3, atol=2e-4
        )
    (results,) = bench._interleave([pair], ROUNDS, SECONDS)
    us = (f"{1000 * one.median_ms:.1f}" for one in results)
    record("operators", name, *us, f"{results[1].ratio:.2f}")
