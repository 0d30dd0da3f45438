"""Deltas and probes: a model changed in part, and checked before it serves."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

import quaver
from conftest import make_convolution
from quaver import npz


def retrained(seed: int = 9) -> onnx.ModelProto:
    """Build the convolution with another last layer."""
    model = make_convolution()
    classes = np.random.default_rng(seed).standard_normal((8, 5)).astype(np.float32)
    for at, tensor in enumerate(model.graph.initializer):
        if tensor.name == "classes":
            model.graph.initializer[at].CopyFrom(numpy_helper.from_array(classes, "classes"))
    return model


@pytest.fixture
def old(convolution: onnx.ModelProto) -> quaver.Model:
    return quaver.load(convolution, threads=1)


@pytest.fixture
def new() -> quaver.Model:
    return quaver.load(retrained(), threads=1)


def test_delta_makes_the_new_model(
    old: quaver.Model, new: quaver.Model, image: np.ndarray, tmp_path: Path
) -> None:
    before = old(image)
    delta = quaver.delta(old, new)
    assert len(delta) < len(new._core.serialize())
    (tmp_path / "u.qdelta").write_bytes(delta)
    for updated in (old.updated(delta), old.updated(tmp_path / "u.qdelta")):
        np.testing.assert_array_equal(updated(image), new(image))
        assert updated.identity == new.identity != old.identity
    np.testing.assert_array_equal(old(image), before)


def test_updated_model_outlives_its_base(
    old: quaver.Model, new: quaver.Model, image: np.ndarray, tmp_path: Path
) -> None:
    old.save(tmp_path / "old.quaver")
    base = quaver.load(tmp_path / "old.quaver")
    updated = base.updated(quaver.delta(old, new))
    del base
    np.testing.assert_array_equal(updated(image), new(image))


def test_wrong_base(old: quaver.Model, new: quaver.Model) -> None:
    with pytest.raises(quaver.InputError, match=rf"made for the model {old.identity}, given"):
        new.updated(quaver.delta(old, new))


def test_no_delta(old: quaver.Model, tmp_path: Path) -> None:
    with pytest.raises(quaver.CorruptFileError, match="not a Quaver delta"):
        old.updated(b"nothing of the kind")
    with pytest.raises(quaver.FileError, match=r"missing\.qdelta"):
        old.updated(tmp_path / "missing.qdelta")
    (tmp_path / "d.quaver").write_bytes(quaver.delta(old, old))
    with pytest.raises(quaver.CorruptFileError, match="a delta, not a model"):
        quaver.load(tmp_path / "d.quaver")


def test_slot_takes_a_delta(old: quaver.Model, new: quaver.Model, image: np.ndarray) -> None:
    slot = quaver.Slot(old)
    assert slot.update(quaver.delta(old, new), probe={"image": image}) == 2
    np.testing.assert_array_equal(slot(image), new(image))
    with pytest.raises(quaver.InputError, match="made for the model"):
        slot.update(quaver.delta(old, new))
    assert slot.rollback() == 1


def test_command(convolution_path: Path, tmp_path: Path, image: np.ndarray) -> None:
    onnx.save(retrained(), tmp_path / "new.onnx")
    update = tmp_path / "update.qdelta"
    command = [sys.executable, "-m", "quaver", "delta", convolution_path, tmp_path / "new.onnx"]
    done = subprocess.run([*command, "-o", update], capture_output=True, text=True, check=True)
    assert "update.qdelta" in done.stdout
    base = quaver.load(convolution_path)
    np.testing.assert_array_equal(
        base.updated(update)(image), quaver.load(tmp_path / "new.onnx")(image)
    )


def test_probe_is_kept_in_a_file(old: quaver.Model, new: quaver.Model, tmp_path: Path) -> None:
    quaver.Probe.record(old).save(tmp_path / "probe.npz")
    probe = quaver.Probe.load(tmp_path / "probe.npz")
    probe.check(old)
    with pytest.raises(quaver.ModelError, match="answer to the probe"):
        probe.check(new)
    slot = quaver.Slot(old, probe=probe)
    with pytest.raises(quaver.ModelError, match="answer to the probe"):
        slot.swap(new)
    assert slot.version == 1


def test_probe_to_the_bit_or_closely(old: quaver.Model, image: np.ndarray) -> None:
    scores = old(image)
    near = {"scores": scores * np.float32(1 + 1e-5)}
    quaver.Probe({"image": image}, near, exact=False).check(old)
    with pytest.raises(quaver.ModelError, match="5 of 5 elements differ"):
        quaver.Probe({"image": image}, near).check(old)
    with pytest.raises(quaver.ModelError, match="off by more than"):
        quaver.Probe({"image": image}, {"scores": scores * 2}, exact=False).check(old)
    with pytest.raises(quaver.ModelError, match="got float32"):
        quaver.Probe({"image": image}, {"scores": scores[0]}, exact=False).check(old)


def test_probe_command(convolution_path: Path, tmp_path: Path, image: np.ndarray) -> None:
    npz.write(tmp_path / "x.npz", {"image": image})
    command = [sys.executable, "-m", "quaver", "probe", convolution_path]
    more = ["--input", tmp_path / "x.npz", "-o", tmp_path / "p.npz"]
    done = subprocess.run([*command, *more], capture_output=True, text=True, check=True)
    assert "must answer" in done.stdout
    probe = quaver.Probe.load(tmp_path / "p.npz")
    np.testing.assert_array_equal(probe.inputs["image"], image)
    probe.check(quaver.load(convolution_path))


@pytest.mark.parametrize("arrays", [{"x": np.zeros(1)}, {"input:x": np.zeros(1)}])
def test_no_probe(arrays: dict[str, np.ndarray], tmp_path: Path) -> None:
    npz.write(tmp_path / "p.npz", arrays)
    with pytest.raises(quaver.CorruptFileError, match="no probe"):
        quaver.Probe.load(tmp_path / "p.npz")
