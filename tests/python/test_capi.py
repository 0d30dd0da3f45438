"""The examples in C, built with `cc` against an installed library, give Python's bits."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import onnx
import pytest

import quaver
from conftest import ROOT, make_convolution
from models import Case, quantized_model
from zoo import cache as zoo
from zoo import photos

BUILD = os.environ.get("QUAVER_BUILD_DIR")
pytestmark = pytest.mark.skipif(
    BUILD is None, reason="QUAVER_BUILD_DIR names no build; `make test` does"
)


def run(*command: object) -> subprocess.CompletedProcess[str]:
    arguments = [str(part) for part in command]
    return subprocess.run(arguments, capture_output=True, text=True, check=False)


@pytest.fixture(scope="session", params=["static", "shared"])
def examples(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install the C library and build the examples against it; give their folder."""
    base = tmp_path_factory.mktemp(f"c-{request.param}")
    prefix, sources = base / "installed", base / "examples"
    installed = run("cmake", "--install", BUILD, "--component", "c", "--prefix", prefix)
    assert installed.returncode == 0, installed.stderr
    shutil.copytree(ROOT / "examples" / "c", sources)
    static = ["STATIC=1"] if request.param == "static" else []
    flags = "CFLAGS=-O1 -Wall -Wextra -Werror -pedantic"
    built = run("make", "-B", "-C", sources, "CC=cc", flags, f"PREFIX={prefix}", *static)
    assert built.returncode == 0, built.stderr
    return sources


def quantized_convolution() -> tuple[onnx.ModelProto, np.ndarray]:
    rng = np.random.default_rng(3)
    image = rng.standard_normal((1, 5, 9, 9)).astype(np.float32)
    weight = (rng.standard_normal((7, 5, 3, 3)) / 4).astype(np.float32)
    case = Case("conv", "Conv", {"x": image}, {"w": weight}, {"pads": [1, 1, 1, 1]})
    output = np.array([-8, 8], np.float32)  # its range
    return quantized_model(case, output, weight="w"), image


def from_c(examples: Path, model: quaver.Model, inputs: list[np.ndarray], tmp: Path) -> list[bytes]:
    """Run the model in C; give its outputs' bytes."""
    model.save(tmp / "m.quaver")
    paths = [tmp / f"in{i}" for i in range(len(inputs))]
    for path, array in zip(paths, inputs, strict=True):
        array.tofile(path)
    done = run(examples / "run", tmp / "m.quaver", tmp / "out", *paths)
    assert done.returncode == 0, done.stderr
    return [(tmp / f"out.{i}").read_bytes() for i in range(len(model.outputs))]


@pytest.mark.parametrize("batch", [1, 3])
def test_float_model(examples: Path, tmp_path: Path, batch: int) -> None:
    model = quaver.load(make_convolution("n"))
    image = np.random.default_rng(2).standard_normal((batch, 3, 16, 16)).astype(np.float32)
    assert from_c(examples, model, [image], tmp_path) == [model(image).tobytes()]


def test_quantized_model(examples: Path, tmp_path: Path) -> None:
    proto, image = quantized_convolution()
    model = quaver.load(proto)
    expected = model(image)
    assert len(np.unique(expected)) > 20
    assert from_c(examples, model, [image], tmp_path) == [expected.tobytes()]


@pytest.mark.parametrize("network", list(zoo.NETWORKS))
def test_networks(examples: Path, tmp_path: Path, network: str) -> None:
    model = quaver.load(zoo.path(f"{network}-int8"))
    picture = photos.centre_crop(photos.load("chelsea"))
    image = zoo.NETWORKS[network].NORMALIZATION(picture)[None]
    assert from_c(examples, model, [image], tmp_path) == [model(image).tobytes()]


def test_two_inputs_and_outputs(
    examples: Path, two_inputs: onnx.ModelProto, tmp_path: Path
) -> None:
    model = quaver.load(two_inputs)
    left, right = np.random.default_rng(4).standard_normal((2, 2, 3)).astype(np.float32)
    expected = [array.tobytes() for array in model(left, right)]
    assert from_c(examples, model, [left, right], tmp_path) == expected


def test_classify(examples: Path, tmp_path: Path) -> None:
    """The scores that C prints for a picture are Python's for the same pixels."""
    model = quaver.load(make_convolution())
    model.save(tmp_path / "m.quaver")
    side = 128  # of the picture; its centre is 112, seven pixels for each of the model's 16
    picture = np.random.default_rng(5).integers(0, 256, (side, side, 3), dtype=np.uint8)
    (tmp_path / "p.ppm").write_bytes(b"P6\n# noise\n128 128\n255\n" + picture.tobytes())
    (tmp_path / "labels.txt").write_text("zero\none\ntwo\nthree\nfour\n")
    done = run(
        examples / "classify", tmp_path / "m.quaver", tmp_path / "p.ppm", tmp_path / "labels.txt"
    )
    assert done.returncode == 0, done.stderr

    pixels = picture[8:-8, 8:-8].reshape(16, 7, 16, 7, 3).mean(axis=(1, 3), dtype=np.float64)
    image = ((pixels - 127) / 128).astype(np.float32).transpose(2, 0, 1)[None]
    scores = model(np.ascontiguousarray(image))[0]
    best = np.argsort(-scores)[:3]
    rows = [line.split() for line in done.stdout.splitlines()]
    assert [label for _, label in rows] == [
        ["zero", "one", "two", "three", "four"][i] for i in best
    ]
    np.testing.assert_allclose([float(s) for s, _ in rows], scores[best], atol=2e-4)


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("run missing.quaver out in", "missing.quaver"),
        ("run m.quaver out short", "bytes"),
        ("run m.quaver out", "number of inputs"),
        ("run short out short", "not a compiled Quaver model"),
        ("classify m.quaver short", "not a binary PPM"),
        ("classify m.quaver cut.ppm", "truncated"),
    ],
)
def test_refusals(
    examples: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str, words: str
) -> None:
    monkeypatch.chdir(tmp_path)
    quaver.load(make_convolution()).save("m.quaver")
    Path("short").write_bytes(b"short")
    Path("cut.ppm").write_bytes(b"P6 16 16 255\n" + bytes(16))
    program, *arguments = command.split()
    done = run(examples / program, *arguments)
    assert done.returncode == 1
    assert words in done.stderr
