"""float_precision="bf16": what is rounded, and that nothing else is; the same bits everywhere."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from onnx import helper
from onnx.reference import ReferenceEvaluator

import quaver
from conftest import ISAS
from models import Case, float_model, model_of, quantized_model
from quaver import inspect
from test_convolutions import convolutions


def _bf16(x: np.ndarray) -> np.ndarray:
    """Round to the nearest bfloat16, ties to the even one."""
    bits = np.asarray(x, np.float32).view(np.uint32)
    return ((bits + 0x7FFF + (bits >> 16 & 1)) & 0xFFFF0000).astype(np.uint32).view(np.float32)


def _rounded(case: Case, weight: str) -> Case:
    feeds = {name: _bf16(array) for name, array in case.feeds.items()}
    constants = dict(case.constants)
    if weight in constants:
        constants[weight] = _bf16(case.constants[weight])
    return dataclasses.replace(case, feeds=feeds, constants=constants)


def _check(case: Case, weight: str, isa: str | None, *, rounds: bool = True) -> None:
    """Sums in fp32 of operands that are bf16: hundreds of times closer than unrounded ones."""
    exact = _rounded(case, weight) if rounds else case
    want = ReferenceEvaluator(float_model(exact)).run(None, exact.feeds)[0]
    model = quaver.load(float_model(case), threads=1, isa=isa, float_precision="bf16")
    got = model(*case.feeds.values())
    np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-5 * max(1.0, np.abs(want).max()))


@pytest.mark.parametrize("isa", ISAS)
@settings(max_examples=40)
@given(case=convolutions())
def test_convolution(isa: str, case: Case) -> None:
    weight, group = case.constants["w"], case.attrs["group"]
    depthwise = group > 1 and weight.shape[:2] == (group, 1)
    _check(case, "w", isa, rounds=not depthwise)


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize(("tokens", "rounds"), [(16, False), (40, True)])
def test_attention(isa: str, tokens: int, rounds: bool) -> None:
    """Operands and e^x are rounded from 17 tokens on; sums and what is divided by are not."""
    heads, depth = 3, 24
    q, k, v = (_normal(1, tokens, heads * depth) + i for i in range(3))
    model = model_of(
        [
            helper.make_node(
                "Attention", ["q", "k", "v"], ["y"], q_num_heads=heads, kv_num_heads=heads
            )
        ],
        {"q": q, "k": k, "v": v},
        ["y"],
        opset=23,
    )

    def attended(of: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
        a, b, c = (of(x).reshape(tokens, heads, depth).swapaxes(0, 1) for x in (q, k, v))
        scores = a @ b.swapaxes(1, 2) / np.sqrt(np.float32(depth))
        e = np.exp(scores - scores.max(-1, keepdims=True))
        return (of(e) @ c / e.sum(-1, keepdims=True)).swapaxes(0, 1).reshape(q.shape)

    loaded = quaver.load(model, threads=1, isa=isa, float_precision="bf16")
    got = loaded(q, k, v)
    near, far = attended(_bf16 if rounds else np.copy), attended(np.copy if rounds else _bf16)
    assert np.abs(got - near).mean() < 0.05 * np.abs(got - far).mean()
    (node,) = inspect.report(loaded)["nodes"]
    assert node["bf16"] is rounds


def _normal(*shape: int) -> np.ndarray:
    return np.random.default_rng(sum(shape)).standard_normal(shape).astype(np.float32)


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize(
    "case",
    [
        Case("product", "MatMul", {"x": _normal(2, 5, 37)}, {"w": _normal(37, 19)}),
        Case("row", "MatMul", {"x": _normal(1, 300)}, {"w": _normal(300, 1000)}),
        Case("of two activations", "MatMul", {"x": _normal(3, 7, 33), "w": _normal(3, 33, 18)}),
        Case(
            "edge to edge",
            "ConvTranspose",
            {"x": _normal(1, 6, 5, 4)},
            {"w": _normal(6, 3, 2, 2)},
            {"strides": [2, 2]},
        ),
        Case(
            "with gaps",
            "ConvTranspose",
            {"x": _normal(1, 6, 5, 4)},
            {"w": _normal(6, 3, 2, 2), "b": _normal(3)},
            {"strides": [3, 3], "group": 1},
        ),
        Case(
            "of two images",
            "ConvTranspose",
            {"x": _normal(2, 6, 5, 4)},
            {"w": _normal(6, 4, 3, 3)},
            {"strides": [2, 1], "pads": [1, 0, 0, 1]},
        ),
    ],
    ids=str,
)
def test_product(isa: str, case: Case) -> None:
    _check(case, "w", isa)


def _network() -> onnx.ModelProto:
    """A stem, a depthwise and a 1x1 convolution with a residual, and a product."""
    nodes = [
        helper.make_node("Conv", ["x", "stem"], ["a"], "stem", strides=[2, 2], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["a"], ["b"], "relu"),
        helper.make_node("Conv", ["b", "deep"], ["c"], "deep", pads=[1, 1, 1, 1], group=24),
        helper.make_node("Sigmoid", ["c"], ["s"], "sigmoid"),
        helper.make_node("Mul", ["c", "s"], ["d"], "silu"),
        helper.make_node("Conv", ["d", "point"], ["e"], "point"),
        helper.make_node("Add", ["e", "b"], ["f"], "add"),
        helper.make_node("GlobalAveragePool", ["f"], ["g"], "pool"),
        helper.make_node("Flatten", ["g"], ["h"], "flatten"),
        helper.make_node("MatMul", ["h", "classes"], ["y"], "classify"),
    ]
    constants = {
        "stem": _normal(24, 3, 3, 3) / 5,
        "deep": _normal(24, 1, 3, 3) / 3,
        "point": _normal(24, 24, 1, 1) / 5,
        "classes": _normal(24, 500),
    }
    return model_of(nodes, {"x": _normal(2, 3, 33, 33)}, ["y"], constants)


def test_network_is_near_float_and_the_same_everywhere() -> None:
    """Each of three rounded products in a row adds at most 2 * 2^-9 of its terms' sizes."""
    x = _normal(2, 3, 33, 33)
    exact = quaver.load(_network(), threads=1)(x)
    answers = [
        quaver.load(_network(), threads=threads, isa=isa, float_precision="bf16")(x)
        for isa in ISAS
        for threads in (1, 2)
    ]
    for answer in answers[1:]:
        np.testing.assert_array_equal(answer.view(np.uint32), answers[0].view(np.uint32))
    error = np.abs(answers[0] - exact).max() / np.abs(exact).max()
    assert 0 < error < 3 * 2**-8


def test_inspect_names_the_steps() -> None:
    model = quaver.load(_network(), threads=1, float_precision="bf16")
    assert model.float_precision == "bf16"
    facts = inspect.report(model)
    assert facts["float_precision"] == "bf16"
    steps = {node["node"]: node for node in facts["nodes"]}
    assert {name for name, node in steps.items() if node["bf16"]} == {"stem", "point", "classify"}
    assert "float32 in bf16" in inspect.render(facts)
    assert quaver.load(_network()).float_precision == "fp32"
    assert not any(node["bf16"] for node in inspect.report(quaver.load(_network()))["nodes"])


def test_compiled_file_serves_both_precisions(tmp_path: Path) -> None:
    x = _normal(2, 3, 33, 33)
    sizes = {}
    for precision in ("fp32", "bf16"):
        model = quaver.load(_network(), threads=1, float_precision=precision)
        path = tmp_path / f"{precision}.quaver"
        model.save(path, packed=True)
        sizes[precision] = path.stat().st_size
        for other in ("fp32", "bf16"):
            want = quaver.load(_network(), threads=1, float_precision=other)(x)
            got = quaver.load(path, threads=1, float_precision=other)(x)
            np.testing.assert_array_equal(got, want)
    assert sizes["bf16"] < sizes["fp32"]


def test_int8_stays_as_it_is() -> None:
    case = Case("conv", "Conv", {"x": _normal(1, 8, 9, 9)}, {"w": _normal(16, 8, 3, 3), "b": None})
    wanted = ReferenceEvaluator(float_model(case)).run(None, case.feeds)[0]
    model = quantized_model(case, wanted, weight="w", bias="b")
    answers = [
        quaver.load(model, threads=1, float_precision=precision)(*case.feeds.values())
        for precision in ("fp32", "bf16")
    ]
    np.testing.assert_array_equal(*answers)


def test_float_island_of_an_int8_model() -> None:
    """The convolution that is left in float multiplies in bf16, that in int8 does not."""
    case = Case("conv", "Conv", {"x": _normal(1, 8, 9, 9)}, {"w": _normal(16, 8, 3, 3), "b": None})
    wanted = ReferenceEvaluator(float_model(case)).run(None, case.feeds)[0]
    model = quantized_model(case, wanted, weight="w", bias="b")
    (output,) = model.graph.output
    island = helper.make_node("Conv", [output.name, "v"], ["z"], "island")
    model.graph.node.append(island)
    model.graph.initializer.append(onnx.numpy_helper.from_array(_normal(4, 16, 1, 1), "v"))
    output.CopyFrom(helper.make_tensor_value_info("z", onnx.TensorProto.FLOAT, [1, 4, 7, 7]))
    loaded = quaver.load(model, threads=1, float_precision="bf16")
    first, island = [node for node in inspect.report(loaded)["nodes"] if node["op"] == "Conv"]
    assert first["int8"]
    assert not first["bf16"]
    assert island["bf16"]


def test_unknown_precision_is_refused(tmp_path: Path) -> None:
    with pytest.raises(quaver.InputError, match="float_precision='fp8': expected 'fp32' or 'bf16'"):
        quaver.load(_network(), float_precision="fp8")
    path = tmp_path / "net.onnx"
    onnx.save(_network(), path)
    done = subprocess.run(
        [sys.executable, "-m", "quaver", "inspect", str(path), "--float-precision", "half"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "choose from" in done.stderr


def test_command_line(tmp_path: Path) -> None:
    path, fed, given_out = tmp_path / "net.onnx", tmp_path / "x.npz", tmp_path / "y.npz"
    onnx.save(_network(), path)
    x = _normal(2, 3, 33, 33)
    np.savez(fed, x=x)
    subprocess.run(
        [
            *(sys.executable, "-m", "quaver", "run", str(path), "--float-precision", "bf16"),
            *("--input", str(fed), "--output", str(given_out)),
        ],
        check=True,
        env=dict(os.environ),
    )
    with np.load(given_out) as answer:
        want = quaver.load(_network(), float_precision="bf16")(x)
        np.testing.assert_array_equal(answer["y"], want)


def test_swish_is_part_of_the_step_before() -> None:
    nodes = inspect.report(quaver.load(_network(), threads=1))["nodes"]
    assert any("with Swish" in node["note"] for node in nodes if node["op"] == "Conv")
    assert not {"Swish", "Sigmoid"} & {node["op"] for node in nodes}


def test_stages_take_it_too() -> None:
    """A model whose sizes depend on contents runs in stages; its products are rounded as well."""
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["a"], "product"),
        helper.make_node("NonZero", ["a"], ["n"], "nonzero"),
        helper.make_node("MatMul", ["a", "v"], ["y"], "after"),
    ]
    x = _normal(4, 33)
    constants = {"w": _normal(33, 16), "v": _normal(16, 8)}
    model = model_of(nodes, {"x": x}, ["y", "n"], constants)
    loaded = quaver.load(model, threads=1, fallback=None, float_precision="bf16")
    assert loaded.float_precision == "bf16"
    want = _bf16(_bf16(x) @ _bf16(constants["w"])) @ _bf16(constants["v"])
    np.testing.assert_allclose(loaded(x)[0], want, rtol=0.02, atol=0.05)
    assert not np.array_equal(loaded(x)[0], quaver.load(model, threads=1, fallback=None)(x)[0])


def test_a_first_convolution_with_steps_and_padding_beyond_reason() -> None:
    """Only the middle one of three windows meets the image."""
    far = 2**28
    x, w = _normal(1, 3, 3, 4), _normal(2, 3, 3, 3)
    attrs = {"pads": [0, far, 0, far], "strides": [1, far], "group": 1}
    case = Case("far", "Conv", {"x": x}, {"w": w}, attrs)
    y = quaver.load(float_model(case), threads=1, float_precision="bf16")(x)
    want = (_bf16(x)[..., :3] * _bf16(w)).sum(axis=(1, 2, 3))
    assert y.shape == (1, 2, 1, 3)
    np.testing.assert_allclose(y[0, :, 0], [[0, v, 0] for v in want], rtol=1e-4, atol=1e-5)
