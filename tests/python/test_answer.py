"""Answers straight from a body's bytes: as runs on arrays, or refused."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

import quaver
from quaver import _core
from serving import simple

SHAPES = [(2, 16), (2, 16)]
SIZE = 2 * 16 * 4


@pytest.fixture(scope="module")
def model() -> _core.Model:
    return quaver.load(simple(3), threads=1)._whole()


@pytest.mark.parametrize("outputs", [[0], [1], [0, 1], [1, 0], []], ids=str)
def test_gives_the_bytes_of_a_run(model: _core.Model, outputs: list[int]) -> None:
    a, b = np.random.default_rng(1).integers(-99, 99, (2, 2, 16), np.int32)
    expected = model.run([a, b])
    pieces = [bytes(range(at + 1)) for at in range(len(outputs))]
    frame = _core.Frame(pieces, outputs, [expected[at].shape for at in outputs])
    for start, first in itertools.product((0, 3), (0, SIZE + 5)):
        offsets = [first, SIZE + 5 - first]
        layout = _core.Layout(SHAPES, offsets)
        body = bytearray(start + 2 * SIZE + 5)
        for offset, array in zip(offsets, (a, b), strict=True):
            body[start + offset : start + offset + SIZE] = array.tobytes()
        answer = model.answer(bytes(body), start, layout, frame)
        parts = [expected[at].tobytes() for at in outputs]
        assert answer == b"".join(itertools.chain(*zip(pieces, parts, strict=True)))


def test_other_shapes_than_the_frames_are_no_answer(model: _core.Model) -> None:
    frame = _core.Frame([b""], [0], [(1, 16)])
    assert model.answer(bytes(2 * SIZE), 0, _core.Layout(SHAPES, [0, SIZE]), frame) is None


@pytest.mark.parametrize(
    ("size", "start", "offsets", "why"),
    [
        (2 * SIZE - 1, 0, [0, SIZE], "input 1 ends after them"),
        (2 * SIZE, 1, [0, SIZE], "input 1 ends after them"),
        (2 * SIZE, 0, [0, 2**63], "input 1 ends after them"),
        (2 * SIZE, 2**63, [2**63, 0], "ends after them"),
        (2 * SIZE, 0, [0], "expected 2 inputs"),
    ],
)
def test_bodies_that_are_too_short(
    model: _core.Model, size: int, start: int, offsets: list[int], why: str
) -> None:
    layout = _core.Layout(SHAPES[: len(offsets)], offsets)
    frame = _core.Frame([b""], [0], [(2, 16)])
    with pytest.raises(quaver.InputError, match=why):
        model.answer(bytes(size), start, layout, frame)


def test_layouts_and_frames_that_are_none(model: _core.Model) -> None:
    with pytest.raises(quaver.InputError, match="a shape and an offset"):
        _core.Layout(SHAPES, [0])
    with pytest.raises(quaver.InputError, match="a piece"):
        _core.Frame([b""], [0, 1], [(2, 16)])
    with pytest.raises(quaver.InputError, match="at most once"):
        _core.Frame([b"", b""], [1, 1], [(2, 16), (2, 16)])
    layout = _core.Layout(SHAPES, [0, SIZE])
    with pytest.raises(quaver.InputError, match="no output 2"):
        model.answer(bytes(2 * SIZE), 0, layout, _core.Frame([b""], [2], [(2, 16)]))
    narrow = _core.Layout([(2, 8), (2, 8)], [0, 64])
    with pytest.raises(quaver.InputError, match="expected the shape"):
        model.answer(bytes(2 * SIZE), 0, narrow, _core.Frame([b""], [0], [(2, 16)]))


def test_a_slot_answers_by_its_current_version() -> None:
    slot = quaver.Slot(quaver.load(simple(1), threads=1))
    layout = _core.Layout(SHAPES, [0, SIZE])
    frames = {at: _core.Frame([b"%d " % at], [0], [(2, 16)]) for at in (10, 20)}
    body = np.ones((2, 2, 16), np.int32).tobytes()

    def ask() -> tuple[bytes, int] | None:
        return slot._core.answer(body, 0, layout, {1: 10, 2: 20, 3: 30}, frames)

    assert ask() == (b"10 " + np.full((2, 16), 3, np.int32).tobytes(), 10)
    slot.swap(quaver.load(simple(2), threads=1))
    assert ask() == (b"20 " + np.full((2, 16), 4, np.int32).tobytes(), 20)
    slot.swap(quaver.load(simple(3), threads=1))
    assert ask() is None  # there is no frame of it
    slot.rollback()
    assert ask() == (b"20 " + np.full((2, 16), 4, np.int32).tobytes(), 20)


def test_memory_counts_constants_and_what_runs_take(model: _core.Model) -> None:
    wide = np.ones((64, 512), np.float32)
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [8, 64])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, [8, 512])
    node = helper.make_node("MatMul", ["x", "w"], ["y"])
    graph = helper.make_graph([node], "g", [x], [y], [numpy_helper.from_array(wide, "w")])
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    big = quaver.load(made, threads=1)._whole()
    assert 0 < model.memory < 1 << 16
    assert big.memory >= wide.nbytes
