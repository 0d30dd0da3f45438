"""Models that are broken or mean harm: an error that names the cause, before anything runs."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import quaver

FLOAT = TensorProto.FLOAT


def model_of(
    *nodes: onnx.NodeProto,
    constants: dict[str, np.ndarray] | None = None,
    opset: int = 21,
    x: Any = (2, 3),
) -> onnx.ModelProto:
    graph = helper.make_graph(
        list(nodes),
        "net",
        [helper.make_tensor_value_info("x", FLOAT, x)],
        [helper.make_tensor_value_info("y", FLOAT, None)],
        [numpy_helper.from_array(a, n) for n, a in (constants or {}).items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=10)


def refused(
    model: onnx.ModelProto, message: str, error: type[quaver.Error] = quaver.ModelError
) -> None:
    for fallback in (None, "onnxruntime"):
        with pytest.raises(error, match=message):
            quaver.load(model, fallback=fallback)


def node(op: str, inputs: list[str], outputs: list[str], **attrs: Any) -> onnx.NodeProto:
    return helper.make_node(op, inputs, outputs, outputs[0], **attrs)


def test_cycle() -> None:
    refused(
        model_of(
            node("Add", ["x", "b"], ["a"]),
            node("Relu", ["a"], ["b"]),
            node("Neg", ["b"], ["y"]),
        ),
        "the graph is cyclic: '[ab]', '[ab]' wait for each other",
    )
    refused(model_of(node("Add", ["x", "y"], ["y"])), "cyclic: 'y' wait")


def test_nodes_in_any_order() -> None:
    model = model_of(node("Neg", ["a"], ["y"]), node("Relu", ["x"], ["a"]))
    x = np.ones((2, 3), np.float32)
    np.testing.assert_array_equal(quaver.load(model)(x), -x)


def test_missing_initializer() -> None:
    refused(model_of(node("Add", ["x", "w"], ["y"])), "nothing before it makes its input 'w'")


def test_a_body_that_takes_what_nothing_makes() -> None:
    outputs = [helper.make_tensor_value_info("z", FLOAT, None)]
    branches = {
        name: helper.make_graph([node("Relu", [taken], ["z"])], name, [], outputs)
        for name, taken in (("then_branch", "lost"), ("else_branch", "x"))
    }
    model = model_of(
        node("ReduceMax", ["x"], ["most"], keepdims=0),
        node("Greater", ["most", "zero"], ["c"]),
        node("If", ["c"], ["y"], **branches),
        constants={"zero": np.zeros((), np.float32)},
    )
    refused(model, "If 'y': its body takes 'lost', which nothing makes")


def test_the_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "broken.onnx"
    onnx.save(model_of(node("Add", ["x", "w"], ["y"])), path)
    with pytest.raises(quaver.ModelError, match=r"broken\.onnx': Add 'y': nothing before it"):
        quaver.load(path)
    onnx.save(model_of(helper.make_node("Foo", ["x"], ["y"], "foo")), path)
    with pytest.raises(quaver.UnsupportedError, match=r"broken\.onnx': 1 operator is not sup"):
        quaver.load(path)


@pytest.mark.parametrize("opset", [999, -3])
def test_unknown_opset(opset: int) -> None:
    refused(model_of(node("Relu", ["x"], ["y"]), opset=opset), f"of opset {opset}")


def test_wrong_attribute_types() -> None:
    refused(model_of(node("Softmax", ["x"], ["y"], axis="one")), "'axis' is not of the type int")
    refused(model_of(node("Flatten", ["x"], ["y"], axis=1.5)), "'axis' is not of the type int")
    refused(model_of(node("Transpose", ["x"], ["y"], perm=3)), "'perm' is not of the type ints")


def test_a_missing_attribute() -> None:
    refused(model_of(node("Cast", ["x"], ["y"])), "Cast 'y': attribute 'to' is missing")


def test_a_negative_dimension() -> None:
    model = model_of(node("MatMul", ["x", "w"], ["y"]))
    model.graph.initializer.append(TensorProto(name="w", data_type=FLOAT, dims=[-3, 4]))
    refused(model, r"initializer 'w' has the shape \[-3, 4\]")


def test_contradicting_shapes() -> None:
    weights = {"w": np.zeros((4, 5), np.float32)}
    refused(model_of(node("MatMul", ["x", "w"], ["y"]), constants=weights), "MatMul 'y'")
    refused(model_of(node("Add", ["x", "w"], ["y"]), constants=weights), "Add 'y'")
    shape = {"w": np.array([7, 7])}
    refused(model_of(node("Reshape", ["x", "w"], ["y"]), constants=shape), "Reshape 'y'")


def declaring(y: list[int | str | None] | None, **inner: list[int | str | None]) -> onnx.ModelProto:
    """[2, 3] × [3, 5], then Relu: a model that declares these shapes of its tensors."""
    model = model_of(
        node("MatMul", ["x", "w"], ["a"]),
        node("Relu", ["a"], ["y"]),
        constants={"w": np.ones((3, 5), np.float32)},
        x=("rows", 3),
    )
    model.graph.output[0].CopyFrom(helper.make_tensor_value_info("y", FLOAT, y))
    for name, shape in inner.items():
        model.graph.value_info.append(helper.make_tensor_value_info(name, FLOAT, shape))
    return model


def test_declared_shapes_that_contradict() -> None:
    refused(
        declaring([2, 6]),
        r"Relu 'y': its output 'y' has the shape \[\?, 5\], but the model declares \[2, 6\]; corr",
    )
    refused(declaring(["rows", 5, 1]), r"Relu 'y': .* \[\?, 5\], .* \[\?, 5, 1\]")
    refused(
        declaring(None, a=["rows", 4]), r"MatMul 'a': its output 'a' .* \[\?, 5\], .* \[\?, 4\]"
    )


def test_declared_shapes_of_weights_that_contradict() -> None:
    model = declaring([2, 5])
    model.graph.input.append(helper.make_tensor_value_info("w", FLOAT, ["n", 5]))
    quaver.load(model)
    model.graph.input[-1].CopyFrom(helper.make_tensor_value_info("w", FLOAT, [3, 4]))
    refused(model, r"the weight 'w' has the shape \[3, 5\], but the model declares \[3, 4\]")


@pytest.mark.parametrize("y", [None, [], ["n", None], ["n", 5], ["stale", 5], [2, 5]])
def test_declared_shapes_that_say_less(y: list[int | str | None] | None) -> None:
    """Open dimensions of any name, and [] for no shape, as PaddlePaddle's exporter has it."""
    x = np.ones((2, 3), np.float32)
    np.testing.assert_array_equal(
        quaver.load(declaring(y, a=y or [None, None]))(x), x @ np.ones((3, 5))
    )


@pytest.mark.parametrize("size", [2**31, 2**40, 2**62])
def test_sizes_that_overflow(size: int) -> None:
    shape = {"s": np.array([size, size, 4])}
    refused(
        model_of(
            node("Expand", ["one", "s"], ["y"]), constants={**shape, "one": np.ones(1, np.float32)}
        ),
        "size|dimension|elements|large|shape",
        quaver.Error,
    )
    refused(
        model_of(node("Relu", ["x"], ["y"]), x=(size, size, size)),
        "size|dimension|elements|large|shape",
        quaver.Error,
    )


def test_tensor_whose_size_overflows() -> None:
    model = model_of(node("Add", ["x", "w"], ["y"]))
    model.graph.initializer.append(
        TensorProto(name="w", data_type=FLOAT, dims=[2**40, 2**40], raw_data=b"1234")
    )
    refused(model, "'w'")
    model.graph.initializer[0].dims[:] = [-2, 3]
    refused(model, "'w'")


@pytest.fixture
def beside(tmp_path: Path) -> Path:
    """A model with its weights in a file beside it."""
    folder = tmp_path / "model"
    folder.mkdir()
    weights = {"w": np.arange(6, dtype=np.float32).reshape(2, 3)}
    model = model_of(node("Add", ["x", "w"], ["y"]), constants=weights)
    path = folder / "m.onnx"
    onnx.save(model, path, save_as_external_data=True, location="w.bin", size_threshold=0)
    return path


def rewritten(path: Path, **entries: str) -> None:
    model = onnx.load(path, load_external_data=False)
    tensor = model.graph.initializer[0]
    for entry in tensor.external_data:
        entry.value = entries.get(entry.key, entry.value)
    path.write_bytes(model.SerializeToString())


def test_external_data_is_mapped(beside: Path) -> None:
    x = np.ones((2, 3), np.float32)
    np.testing.assert_array_equal(quaver.load(beside)(x), np.arange(6).reshape(2, 3) + 1)
    # The content is the file's own, not a copy of it that was made on loading.
    from quaver.convert.onnx import load_proto
    from quaver.convert.onnx.scope import to_array

    array = to_array(load_proto(beside, mapped=True).graph.initializer[0], "w")
    base: Any = array
    while base.base is not None and not isinstance(base, np.memmap):
        base = base.base
    assert isinstance(base, np.memmap)


def test_external_data_that_is_missing(beside: Path) -> None:
    (beside.parent / "w.bin").unlink()
    with pytest.raises(
        quaver.FileError, match=r"tensor 'w' lies in '.*w\.bin', which cannot be read"
    ):
        quaver.load(beside)


def test_external_data_that_is_cut_off(beside: Path) -> None:
    (beside.parent / "w.bin").write_bytes(b"1234")
    with pytest.raises(quaver.FileError, match="from 0 to 24, but that file has 4 bytes"):
        quaver.load(beside)


@pytest.mark.parametrize("location", ["../secret", "/etc/hostname", "sub/../../secret", "link"])
def test_external_data_outside_of_the_folder(beside: Path, location: str) -> None:
    secret = beside.parent.parent / "secret"
    secret.write_bytes(bytes(24))
    os.symlink(secret, beside.parent / "link")
    rewritten(beside, location=location)
    with pytest.raises(quaver.FileError, match="outside of the model's folder"):
        quaver.load(beside)


def test_external_data_with_a_wrong_place(beside: Path) -> None:
    rewritten(beside, length="8")
    with pytest.raises(quaver.ModelError, match=r"has 8 bytes .*, expected 24"):
        quaver.load(beside)
    rewritten(beside, length="24", offset="-4")
    with pytest.raises(quaver.ModelError, match="its offset is '-4'"):
        quaver.load(beside)


def test_external_data_needs_a_path(beside: Path) -> None:
    with pytest.raises(quaver.ModelError, match="load the model by its path"):
        quaver.load(beside.read_bytes())


@pytest.mark.slow
def test_external_data_of_more_than_two_gigabytes(tmp_path: Path) -> None:
    """A hole in a file takes no room, and only what is gathered is read."""
    rows, columns = 3 * 2**20, 256  # 3 GiB of float32
    with open(tmp_path / "table.bin", "wb") as file:
        file.truncate(rows * columns * 4)
        file.seek((rows - 1) * columns * 4)
        file.write(np.arange(columns, dtype=np.float32).tobytes())
    graph = helper.make_graph(
        [node("Gather", ["w", "x"], ["y"])],
        "net",
        [helper.make_tensor_value_info("x", TensorProto.INT64, ["n"])],
        [helper.make_tensor_value_info("y", FLOAT, None)],
    )
    tensor = TensorProto(name="w", data_type=FLOAT, dims=[rows, columns])
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="table.bin")
    graph.initializer.append(tensor)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    (tmp_path / "m.onnx").write_bytes(model.SerializeToString())
    y = quaver.load(tmp_path / "m.onnx")(np.array([rows - 1, 0]))
    np.testing.assert_array_equal(y, [np.arange(columns), np.zeros(columns)])
