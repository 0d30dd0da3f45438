"""quaver.load and quaver.Model: what they take, give and refuse."""

from __future__ import annotations

import gc
import subprocess
import sys
import threading
import weakref
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx.reference import ReferenceEvaluator

import quaver
from conftest import make_convolution

A = np.arange(6, dtype=np.float32).reshape(2, 3)
B = np.full((2, 3), 10, np.float32)


@pytest.fixture(scope="module")
def pair(two_inputs: onnx.ModelProto) -> quaver.Model:
    return quaver.load(two_inputs)


def test_ports(pair: quaver.Model) -> None:
    assert pair.inputs == (
        quaver.Port("left", np.dtype(np.float32), (2, 3)),
        quaver.Port("right", np.dtype(np.float32), (2, 3)),
    )
    assert [port.name for port in pair.outputs] == ["sum", "difference"]
    assert "left: float32[2, 3]" in repr(pair)


@pytest.mark.parametrize(
    "call",
    [
        lambda m: m(A, B),
        lambda m: m(A, right=B),
        lambda m: m(right=B, left=A),
        lambda m: tuple(m.run({"right": B, "left": A}).values()),
    ],
)
def test_ways_to_call(pair: quaver.Model, call: Callable[[quaver.Model], tuple]) -> None:
    total, difference = call(pair)
    np.testing.assert_array_equal(total, A + B)
    np.testing.assert_array_equal(difference, A - B)
    assert total.dtype == np.float32


def test_single_output_is_an_array(convolution: onnx.ModelProto, image: np.ndarray) -> None:
    scores = quaver.load(convolution)(image)
    (expected,) = ReferenceEvaluator(convolution).run(None, {"image": image})
    np.testing.assert_allclose(scores, expected, rtol=1e-5, atol=1e-5)


def test_run_gives_names(convolution: onnx.ModelProto, image: np.ndarray) -> None:
    assert list(quaver.load(convolution).run({"image": image})) == ["scores"]


@pytest.mark.parametrize(
    "make",
    [
        np.asfortranarray,
        lambda x: np.repeat(x, 2, axis=1)[:, ::2],
        lambda x: x.astype(">f4"),
        lambda x: (
            np.frombuffer(b"\0" + x.tobytes(), np.uint8)[1:].view(np.float32).reshape(x.shape)
        ),
        lambda x: x.view(np.recarray),
    ],
    ids=["fortran", "strided", "big-endian", "unaligned", "subclass"],
)
def test_any_layout(pair: quaver.Model, make: Callable[[np.ndarray], np.ndarray]) -> None:
    total, _ = pair(make(A), make(B))
    np.testing.assert_array_equal(total, A + B)


def test_inputs_stay_and_outputs_are_new(pair: quaver.Model) -> None:
    left = A.copy()
    first, _ = pair(left, B)
    kept = first.copy()
    second, _ = pair(left + 1, B)
    np.testing.assert_array_equal(left, A)
    np.testing.assert_array_equal(first, kept)
    assert not np.shares_memory(first, second)


def test_open_batch() -> None:
    proto = make_convolution("N")
    model = quaver.load(proto)
    assert model.inputs[0].shape == (None, 3, 16, 16)
    images = np.random.default_rng(3).standard_normal((4, 3, 16, 16)).astype(np.float32)
    (expected,) = ReferenceEvaluator(proto).run(None, {"image": images})
    np.testing.assert_allclose(model(images), expected, rtol=1e-5, atol=1e-5)
    for one in range(4):
        np.testing.assert_array_equal(model(images[one : one + 1])[0], model(images)[one])


def test_every_source(convolution: onnx.ModelProto, image: np.ndarray, tmp_path: Path) -> None:
    onnx_path, compiled = tmp_path / "model.onnx", tmp_path / "model.quaver"
    onnx.save(convolution, onnx_path)
    expected = quaver.load(convolution)(image)
    quaver.load(onnx_path).save(compiled)
    renamed = tmp_path / "model.bin"
    renamed.write_bytes(compiled.read_bytes())
    sources = [
        str(onnx_path),
        onnx_path.read_bytes(),
        bytearray(onnx_path.read_bytes()),
        compiled,
        str(compiled),
        renamed,
        compiled.read_bytes(),
        memoryview(compiled.read_bytes()),
    ]
    for source in sources:
        np.testing.assert_array_equal(quaver.load(source)(image), expected)


def test_external_data(convolution: onnx.ModelProto, image: np.ndarray, tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    copy = onnx.ModelProto()
    copy.CopyFrom(convolution)
    onnx.save(copy, path, save_as_external_data=True, size_threshold=0, location="weights")
    np.testing.assert_array_equal(quaver.load(path)(image), quaver.load(convolution)(image))


def test_saving_is_deterministic(convolution: onnx.ModelProto, tmp_path: Path) -> None:
    for name in ("a", "b"):
        quaver.load(convolution).save(tmp_path / name)
    quaver.load(tmp_path / "a", isa="scalar", threads=2).save(tmp_path / "c")
    assert len({path.read_bytes() for path in tmp_path.iterdir()}) == 1


def test_compiled_needs_no_onnx(convolution: onnx.ModelProto, tmp_path: Path) -> None:
    path = tmp_path / "model.quaver"
    quaver.load(convolution).save(path)
    program = (
        "import sys; sys.modules['onnx'] = None; sys.modules['google.protobuf'] = None\n"
        "import numpy, quaver\n"
        f"model = quaver.load({str(path)!r})\n"
        "print(model(numpy.zeros((1, 3, 16, 16), numpy.float32)).shape)\n"
        "try: quaver.load(b'an ONNX model')\n"
        "except quaver.Error as error: print(str(error).split(': ')[1])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout == "(1, 5)\npip install onnx\n"


def _refused(call: Callable[[], object], kind: type[quaver.Error], *words: str) -> None:
    with pytest.raises(kind) as caught:
        call()
    assert issubclass(kind, quaver.Error)
    for word in words:
        assert word in str(caught.value)


def test_refused_names(pair: quaver.Model) -> None:
    wrong = quaver.InputError
    _refused(lambda: pair.run({"left": A, "rigth": B}), wrong, "'rigth'", "did you mean 'right'?")
    _refused(lambda: pair.run({"left": A, "x": B}), wrong, "'x'", "'left', 'right'")
    _refused(lambda: pair.run({"left": A}), wrong, "missing input 'right'")
    _refused(lambda: pair(A, left=A), wrong, "'left' is given by position and by name")
    _refused(lambda: pair(A), wrong, "expected 2 inputs", "got 1")
    _refused(lambda: pair(A, B, B), wrong, "expected 2 inputs", "got 3")
    _refused(lambda: pair(A, B, B, left=A), wrong, "expected 2 inputs", "got 3")


def test_refused_dtypes(pair: quaver.Model) -> None:
    wide = A.astype(np.float64)
    _refused(
        lambda: pair(wide, B),
        quaver.InputError,
        "input 'left': expected dtype float32, got float64",
        'x.astype("float32")',
    )
    _refused(lambda: pair(A, [[1.0] * 3] * 2), quaver.InputError, "input 'right'", "got float64")
    _refused(lambda: pair(A, "text"), quaver.InputError, "input 'right'", "got str")
    _refused(lambda: pair(A, None), quaver.InputError, "input 'right'", "got object")


def test_refused_shapes(pair: quaver.Model) -> None:
    _refused(lambda: pair(A.T, B), quaver.InputError, "input 'left'", "[2, 3]", "got [3, 2]")
    _refused(lambda: pair(A, B[None]), quaver.InputError, "input 'right'", "got [1, 2, 3]")
    open_batch = quaver.load(make_convolution("N"))
    small = np.zeros((2, 3, 8, 16), np.float32)
    _refused(lambda: open_batch(small), quaver.InputError, "'image'", "[?, 3, 16, 16]", "8")


def test_refused_sources(tmp_path: Path) -> None:
    def file(name: str, content: bytes) -> Path:
        (tmp_path / name).write_bytes(content)
        return tmp_path / name

    corrupt = quaver.CorruptFileError
    missing = tmp_path / "absent.onnx"
    _refused(lambda: quaver.load(missing), quaver.FileError, "absent.onnx", "No such file")
    _refused(lambda: quaver.load(tmp_path), quaver.FileError, "Is a directory")
    _refused(
        lambda: quaver.load(file("a.onnx", b"not a model")), corrupt, "a.onnx", "no ONNX model"
    )
    _refused(lambda: quaver.load(file("b.onnx", b"")), corrupt, "b.onnx", "ONNX model")
    _refused(lambda: quaver.load(file("c.quaver", b"")), corrupt, "c.quaver")
    _refused(lambda: quaver.load(file("d.quaver", b"QUAVER\0\1 short")), corrupt, "d.quaver")
    _refused(lambda: quaver.load(b"\xff" * 100), corrupt, "no ONNX model")
    _refused(lambda: quaver.load(b"QUAVER\0\1"), corrupt)
    _refused(lambda: quaver.load(3), quaver.InputError, "cannot load a int")  # type: ignore[arg-type]


def test_refused_options(convolution: onnx.ModelProto) -> None:
    for threads in (0, -1, 1.5, "2"):
        _refused(
            lambda threads=threads: quaver.load(convolution, threads=threads),
            quaver.InputError,
            f"threads={threads!r}",
        )
    _refused(lambda: quaver.load(convolution, isa="avx9"), quaver.IsaError, "avx9", "scalar")


def test_refused_save(convolution: onnx.ModelProto, tmp_path: Path) -> None:
    path = tmp_path / "absent" / "model.quaver"
    _refused(lambda: quaver.load(convolution).save(path), quaver.FileError, "absent")


def test_options_are_kept_and_change_no_bit(
    convolution: onnx.ModelProto, image: np.ndarray
) -> None:
    expected = quaver.load(convolution, threads=1, isa="scalar")(image)
    model = quaver.load(convolution, threads=2, isa="scalar")
    assert (model.threads, model.isa) == (2, "scalar")
    np.testing.assert_array_equal(model(image), expected)


def test_many_threads_share_a_model(pair: quaver.Model) -> None:
    wrong = []

    def work(seed: int) -> None:
        left = np.random.default_rng(seed).standard_normal((2, 3)).astype(np.float32)
        for _ in range(200):
            total, difference = pair(left, B)
            if not ((total == left + B).all() and (difference == left - B).all()):
                wrong.append(seed)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_nothing_is_kept(two_inputs: onnx.ModelProto) -> None:
    """Neither the model nor the arrays of a run outlive their users."""
    model = quaver.load(two_inputs)
    left = A.copy()
    total, _ = model(left, B)
    counts = sys.getrefcount(left), sys.getrefcount(total)
    for _ in range(10):
        model(left, B)
    assert (sys.getrefcount(left), sys.getrefcount(total)) == counts
    gone = weakref.ref(left)
    del left, model
    gc.collect()
    assert gone() is None


def test_package() -> None:
    assert quaver.__version__
    for name in quaver.__all__:
        assert getattr(quaver, name) is not None
    with pytest.raises(AttributeError, match="nothing"):
        quaver.nothing  # noqa: B018
