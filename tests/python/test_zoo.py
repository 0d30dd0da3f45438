"""The model zoo: checkpoint reader, networks, quantization and cache."""

from __future__ import annotations

import dataclasses
import io
import os
import pickle
import struct
import subprocess
import sys
import zipfile
from collections import OrderedDict
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple
from unittest import mock

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
import pytest

import zoo
from zoo import checkpoint, labels, mobilenet_v2, packaged, photos, resnet50
from zoo.cache import NETWORKS

FloatArray = npt.NDArray[np.float32]


class FloatStorage:
    """Stands for the class of this name in torch, which tests do without."""


def _rebuild_tensor_v2() -> None:
    """Stand for the function of this name in torch._utils."""


FloatStorage.__module__ = "torch"
_rebuild_tensor_v2.__module__ = "torch._utils"
_TORCH = {"torch": ModuleType("torch"), "torch._utils": ModuleType("torch._utils")}
setattr(_TORCH["torch"], "FloatStorage", FloatStorage)  # noqa: B010
setattr(_TORCH["torch._utils"], "_rebuild_tensor_v2", _rebuild_tensor_v2)  # noqa: B010


class _Call:
    """Pickles as a call of `function`."""

    def __init__(self, function: Any, *arguments: object) -> None:
        self.function, self.arguments = function, arguments

    def __reduce__(self) -> Any:
        return self.function, self.arguments


class _Storage(NamedTuple):
    """Pickles as a reference to a storage of float32."""

    key: str
    length: int


class _Pickler(pickle.Pickler):
    def persistent_id(self, value: object) -> Any:
        if isinstance(value, _Storage):
            return ("storage", FloatStorage, value.key, "cpu", value.length)
        return None


def _pickled(value: object) -> bytes:
    stream = io.BytesIO()
    with mock.patch.dict(sys.modules, _TORCH):
        _Pickler(stream, protocol=2).dump(value)
    return stream.getvalue()


def _tensor(storage: _Storage, offset: int, shape: Any, strides: Any) -> _Call:
    return _Call(_rebuild_tensor_v2, storage, offset, shape, strides, False, OrderedDict())


def _zip_file(path: Path, state: object, storages: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", _pickled(state))
        for key, data in storages.items():
            archive.writestr(f"archive/data/{key}", data)
    return path


def _legacy_file(path: Path, state: object, storages: dict[str, FloatArray]) -> Path:
    header = (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True})
    parts = [_pickled(part) for part in (*header, state, list(storages))]
    for storage in storages.values():
        parts += [struct.pack("<q", storage.size), storage.tobytes()]
    path.write_bytes(b"".join(parts))
    return path


@pytest.fixture
def values() -> FloatArray:
    return np.arange(24, dtype=np.float32)


@pytest.fixture
def state() -> dict[str, _Call]:
    storage = _Storage("0", 24)
    return {
        "whole": _tensor(storage, 0, (2, 3, 4), (12, 4, 1)),
        "transposed": _tensor(storage, 4, (3, 2), (1, 3)),
        "scalar": _tensor(storage, 5, (), ()),
        "empty": _tensor(storage, 0, (0, 4), (4, 1)),
    }


@pytest.mark.parametrize("legacy", [False, True])
def test_checkpoint_tensors(
    tmp_path: Path, values: FloatArray, state: dict[str, _Call], legacy: bool
) -> None:
    path = tmp_path / "model.pth"
    if legacy:
        _legacy_file(path, state, {"0": values})
    else:
        _zip_file(path, state, {"0": values.tobytes()})
    tensors = checkpoint.load(path)
    assert list(tensors) == ["whole", "transposed", "scalar", "empty"]
    np.testing.assert_array_equal(tensors["whole"], values.reshape(2, 3, 4))
    np.testing.assert_array_equal(tensors["transposed"], values[4:10].reshape(2, 3).T)
    np.testing.assert_array_equal(tensors["scalar"], values[5])
    assert tensors["empty"].shape == (0, 4)
    assert all(tensor.flags.c_contiguous for tensor in tensors.values())


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize(
    "function", [os.system, eval, exec, getattr, open, np.fromfile, subprocess.Popen, bytearray]
)
def test_checkpoint_refuses_other_names(tmp_path: Path, function: object, legacy: bool) -> None:
    write = _legacy_file if legacy else _zip_file
    marker = tmp_path / "ran"
    path = write(tmp_path / "model.pth", {"weight": _Call(function, f"touch {marker}")}, {})
    with pytest.raises(checkpoint.CheckpointError, match="refused to load"):
        checkpoint.load(path)
    assert not marker.exists()


@pytest.mark.parametrize(
    ("offset", "shape", "strides"),
    [
        (0, (25,), (1,)),
        (1, (24,), (1,)),
        (-1, (2,), (1,)),
        (0, (2, 2), (-1, 1)),
        (0, (1 << 40,), (0,)),
        (0, (2,), (1, 1)),
        (0, (2.0,), (1,)),
    ],
)
def test_checkpoint_refuses_views_outside_the_storage(
    tmp_path: Path, values: FloatArray, offset: int, shape: Any, strides: Any
) -> None:
    state = {"weight": _tensor(_Storage("0", 24), offset, shape, strides)}
    path = _zip_file(tmp_path / "model.pth", state, {"0": values.tobytes()})
    with pytest.raises(checkpoint.CheckpointError):
        checkpoint.load(path)


@pytest.mark.parametrize("legacy", [False, True])
def test_checkpoint_refuses_damage(
    tmp_path: Path, values: FloatArray, state: dict[str, _Call], legacy: bool
) -> None:
    path = tmp_path / "model.pth"
    if legacy:
        _legacy_file(path, state, {"0": values})
    else:
        _zip_file(path, state, {"0": values.tobytes()})
    whole = path.read_bytes()
    for length in range(0, len(whole) - 1, 7):
        path.write_bytes(whole[:length])
        with pytest.raises(checkpoint.CheckpointError):
            checkpoint.load(path)


@pytest.mark.parametrize("content", [[], {"epoch": 3}, {1: 2}])
def test_checkpoint_refuses_what_is_no_dictionary_of_tensors(
    tmp_path: Path, content: object
) -> None:
    with pytest.raises(checkpoint.CheckpointError):
        checkpoint.load(_zip_file(tmp_path / "model.pth", content, {}))


def _shape(value: onnx.ValueInfoProto) -> list[int | str]:
    return [d.dim_param or d.dim_value for d in value.type.tensor_type.shape.dim]


@pytest.mark.parametrize(
    ("name", "parameters", "convolutions"),
    # Parameter counts as published with torchvision and the TensorFlow original.
    [
        ("efficientnet-lite0", 4_652_008, 49),
        ("mobilenet-v2", 3_504_872, 52),
        ("resnet50", 25_557_032, 53),
    ],
)
def test_network_structure(name: str, parameters: int, convolutions: int) -> None:
    model = onnx.load(zoo.path(name))
    onnx.checker.check_model(model, full_check=True)
    assert _shape(model.graph.input[0]) == [1, 3, 224, 224]
    assert _shape(model.graph.output[0]) == [1, 1000]
    assert [value.name for value in (*model.graph.input, *model.graph.output)] == [
        "input",
        "logits",
    ]
    operators = [node.op_type for node in model.graph.node]
    assert operators.count("Conv") == operators.count("BatchNormalization") == convolutions
    trained = (
        np.prod(tensor.dims, dtype=int)
        for tensor in model.graph.initializer
        if not tensor.name.endswith((".running_mean", ".running_var", "6.min", "6.max"))
    )
    assert sum(trained) == parameters


@pytest.mark.parametrize("network", [NETWORKS["efficientnet-lite0"], mobilenet_v2])
def test_build_is_deterministic(network: ModuleType) -> None:
    assert network.build().SerializeToString() == network.build().SerializeToString()


@pytest.mark.parametrize("name", ["efficientnet-lite0", "mobilenet-v2"])
def test_symbolic_batch_and_folding_keep_the_function(name: str) -> None:
    images = photos.random_crops(2, NETWORKS[name].NORMALIZATION, seed=3)
    folded = NETWORKS[name].build(None, fold_bn=True)
    assert _shape(folded.graph.input[0]) == ["N", 3, 224, 224]
    assert "BatchNormalization" not in {node.op_type for node in folded.graph.node}
    reference = _logits(zoo.path(name).read_bytes(), images, batch=1)
    actual = _logits(folded.SerializeToString(), images, batch=2)
    np.testing.assert_allclose(actual, reference, rtol=0, atol=1e-3 * np.abs(reference).max())


def _logits(model: bytes, images: FloatArray, batch: int = 1) -> FloatArray:
    options = onnxruntime.SessionOptions()
    # Exact products: without VNNI, onnxruntime's default int8 kernels saturate at 16 bits.
    options.add_session_config_entry("session.x64quantprecision", "1")
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    batches = images.reshape(-1, batch, *images.shape[1:])
    return np.concatenate([session.run(None, {"input": each})[0] for each in batches])


@pytest.fixture(scope="module")
def float_logits() -> FloatArray:
    images = photos.centre_crops(NETWORKS["efficientnet-lite0"].NORMALIZATION)
    return _logits(zoo.path("efficientnet-lite0").read_bytes(), images)


def test_efficientnet_recognizes_photographs(float_logits: FloatArray) -> None:
    expected = {
        "camera": "tripod",
        "chelsea": "Egyptian cat",
        "coffee": "espresso",
        "motorcycle": "moped",
        "rocket": "missile",
    }
    names = labels.names()
    for photo, label in expected.items():
        ranking = np.argsort(-float_logits[photos.NAMES.index(photo)])
        assert label in [names[index] for index in ranking[:3]], photo


@pytest.mark.parametrize("suffix", ["-int8", "-int8-s8", "-int8-qoperator"])
def test_quantized_efficientnet_agrees_with_float(float_logits: FloatArray, suffix: str) -> None:
    images = photos.centre_crops(NETWORKS["efficientnet-lite0"].NORMALIZATION)
    logits = _logits(zoo.path(f"efficientnet-lite0{suffix}").read_bytes(), images)
    agreement = np.mean(logits.argmax(axis=1) == float_logits.argmax(axis=1))
    assert agreement >= 0.75
    norms = np.linalg.norm(logits, axis=1) * np.linalg.norm(float_logits, axis=1)
    assert np.mean(np.sum(logits * float_logits, axis=1) / norms) > 0.97


def test_random_networks_tell_photographs_apart() -> None:
    images = photos.centre_crops(resnet50.NORMALIZATION)
    logits = _logits(zoo.path("mobilenet-v2").read_bytes(), images)
    correlation = np.asarray(np.corrcoef(logits))
    distinct = correlation[np.triu_indices(len(images), 1)]
    assert np.abs(distinct).mean() < 0.7
    assert 0.5 < logits.std() < 10


def test_labels() -> None:
    names = labels.names()
    assert len(names) == 1000
    assert (names[0], names[285], names[999]) == ("tench", "Egyptian cat", "toilet tissue")


def test_random_crops_follow_their_seed() -> None:
    crops = photos.random_crops(3, photos.IMAGENET, seed=1)
    assert crops.shape == (3, 3, 224, 224)
    assert crops.dtype == np.float32
    np.testing.assert_array_equal(crops, photos.random_crops(3, photos.IMAGENET, seed=1))
    assert not np.array_equal(crops, photos.random_crops(3, photos.IMAGENET, seed=2))
    assert photos.random_crops(1, photos.IMAGENET, seed=1, size=(48, 320)).shape == (1, 3, 48, 320)


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> packaged.Packaged:
    """A package with a network of any size, of an opset without scales per channel."""
    shape = ["d0", 3, "d1", "d2"]
    x, y = (
        onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape) for name in "xy"
    )
    graph = onnx.helper.make_graph([onnx.helper.make_node("Relu", ["x"], ["y"])], "g", [x], [y])
    opset = onnx.helper.make_opsetid("", 11)
    model = onnx.helper.make_model(graph, ir_version=7, opset_imports=[opset])
    folder = tmp_path / "some_models"
    folder.mkdir()
    (folder / "__init__.py").write_text("raise AssertionError('imported')")
    onnx.save(model, folder / "net.onnx")
    monkeypatch.syspath_prepend(str(tmp_path))
    return packaged.Packaged("some_models", "some-models", "net.onnx", (8, 16), photos.IMAGENET)


@pytest.mark.parametrize(("batch", "first"), [(2, 2), (None, "N")])
def test_packaged_network_gets_a_size(
    package: packaged.Packaged, batch: int | None, first: int | str
) -> None:
    model = package.build(batch)
    onnx.checker.check_model(model, full_check=True)
    assert _shape(model.graph.input[0]) == _shape(model.graph.output[0]) == [first, 3, 8, 16]
    assert model.opset_import[0].version >= 13


def test_packaged_network_names_a_missing_package(package: packaged.Packaged) -> None:
    missing = dataclasses.replace(package, package="no_such", distribution="no-such")
    with pytest.raises(ModuleNotFoundError, match="pip install no-such"):
        missing.build()


def test_cache_builds_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUAVER_CACHE", str(tmp_path))
    path = zoo.path("efficientnet-lite0", batch=None)
    assert path.parent == tmp_path
    written = path.stat().st_mtime_ns
    assert zoo.path("efficientnet-lite0", batch=None) == path
    assert path.stat().st_mtime_ns == written
    assert list(tmp_path.iterdir()) == [path]


def test_cache_refuses_unknown_names() -> None:
    with pytest.raises(ValueError, match="unknown model 'vgg'"):
        zoo.path("vgg")
