"""Models that are no single native graph: branches, loops, sizes by contents, fallback."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

import quaver
from quaver.inspect import render, report
from quaver.stages import rival
from recorder import peer
from test_operators import normal

FLOAT, INT64, BOOL = TensorProto.FLOAT, TensorProto.INT64, TensorProto.BOOL
Ports = Sequence[tuple[str, int, Any]]


def model_of(
    nodes: Sequence[onnx.NodeProto],
    inputs: Ports,
    outputs: Ports,
    constants: dict[str, np.ndarray] | None = None,
    opset: int = 21,
) -> onnx.ModelProto:
    tensors = [numpy_helper.from_array(a, n) for n, a in (constants or {}).items()]
    ports = [[helper.make_tensor_value_info(*port) for port in side] for side in (inputs, outputs)]
    graph = helper.make_graph(nodes, "net", *ports, tensors)
    imports = [helper.make_opsetid("", opset), helper.make_opsetid("com.microsoft", 1)]
    return helper.make_model(graph, opset_imports=imports, ir_version=10)


def check(model: onnx.ModelProto, *runs: dict[str, Any], fallback: str | None = None) -> Any:
    loaded = quaver.load(model, fallback=fallback)
    for feeds in runs:
        got = list(loaded.run(feeds).values())
        for array, want in zip(got, peer(model, feeds), strict=True):
            assert array.dtype == want.dtype
            np.testing.assert_allclose(array, want, rtol=1e-4, atol=1e-5)
    return loaded._core


def branches(condition: list[onnx.NodeProto], inputs: Ports) -> onnx.ModelProto:
    def branch(op: str) -> onnx.GraphProto:
        node = helper.make_node(op, ["x", "w"], [f"{op}_out"])
        return helper.make_graph([node], op, [], [helper.make_empty_tensor_value_info(f"{op}_out")])

    node = helper.make_node(
        "If", ["c"], ["y"], "choice", then_branch=branch("Add"), else_branch=branch("Sub")
    )
    return model_of(
        [*condition, node],
        [("x", FLOAT, ["n", 4]), *inputs],
        [("y", FLOAT, None)],
        {"w": normal(4)},
    )


def kinds(core: Any) -> list[str]:
    return [stage.runs.kind for stage in core.stages]


def test_branch_by_a_small_input_is_one_native_graph() -> None:
    sixteen = helper.make_node("Equal", ["rate", "sixteen"], ["c"])
    model = branches([sixteen], [("rate", INT64, [])])
    model.graph.initializer.append(numpy_helper.from_array(np.array(16000), "sixteen"))
    runs = [{"x": normal(n, 4), "rate": np.array(r)} for n in (1, 3) for r in (16000, 8000)]
    assert kinds(check(model, *runs)) == ["native"]


def test_branch_by_what_is_computed() -> None:
    nodes = [
        helper.make_node("ReduceSum", ["x"], ["s"], keepdims=0),
        helper.make_node("Greater", ["s", "zero"], ["c"]),
    ]
    model = branches(nodes, [])
    model.graph.initializer.append(numpy_helper.from_array(np.array(0, np.float32), "zero"))
    x = np.ones((2, 4), np.float32)
    assert kinds(check(model, {"x": x}, {"x": -x}, {"x": -x[:1]})) == ["native", "host"]


def test_branch_by_a_shape() -> None:
    nodes = [
        helper.make_node("Shape", ["x"], ["d"], start=0, end=1),
        helper.make_node("Squeeze", ["d"], ["d0"]),
        helper.make_node("Equal", ["d0", "two"], ["c"]),
    ]
    model = branches(nodes, [])
    model.graph.initializer.append(numpy_helper.from_array(np.array(2), "two"))
    runs = [{"x": normal(2, 4)}, {"x": normal(3, 4)}]
    assert kinds(check(model, *runs)) == ["native"]


def test_loop_while_a_condition_holds() -> None:
    body = helper.make_graph(
        [
            helper.make_node("Add", ["v", "v"], ["v2"]),
            helper.make_node("ReduceMax", ["v2"], ["top"], keepdims=0),
            helper.make_node("Less", ["top", "limit"], ["goes"]),
            helper.make_node("ReduceSum", ["v2"], ["sum"], keepdims=0),
        ],
        "body",
        [
            helper.make_tensor_value_info("i", INT64, []),
            helper.make_tensor_value_info("c", BOOL, []),
            helper.make_tensor_value_info("v", FLOAT, None),
        ],
        [
            helper.make_tensor_value_info("goes", BOOL, []),
            helper.make_tensor_value_info("v2", FLOAT, None),
            helper.make_tensor_value_info("sum", FLOAT, []),
        ],
    )
    node = helper.make_node("Loop", ["", "", "x"], ["last", "sums"], "doubling", body=body)
    model = model_of(
        [node],
        [("x", FLOAT, ["n"])],
        [("last", FLOAT, None), ("sums", FLOAT, None)],
        {"limit": np.array(100, np.float32)},
    )
    core = check(model, {"x": np.array([1, 3], np.float32)}, {"x": np.array([60], np.float32)})
    assert "host" in kinds(core)


def test_sizes_by_contents() -> None:
    """What NonZero finds is gathered and summed: native before and after."""
    nodes = [
        helper.make_node("Relu", ["x"], ["r"]),
        helper.make_node("NonZero", ["r"], ["i"]),
        helper.make_node("Transpose", ["i"], ["t"]),
        helper.make_node("GatherND", ["r", "t"], ["g"]),
        helper.make_node("Mul", ["g", "g"], ["y"]),
    ]
    model = model_of(nodes, [("x", FLOAT, ["n", 3])], [("y", FLOAT, None), ("i", INT64, None)])
    assert kinds(check(model, {"x": normal(4, 3)}, {"x": normal(2, 3)})) == [
        *("native", "host", "native"),
    ]


def test_shapes_and_numbers_as_inputs() -> None:
    nodes = [
        helper.make_node("Reshape", ["x", "shape"], ["r"]),
        helper.make_node("TopK", ["r", "k"], ["best", "where"]),
    ]
    model = model_of(
        nodes,
        [("x", FLOAT, [12]), ("shape", INT64, [2]), ("k", INT64, [1])],
        [("best", FLOAT, None), ("where", INT64, None)],
    )
    x = normal(12)
    core = check(
        model,
        {"x": x, "shape": np.array([3, 4]), "k": np.array([2])},
        {"x": x, "shape": np.array([2, 6]), "k": np.array([5])},
    )
    assert kinds(core) == ["native"]
    with pytest.raises(quaver.UnsupportedError, match=r"bind them, load\(\.\.\., constants="):
        core.save("model.quaver")


def test_graphs_for_contents_are_kept_with_a_bound() -> None:
    node = helper.make_node("Expand", ["x", "shape"], ["y"])
    model = model_of([node], [("x", FLOAT, [1]), ("shape", INT64, [1])], [("y", FLOAT, None)])
    loaded = quaver.load(model, fallback=None)
    for n in [*range(1, 40), 39, 1]:
        assert loaded(np.ones(1, np.float32), np.array([n])).shape == (n,)
    assert len(loaded._core.stages[0].runs._cores) == 16


def test_boxes() -> None:
    node = helper.make_node("NonMaxSuppression", ["boxes", "scores", "most", "iou"], ["picked"])
    gather = helper.make_node("Slice", ["picked", "two", "three", "one"], ["column"])
    model = model_of(
        [node, gather],
        [("boxes", FLOAT, [1, "n", 4]), ("scores", FLOAT, [1, 2, "n"])],
        [("picked", INT64, None), ("column", INT64, None)],
        {
            "most": np.array(5),
            "iou": np.array(0.4, np.float32),
            "one": np.array([1]),
            "two": np.array([2]),
            "three": np.array([3]),
        },
    )
    corner = np.abs(normal(1, 30, 2))
    boxes = np.concatenate([corner, corner + np.abs(normal(1, 30, 2)) + 0.1], 2)
    check(model, {"boxes": boxes, "scores": np.abs(normal(1, 2, 30))})


WIDE = 0.1 * normal(8, 6, 64, 64)


def unfold(x: str, y: str, name: str, size: int) -> onnx.NodeProto:
    """What is not native: a last axis of `size` becomes [1, size]."""
    attrs = {"dim": -1, "size": size, "step": size}
    return helper.make_node("UnfoldTensor", [x], [y], name, domain="com.microsoft", **attrs)


def unfolded(shape: Sequence[Any] = (8, 6, 64, 64)) -> onnx.ModelProto:
    """UnfoldTensor between nodes that are native, the last of them dear."""
    nodes = [
        helper.make_node("Mul", ["x", "x"], ["a"], "square"),
        unfold("a", "b", "unfold", 64),
        helper.make_node("MatMul", ["b", "m"], ["y"], "product"),
    ]
    return model_of(nodes, [("x", FLOAT, shape)], [("y", FLOAT, None)], {"m": normal(64, 512)})


@pytest.fixture
def cut(monkeypatch: pytest.MonkeyPatch) -> None:
    """Models are cut whatever the clock says."""
    monkeypatch.setattr(rival, "_FASTER", 0.0)


@pytest.mark.usefixtures("cut")
def test_fallback_takes_what_is_not_native() -> None:
    model, x = unfolded(), WIDE
    core = check(model, {"x": x}, fallback="onnxruntime")
    assert "onnxruntime:CPUExecutionProvider" in kinds(core)
    assert "native" in kinds(core)
    with pytest.raises(quaver.UnsupportedError, match=r"com\.microsoft\.UnfoldTensor: 'unfold'"):
        quaver.load(model, fallback=None)
    loaded = quaver.load(model)  # by default, as onnxruntime is installed
    facts = report(loaded)
    foreign = [s for s in facts["stages"] if s["device"].startswith("onnxruntime")]
    why = {node["node"]: node["why"] for node in foreign[0]["nodes"]}
    assert "there is no such operator" in why["unfold"]
    assert "there is no such operator" in render(facts)
    assert any(node["op"] == "MatMul" for node in facts["nodes"])
    with pytest.raises(quaver.UnsupportedError, match="keep the ONNX file"):
        loaded.save("model.quaver")


@pytest.mark.parametrize("rows", [8, "n"])
def test_fallback_takes_all_where_that_is_faster(
    rows: int | str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also for sizes met later, which are measured by themselves."""
    model = unfolded((rows, 6, 64, 64))
    monkeypatch.setattr(rival, "_FASTER", np.inf)
    loaded = quaver.load(model)
    facts = report(loaded, shapes={"x": WIDE.shape})
    assert [stage["device"] for stage in facts["stages"]] == ["onnxruntime:CPUExecutionProvider"]
    assert "whole" in facts["stages"][0]["note"]
    assert facts["stages"][0]["note"] in render(facts)
    want = peer(model, {"x": WIDE})[0]
    np.testing.assert_allclose(loaded(WIDE), want, rtol=1e-4, atol=1e-5)
    monkeypatch.setattr(rival, "_FASTER", 0.0)
    again = report(loaded, shapes={"x": WIDE.shape})
    assert len(again["stages"]) == 1  # it was measured
    if rows == "n":
        few = report(loaded, shapes={"x": (1, *WIDE.shape[1:])})
        assert "native" in [stage["device"] for stage in few["stages"]]
        np.testing.assert_allclose(loaded(WIDE[:1]), want[:1], rtol=1e-4, atol=1e-5)


@pytest.mark.usefixtures("cut")
def test_types_between_foreign_and_native_stages() -> None:
    """ONNX infers no type of what an operator of another domain gives, and a stage needs one."""
    nodes, x = [], "x"
    for i in range(3):
        nodes.append(unfold(x, f"u{i}", f"unfold{i}", 64))
        nodes.append(helper.make_node("MatMul", [f"u{i}", "wider"], [f"w{i}"]))
        nodes.append(helper.make_node("MatMul", [f"w{i}", "back"], [f"p{i}"]))
        nodes.append(helper.make_node("ReduceMax", [f"p{i}", "axes"], [f"y{i}"], keepdims=0))
        x = f"y{i}"
    weights = {"wider": 0.1 * normal(64, 512), "back": 0.1 * normal(512, 64)}
    weights["axes"] = np.array([-2])
    for shape in ([8, 6, 64, 64], ["n", 6, 64, 64]):
        model = model_of(nodes, [("x", FLOAT, shape)], [(x, FLOAT, None)], weights)
        core = check(model, {"x": WIDE}, fallback="onnxruntime")
        assert kinds(core).count("native") > 1


def test_fallback_does_not_cross_for_little() -> None:
    """A small native node between two foreign ones stays with them."""
    nodes = [
        unfold("x", "a", "first", 5),
        helper.make_node("Neg", ["a"], ["b"], "small"),
        unfold("b", "y", "second", 5),
    ]
    model = model_of(
        nodes,
        [("x", FLOAT, [2, 5, 5])],
        [("y", FLOAT, None)],
    )
    core = check(model, {"x": normal(2, 5, 5)}, fallback="onnxruntime")
    assert len(core.stages) == 1


def late() -> tuple[onnx.ModelProto, dict[str, np.ndarray]]:
    """What the core takes into its graph, and refuses only when it plans a run."""
    random = np.random.default_rng(4)
    nodes = [
        helper.make_node("MatMulInteger", ["a", "b", "za", "zb"], ["p"], "product"),
        helper.make_node("Cast", ["p"], ["y"], "real", to=FLOAT),
    ]
    model = model_of(
        nodes,
        [("a", TensorProto.UINT8, ["n", 4]), ("b", TensorProto.UINT8, [4, 3])],
        [("y", FLOAT, None)],
        {"za": np.array(5, np.uint8), "zb": np.array([1, 2, 3], np.uint8)},
    )
    sizes = {"a": (2, 4), "b": (4, 3)}
    return model, {n: random.integers(0, 256, s).astype(np.uint8) for n, s in sizes.items()}


def test_fallback_takes_what_is_refused_in_a_plan() -> None:
    model, feeds = late()
    core = check(model, feeds, {**feeds, "a": feeds["a"][:1]}, fallback="onnxruntime")
    assert kinds(core) == ["onnxruntime:CPUExecutionProvider"]
    assert "zero point per column" in render(report(quaver.load(model), shapes={"a": (2, 4)}))
    with pytest.raises(quaver.UnsupportedError, match=r"'product' .*zero point per column"):
        quaver.load(model, fallback=None).run(feeds)


def test_fallback_rereads_a_file_only_where_it_is_the_same(tmp_path: Path) -> None:
    model, feeds = late()
    path = tmp_path / "late.onnx"
    onnx.save(model, path)
    np.testing.assert_array_equal(quaver.load(path).run(feeds)["y"], peer(model, feeds)[0])
    loaded = quaver.load(path)
    path.write_bytes(path.read_bytes() + b"\n")
    with pytest.raises(quaver.UnsupportedError, match="zero point per column"):
        loaded.run(feeds)


def test_volumes_of_open_sizes_are_native_when_they_are_met() -> None:
    node = helper.make_node("MaxPool", ["x"], ["y", "at"], kernel_shape=[2, 1, 2], storage_order=1)
    outputs = [("y", FLOAT, None), ("at", INT64, None)]
    model = model_of([node], [("x", FLOAT, ["n", 2, "d", "h", "w"])], outputs)
    runs = [{"x": normal(1, 2, 3, 4, 5)}, {"x": normal(2, 2, 4, 3, 2)}]
    assert kinds(check(model, *runs)) == ["native"]


def test_volumes_in_batches_of_any_size_are_one_graph() -> None:
    node = helper.make_node("MaxPool", ["x"], ["y", "at"], kernel_shape=[2, 1, 2])
    outputs = [("y", FLOAT, None), ("at", INT64, None)]
    model = model_of([node], [("x", FLOAT, ["n", 2, 3, 4, 5])], outputs)
    runs = [{"x": normal(n, 2, 3, 4, 5)} for n in (1, 3)]
    assert not hasattr(check(model, *runs), "stages")


@pytest.mark.parametrize(
    ("op", "x", "w", "attrs"),
    [
        ("Conv", (2, 4, 7, 8), (6, 4, 3, 2), {"pads": [1, 0, 2, 1], "strides": [2, 1]}),
        ("Conv", (1, 4, 9), (6, 2, 3), {"group": 2, "strides": [2], "auto_pad": "SAME_LOWER"}),
        (
            "Conv",
            (1, 2, 5, 6, 4),
            (3, 2, 2, 3, 2),
            {"auto_pad": "SAME_UPPER", "strides": [2, 2, 1]},
        ),
        ("ConvTranspose", (2, 4, 3, 5), (4, 3, 3, 2), {"pads": [1, 0, 0, 1], "strides": [2, 3]}),
        ("ConvTranspose", (1, 4, 6), (4, 3, 3), {"group": 2, "strides": [2], "output_shape": [11]}),
        (
            "ConvTranspose",
            (1, 2, 3, 4, 2),
            (2, 3, 2, 3, 2),
            {"dilations": [2, 1, 1], "strides": [2, 2, 2], "output_padding": [1, 0, 1]},
        ),
    ],
)
def test_convolutions_of_computed_weights(op: str, x: Any, w: Any, attrs: dict[str, Any]) -> None:
    """As generators modulate them; without a fallback they run on the host."""
    columns = w[0] if op == "Conv" else w[1] * attrs.get("group", 1)
    nodes = [
        helper.make_node("Mul", ["w", "style"], ["modulated"]),
        helper.make_node(op, ["x", "modulated", "b"], ["y"], **attrs),
    ]
    model = model_of(
        nodes,
        [("x", FLOAT, list(x)), ("style", FLOAT, [1])],
        [("y", FLOAT, None)],
        {"w": normal(*w), "b": normal(columns)},
    )
    core = check(model, {"x": normal(*x), "style": normal(1)})
    assert kinds(core) == ["native", "host"]


@pytest.mark.parametrize("kind", ["FLOAT8E4M3FN", "FLOAT8E5M2", "INT4", "UINT4"])
def test_bytes_that_no_kernel_takes(kind: str) -> None:
    """Between a product and another, on the host."""
    nodes = [
        helper.make_node("Relu", ["x"], ["r"]),
        helper.make_node("QuantizeLinear", ["r", "s", "z"], ["q"]),
        helper.make_node("DequantizeLinear", ["q", "s", "z"], ["d"]),
        helper.make_node("MatMul", ["d", "w"], ["y"]),
    ]
    model = model_of(
        nodes,
        [("x", FLOAT, ["n", 16])],
        [("y", FLOAT, None)],
        {"s": np.array(0.25, np.float32), "w": normal(16, 8)},
    )
    zero = helper.make_tensor("z", getattr(TensorProto, kind), [], [0])
    model.graph.initializer.append(zero)
    core = check(model, {"x": normal(3, 16)}, {"x": 10 * normal(5, 16)})
    assert set(kinds(core)) == {"native", "host"}


def test_fallback_names() -> None:
    model = unfolded()
    with pytest.raises(quaver.InputError, match="fallback='torch': expected 'onnxruntime'"):
        quaver.load(model, fallback="torch")
    with pytest.raises(quaver.UnsupportedError, match="no CUDAExecutionProvider; it has"):
        quaver.load(model, fallback="onnxruntime:CUDAExecutionProvider")
    other = onnxruntime.get_available_providers()[0]
    x = WIDE
    np.testing.assert_allclose(
        quaver.load(model, fallback=f"onnxruntime:{other}")(x),
        peer(model, {"x": x})[0],
        rtol=1e-4,
        atol=1e-5,
    )


def test_inputs_of_stages_are_checked() -> None:
    loaded = quaver.load(unfolded())
    with pytest.raises(quaver.InputError, match="expected dtype float32, got float64"):
        loaded(np.zeros((8, 6, 64, 64)))
    with pytest.raises(quaver.InputError, match=r"expected the shape \[8, 6, 64, 64\]"):
        loaded(np.zeros((8, 6, 64, 6), np.float32))


def test_command_line(tmp_path: Path) -> None:
    model = unfolded()
    onnx.save(model, tmp_path / "m.onnx")
    x = WIDE
    np.savez(tmp_path / "x.npz", x=x)

    def quaver_cli(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "quaver", *arguments]
        return subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)

    done = quaver_cli("run", "m.onnx", "--input", "x.npz", "--output", "y.npz")
    assert done.returncode == 0, done.stderr
    want = peer(model, {"x": x})[0]
    np.testing.assert_allclose(np.load(tmp_path / "y.npz")["y"], want, rtol=1e-4, atol=1e-5)
    shown = quaver_cli("inspect", "m.onnx").stdout
    assert "stage 0" in shown
    assert "UnfoldTensor unfold" in shown
    refused = quaver_cli("inspect", "m.onnx", "--fallback", "none")
    assert refused.returncode == 1
    assert "com.microsoft.UnfoldTensor" in refused.stderr
