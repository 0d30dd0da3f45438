"""Compiled files: saved, loaded again and damaged, through the public surface."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest

import quaver
from conftest import make_convolution


@pytest.fixture
def compiled(convolution: onnx.ModelProto, tmp_path: Path) -> Path:
    path = tmp_path / "convolution.quaver"
    quaver.load(convolution, threads=1).save(path)
    return path


def test_same_bits_from_onnx_file_and_bytes(
    convolution: onnx.ModelProto, compiled: Path, image: np.ndarray
) -> None:
    expected = quaver.load(convolution)(image)
    assert np.array_equal(quaver.load(compiled)(image), expected)
    assert np.array_equal(quaver.load(compiled.read_bytes())(image), expected)
    unaligned = memoryview(b"\0" + compiled.read_bytes())[1:]
    assert np.array_equal(quaver.load(unaligned)(image), expected)


def test_ports_survive(tmp_path: Path) -> None:
    model = quaver.load(make_convolution("n"))
    model.save(tmp_path / "m.quaver")
    again = quaver.load(tmp_path / "m.quaver")
    assert (again.inputs, again.outputs) == (model.inputs, model.outputs)
    assert again.inputs[0].shape == (None, 3, 16, 16)


def test_saving_is_reproducible(compiled: Path, tmp_path: Path) -> None:
    quaver.load(compiled).save(tmp_path / "again.quaver")
    assert (tmp_path / "again.quaver").read_bytes() == compiled.read_bytes()


def test_saving_over_the_mapped_file(compiled: Path, image: np.ndarray) -> None:
    model = quaver.load(compiled)
    expected = model(image)
    model.save(compiled)
    assert np.array_equal(model(image), expected)
    assert np.array_equal(quaver.load(compiled)(image), expected)
    assert [p.name for p in compiled.parent.iterdir()] == [compiled.name]


def test_loading_needs_no_onnx(compiled: Path) -> None:
    code = (
        "import sys; sys.modules['onnx'] = None; import quaver; "
        f"print(quaver.load({str(compiled)!r}).inputs[0].name)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "image", done.stderr


@pytest.mark.parametrize("keep", [0, 5, 7, 40, 100, 4096, -1])
def test_truncated(compiled: Path, keep: int) -> None:
    compiled.write_bytes(compiled.read_bytes()[:keep])
    with pytest.raises(
        quaver.CorruptFileError, match=r"convolution\.quaver: (truncated|the file is empty)"
    ):
        quaver.load(compiled)


def test_damaged_anywhere(compiled: Path, image: np.ndarray) -> None:
    """Every flipped bit is refused, or lies in padding and changes nothing."""
    expected = quaver.load(compiled)(image)
    intact = compiled.read_bytes()
    rng = np.random.default_rng(0)
    refused = 0
    for at in rng.integers(0, len(intact), 200):
        damaged = bytearray(intact)
        damaged[at] ^= 1 << int(rng.integers(8))
        try:
            loaded = quaver.load(bytes(damaged))
        except quaver.Error:
            refused += 1
        else:
            assert np.array_equal(loaded(image), expected), at
    assert refused > 50


def test_damaged_weight_is_named(compiled: Path) -> None:
    data = bytearray(compiled.read_bytes())
    data[4096] ^= 1
    with pytest.raises(quaver.CorruptFileError, match=r"the contents of '.+' do not match"):
        quaver.load(bytes(data))


def test_no_model_under_a_models_name(tmp_path: Path) -> None:
    path = tmp_path / "x.quaver"
    path.write_bytes(b"\x08\x0a" * 100)
    with pytest.raises(quaver.CorruptFileError, match=r"x\.quaver: not a compiled Quaver model"):
        quaver.load(path)


def test_unwritable(convolution: onnx.ModelProto, tmp_path: Path) -> None:
    with pytest.raises(quaver.FileError, match="cannot write"):
        quaver.load(convolution).save(tmp_path / "missing" / "m.quaver")


@pytest.fixture(scope="module")
def int8_network() -> tuple[onnx.ModelProto, np.ndarray]:
    """A float convolution and a product, quantized by QDQ, with an input for it."""
    random = np.random.default_rng(3)
    nodes, weights = [], []

    def constant(name: str, values: object, dtype: object) -> str:
        weights.append(onnx.numpy_helper.from_array(np.asarray(values, dtype), name))
        return name

    def quantized(x: str, scale: float) -> str:
        pair = [constant(f"{x}.s", scale, np.float32), constant(f"{x}.z", 128, np.uint8)]
        nodes.append(onnx.helper.make_node("QuantizeLinear", [x, *pair], [f"{x}.q"]))
        nodes.append(onnx.helper.make_node("DequantizeLinear", [f"{x}.q", *pair], [f"{x}.d"]))
        return f"{x}.d"

    def weight(name: str, shape: tuple[int, ...], axis: int) -> str:
        constant(f"{name}.q", random.integers(-127, 128, shape), np.int8)
        scale = constant(f"{name}.s", random.uniform(0.01, 0.02, shape[axis]), np.float32)
        zero = constant(f"{name}.z", np.zeros(shape[axis]), np.int8)
        inputs = [f"{name}.q", scale, zero]
        nodes.append(onnx.helper.make_node("DequantizeLinear", inputs, [name], axis=axis))
        return name

    x = quantized("x", 0.02)
    pads = {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1]}
    for name, shape, group in (("a", (24, 16, 3, 3), 1), ("b", (24, 1, 3, 3), 24)):
        inputs = [x, weight(f"{name}.w", shape, 0)]
        nodes.append(onnx.helper.make_node("Conv", inputs, [name], group=group, **pads))
        x = quantized(name, 0.1)
    nodes.append(onnx.helper.make_node("GlobalAveragePool", [x], ["c"]))
    nodes.append(onnx.helper.make_node("Flatten", [quantized("c", 0.05)], ["d"]))
    inputs = [quantized("d", 0.05), weight("e.w", (24, 10), 1)]
    nodes.append(onnx.helper.make_node("MatMul", inputs, ["e"]))
    nodes.append(onnx.helper.make_node("Identity", [quantized("e", 0.1)], ["y"]))
    ports = [
        onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape)
        for name, shape in (("x", [1, 16, 9, 9]), ("y", [1, 10]))
    ]
    graph = onnx.helper.make_graph(nodes, "int8", ports[:1], ports[1:], weights)
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)])
    model.ir_version = 9
    return model, random.standard_normal((1, 16, 9, 9)).astype(np.float32)


def test_packed_file_gives_the_same_bits_everywhere(
    int8_network: tuple[onnx.ModelProto, np.ndarray], tmp_path: Path
) -> None:
    from quaver.info import info

    model, x = int8_network
    plain, packed = tmp_path / "plain.quaver", tmp_path / "packed.quaver"
    original = quaver.load(model)
    original.save(plain)
    original.save(packed, packed=True)
    assert packed.stat().st_size > plain.stat().st_size
    assert not np.array_equal(original(x), np.zeros_like(original(x)))
    for isa in info()["isas"]:
        assert np.array_equal(quaver.load(packed, isa=isa)(x), original(x))
    quaver.load(packed).save(tmp_path / "again.quaver", packed=True)
    assert (tmp_path / "again.quaver").read_bytes() == packed.read_bytes()
    quaver.load(packed).save(tmp_path / "plain-again.quaver")
    assert (tmp_path / "plain-again.quaver").read_bytes() == plain.read_bytes()


def test_packed_file_is_not_packed_again(
    int8_network: tuple[onnx.ModelProto, np.ndarray], tmp_path: Path
) -> None:
    """Weights that are damaged where nothing reads them change nothing but what is saved."""
    model, x = int8_network
    path = tmp_path / "packed.quaver"
    original = quaver.load(model)
    original.save(path, packed=True)
    weights = next(t for t in model.graph.initializer if t.name == "a.w.q")
    channels_last = onnx.numpy_helper.to_array(weights).transpose(0, 2, 3, 1).tobytes()
    data = path.read_bytes()
    assert data.count(channels_last) == 1
    path.write_bytes(data.replace(channels_last, channels_last[:-1] + b"\0"))
    loaded = quaver.load(path)
    assert np.array_equal(loaded(x), original(x))
    with pytest.raises(quaver.CorruptFileError, match="do not match their hash"):
        loaded.save(tmp_path / "again.quaver")


def test_damaged_packed_weights_are_refused(
    int8_network: tuple[onnx.ModelProto, np.ndarray], tmp_path: Path
) -> None:
    model, _ = int8_network
    path = tmp_path / "packed.quaver"
    quaver.load(model).save(tmp_path / "plain.quaver")
    quaver.load(model).save(path, packed=True)
    data = bytearray(path.read_bytes())
    begin = (tmp_path / "plain.quaver").stat().st_size  # behind it lie the blocks, then the root
    for at in range(begin + 4096, len(data) - 4096, 1024):
        data[at] ^= 0x55
    path.write_bytes(data)
    with pytest.raises(quaver.CorruptFileError, match=r"packed\.quaver: damaged: packed weights"):
        quaver.load(path)


def test_packing_needs_a_plan(tmp_path: Path) -> None:
    model = quaver.load(make_convolution("n"))
    with pytest.raises(quaver.InputError, match="run it once"):
        model.save(tmp_path / "m.quaver", packed=True)
    model(np.zeros((2, 3, 16, 16), np.float32))
    model.save(tmp_path / "m.quaver", packed=True)
    quaver.load(tmp_path / "m.quaver")(np.zeros((2, 3, 16, 16), np.float32))
