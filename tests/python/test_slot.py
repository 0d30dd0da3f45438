"""quaver.Slot: exchanging a model while it runs."""

from __future__ import annotations

import gc
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import quaver
from zoo import cache as zoo

X = np.arange(4, dtype=np.float32).reshape(1, 4)


def adder(step: float, name: str = "x", batch: int | str = "n") -> onnx.ModelProto:
    """Build y = x + step."""
    ports = [helper.make_tensor_value_info(p, TensorProto.FLOAT, [batch, 4]) for p in (name, "y")]
    constant = numpy_helper.from_array(np.array([step], np.float32), "step")
    node = helper.make_node("Add", [name, "step"], ["y"])
    graph = helper.make_graph([node], "adder", ports[:1], ports[1:], [constant])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def load(step: float, **more: str) -> quaver.Model:
    return quaver.load(adder(step, **more), threads=1)


def test_runs_as_a_model() -> None:
    slot = quaver.Slot(load(1))
    np.testing.assert_array_equal(slot(X), X + 1)
    np.testing.assert_array_equal(slot(x=X), X + 1)
    np.testing.assert_array_equal(slot.run({"x": X})["y"], X + 1)
    assert (slot.version, slot.live) == (1, (1,))
    assert [port.name for port in slot.inputs + slot.outputs] == ["x", "y"]
    assert "version 1" in repr(slot)
    with pytest.raises(quaver.InputError, match="expected dtype float32"):
        slot(X.astype(np.float64))


def test_swap_and_rollback() -> None:
    slot = quaver.Slot(load(1), version=3)
    assert slot.swap(load(2)) == 4
    answer = slot.call(X)
    assert answer.version == 4
    np.testing.assert_array_equal(answer.outputs, X + 2)
    assert slot.rollback() == 3
    assert slot.call(X).version == 3
    assert slot.rollback() == 4
    assert slot.swap(load(10), version=10) == 10
    np.testing.assert_array_equal(slot(X), X + 10)


def test_a_pin_holds_its_version() -> None:
    slot = quaver.Slot(load(1))
    with slot.pin() as model:
        slot.swap(load(2))
        slot.swap(load(3))
        np.testing.assert_array_equal(model(X), X + 1)
        assert model.version == 1
        assert slot.live == (1, 2, 3)
    np.testing.assert_array_equal(slot(X), X + 3)
    with pytest.raises(AttributeError):
        model(X)
    assert slot.swap(load(4)) == 4  # waits for the reclaimer where it must
    pin = slot.pin()
    del slot
    gc.collect()
    np.testing.assert_array_equal(pin(X), X + 4)
    pin.release()
    pin.release()


def test_a_failed_run_holds_no_version() -> None:
    slot = quaver.Slot(load(1), max_live=2, keep_previous=False)
    for step, run in enumerate([slot, lambda x: slot(x=x), lambda x: slot.run({"x": x})]):
        with pytest.raises(quaver.InputError, match="expected the shape") as caught:
            run(X[:, :2])
        slot.swap(load(step), timeout=5)
        assert slot.swap(load(step), timeout=5) == slot.version
        assert caught.tb is not None


def test_live_versions_are_bounded() -> None:
    slot = quaver.Slot(load(1), max_live=3)
    with slot.pin():
        slot.swap(load(2))
        slot.swap(load(3))
        with pytest.raises(quaver.BusyError, match="versions 1, 2, 3 are still in use") as caught:
            slot.swap(load(4), timeout=0.01)
        assert isinstance(caught.value, TimeoutError)
        assert slot.call(X).version == 3
    assert slot.swap(load(4)) == 4


def test_other_models_are_refused() -> None:
    slot = quaver.Slot(load(1))
    for other, words in [
        (load(2, name="z"), r"expected 'x' float32 \[\?, 4\], got 'z'"),
        (load(2, batch=2), r"got 'x' float32 \[2, 4\]"),
        (slot.pin(), "rollback"),
    ]:
        with pytest.raises(quaver.InputError, match=words):
            slot.swap(other)
    assert (slot.version, slot.live) == (1, (1,))
    np.testing.assert_array_equal(slot(X), X + 1)


def test_the_probe_decides() -> None:
    slot = quaver.Slot(load(1), probe={"x": X})
    slot.swap(load(2), expect={"y": X + 2})
    wrong = X + 3
    wrong[0, 1] += 1
    with pytest.raises(quaver.ModelError, match=r"output 'y': 1 of 4 elements differ"):
        slot.swap(load(3), expect={"y": wrong})
    with pytest.raises(quaver.ModelError, match=r"expected float64\[1, 4\], got float32\[1, 4\]"):
        slot.swap(load(3), expect={"y": (X + 3).astype(np.float64)})
    with pytest.raises(quaver.InputError, match="no output 'z'"):
        slot.swap(load(3), expect={"z": X})
    with pytest.raises(quaver.InputError, match="expected the shape"):
        slot.swap(load(3), probe={"x": X[:, :2]})
    assert slot.call(X).version == 2
    nothing = np.full_like(X, np.nan)
    slot.swap(load(3), probe={"x": nothing}, expect={"y": nothing})  # bits, not values
    with pytest.raises(quaver.InputError, match="probe="):
        quaver.Slot(load(1)).swap(load(2), expect={"y": X})


@pytest.mark.parametrize("options", [{"max_live": 2}, {"max_live": 65}, {"version": 0}])
def test_refused_options(options: dict[str, int]) -> None:
    with pytest.raises(quaver.InputError, match=r"max_live|version"):
        quaver.Slot(load(1), **options)


def test_refused_swap_options() -> None:
    slot = quaver.Slot(load(1), keep_previous=False, max_live=2)
    for options in ({"version": 1}, {"version": -1}, {"timeout": -1}, {"timeout": float("nan")}):
        with pytest.raises(quaver.InputError, match=r"version|timeout"):
            slot.swap(load(2), **options)
    slot.swap(load(2))
    with pytest.raises(quaver.InputError, match="keep_previous"):
        slot.rollback()


def test_threads_never_see_a_mixture() -> None:
    slot = quaver.Slot(load(1))
    stop = threading.Event()
    wrong: list[object] = []
    runs = [0] * 4

    def work(index: int) -> None:
        while not stop.is_set():
            try:
                outputs, version = slot.call(X)
            except quaver.Error as error:
                wrong.append(error)
                return
            if not (outputs == X + version).all():
                wrong.append(version)
            runs[index] += 1

    threads = [threading.Thread(target=work, args=(index,)) for index in range(len(runs))]
    for thread in threads:
        thread.start()
    for step in range(2, 60):
        slot.swap(load(step), probe={"x": X}, expect={"y": X + step})
        if step % 10 == 0:
            with pytest.raises(quaver.ModelError):
                slot.swap(load(0), probe={"x": X}, expect={"y": X + 1})
    stop.set()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert min(runs) > 0
    assert len(slot.live) <= 4


def test_ends_with_the_interpreter(tmp_path: Path) -> None:
    """Versions whose weights are NumPy's are dropped while there is an interpreter to do it."""
    onnx.save(adder(1), tmp_path / "m.onnx")
    program = (
        "import numpy, quaver\n"
        f"model = lambda: quaver.load({str(tmp_path / 'm.onnx')!r}, threads=1)\n"
        "slot = quaver.Slot(model())\n"
        "x = numpy.zeros((1, 4), numpy.float32)\n"
        "for _ in range(5): slot.swap(model()); slot(x)\n"
        "pin = slot.pin()\n"
        "print(slot.version)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "6\n", "")


RELOADS = """
import sys, time, numpy, quaver

def resident():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))

def reload(times):
    for _ in range(times):
        slot.swap(quaver.load(sys.argv[1], threads=1), probe={name: x})
        slot(x)
    while len(slot.live) > 2:  # the reclaimer is at the last one
        time.sleep(0.01)

slot = quaver.Slot(quaver.load(sys.argv[1], threads=1))
x = numpy.zeros([dim or 1 for dim in slot.inputs[0].shape], slot.inputs[0].dtype)
name = slot.inputs[0].name
reload(10)  # the heap finds its size
before = resident()
reload(50)
print(before, resident())
"""


def test_memory_stays(tmp_path: Path) -> None:
    """Fifty reloads of a real network leave resident memory within 5 % of what it was."""
    quaver.load(zoo.path("efficientnet-lite0-int8"), threads=1).save(tmp_path / "m.quaver")
    done = subprocess.run(
        [sys.executable, "-c", RELOADS, tmp_path / "m.quaver"],
        capture_output=True,
        text=True,
        check=True,
    )
    before, after = map(int, done.stdout.split())
    assert after <= 1.05 * before
