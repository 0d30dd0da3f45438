"""Slots and servers of models that are no single native graph, or turn out not to be."""

from __future__ import annotations

import gc
import json
import threading
import time
import weakref
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

import quaver
from serving import Server, compiled, put
from test_stages import late, model_of

FLOAT = TensorProto.FLOAT
X = np.arange(2 * 3 * 3, dtype=np.float32).reshape(2, 3, 3)


def diagonal(step: float, native: bool = False) -> onnx.ModelProto:
    """Build y = x + step, of each matrix in x its diagonal; or of its first column, natively."""
    if native:
        nodes = [helper.make_node("Gather", ["x", "first"], ["d"], axis=2)]
    else:
        sizes = {"dim": 2, "size": 3, "step": 1}
        nodes = [  # UnfoldTensor is foreign
            helper.make_node(
                "UnfoldTensor", ["x"], ["e"], "wider", domain="com.microsoft", **sizes
            ),
            helper.make_node("Einsum", ["e"], ["d"], "diagonal", equation="abcb->ab"),
        ]
    nodes.append(helper.make_node("Add", ["d", "step"], ["y"]))
    constants = {"step": np.array([step], np.float32)}
    if native:
        constants["first"] = np.array(0)
    return model_of(nodes, [("x", FLOAT, ["n", 3, 3])], [("y", FLOAT, ["n", 3])], constants)


def wanted(step: float, native: bool = False) -> np.ndarray:
    return (X[:, :, 0] if native else np.einsum("abb->ab", X)) + np.float32(step)


def test_versions_in_stages_and_native_ones() -> None:
    slot = quaver.Slot(quaver.load(diagonal(1)), probe={"x": X})
    for version, native in ((2, True), (3, False), (4, True), (5, False)):
        assert slot.swap(quaver.load(diagonal(version, native))) == version
        np.testing.assert_array_equal(slot(X), wanted(version, native))
        np.testing.assert_array_equal(slot.run({"x": X})["y"], wanted(version, native))
        outputs, number = slot.call(X)
        np.testing.assert_array_equal(outputs, wanted(version, native))
        assert number == version
    assert slot.rollback() == 4
    assert slot.rollback() == 5
    np.testing.assert_array_equal(slot(x=X), wanted(5))
    with slot.pin() as model, pytest.raises(quaver.UnsupportedError, match="stages"):
        model.updated(b"")


def test_other_inputs_are_refused() -> None:
    slot = quaver.Slot(quaver.load(diagonal(1)))
    other = diagonal(2)
    other.graph.input[0].type.tensor_type.shape.dim[1].dim_value = 4
    other.graph.input[0].type.tensor_type.shape.dim[2].dim_value = 4
    with pytest.raises(quaver.InputError, match="does not fit this slot"):
        slot.swap(quaver.load(other))
    with pytest.raises(quaver.ModelError, match="not the expected one"):
        slot.swap(quaver.load(diagonal(2)), probe={"x": X}, expect={"y": wanted(3)})
    assert slot.version == 1
    assert slot.swap(quaver.load(diagonal(2))) == 2


def test_a_version_in_stages_ends_after_its_last_run() -> None:
    model = quaver.load(diagonal(1))
    gone = weakref.ref(model._core)
    slot = quaver.Slot(model, keep_previous=False)
    del model
    pinned = slot.pin()
    slot.swap(quaver.load(diagonal(2)))
    gc.collect()
    assert gone() is not None
    np.testing.assert_array_equal(pinned(X), wanted(1))
    pinned.release()
    end = time.monotonic() + 60
    while gone() is not None:
        assert time.monotonic() < end
        time.sleep(0.01)
        gc.collect()
    assert slot.live == (2,)


def test_runs_in_many_threads_while_versions_change() -> None:
    slot = quaver.Slot(quaver.load(diagonal(1)), probe={"x": X})
    stop, wrong = threading.Event(), []

    def ask() -> None:
        while not stop.is_set():
            outputs, number = slot.call(X)
            if not np.array_equal(outputs, wanted(number, native=number % 2 == 0)):
                wrong.append(number)

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    for version in range(2, 30):
        slot.swap(quaver.load(diagonal(version, native=version % 2 == 0)))
    stop.set()
    for thread in threads:
        thread.join()
    assert not wrong


@pytest.mark.parametrize("probed", [False, True])
def test_plans_that_are_refused_fall_back(probed: bool) -> None:
    model, feeds = late()
    right = quaver.load(model).run(feeds)["y"]
    slot = quaver.Slot(quaver.load(model), probe=feeds if probed else None)
    np.testing.assert_array_equal(slot(*feeds.values()), right)
    np.testing.assert_array_equal(slot.run(feeds)["y"], right)
    slot.swap(quaver.load(model))
    np.testing.assert_array_equal(slot.call(**feeds).outputs, right)
    with slot.pin() as pinned:
        np.testing.assert_array_equal(pinned.run(feeds)["y"], right)
    slot.rollback()
    np.testing.assert_array_equal(slot(**feeds), right)
    alone = quaver.Slot(quaver.load(model, fallback=None))
    for _ in range(2):
        with pytest.raises(quaver.UnsupportedError, match="zero point per column"):
            alone(**feeds)
        with pytest.raises(quaver.UnsupportedError, match="zero point per column"):
            alone.run(feeds)


# Served.


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    root = tmp_path_factory.mktemp("models")
    put(root, "diagonal", 1, diagonal(1).SerializeToString(), "model.onnx")
    put(root, "late", 1, late()[0].SerializeToString(), "model.onnx")
    put(root, "words", 1, words().SerializeToString(), "model.onnx")
    put(root, "native", 1, diagonal(1).SerializeToString(), "model.onnx")
    config = root / "config.yaml"
    config.write_text("linger: 0\nmodels: {native: {fallback: none}}\n")
    with Server(root, "--config", str(config), ready=False) as server:
        server.wait_until(lambda: all(state != "LOADING" for state, _ in server.index().values()))
        yield server
        assert not server.event("bug"), server.event("bug")


def words() -> onnx.ModelProto:
    node = helper.make_node("StringConcat", ["a", "b"], ["y"])
    text = TensorProto.STRING
    model = model_of([node], [("a", text, ["n"]), ("b", text, ["n"])], [("y", text, ["n"])])
    del model.opset_import[:]
    model.opset_import.append(helper.make_opsetid("", 20))
    return model


def ask(server: Server, model: str, feeds: dict[str, np.ndarray]) -> np.ndarray:
    names = {"float32": "FP32", "uint8": "UINT8"}
    inputs, data = [], b""
    for name, array in feeds.items():
        size = {"binary_data_size": array.nbytes}
        inputs.append({"name": name, "shape": array.shape, "datatype": names[array.dtype.name],
                       "parameters": size})  # fmt: skip
        data += array.tobytes()
    head = json.dumps({"inputs": inputs, "parameters": {"binary_data_output": True}}).encode()
    length = {"Inference-Header-Content-Length": str(len(head))}
    status, answer = server.post(f"/v2/models/{model}/infer", head + data, **length)
    assert status == 200, answer
    record = json.loads(answer[: answer.index(b"}]}") + 3])
    shape = record["outputs"][0]["shape"]
    return np.frombuffer(answer[-int(np.prod(shape)) * 4 :], np.float32).reshape(shape)


def test_served_in_stages(server: Server) -> None:
    for _ in range(6):  # also where the request is known
        np.testing.assert_array_equal(ask(server, "diagonal", {"x": X}), wanted(1))
    parameters = server.get("/v2/models/diagonal/config")[1]["parameters"]
    assert parameters["gathers_not"]["string_value"] == "it runs in stages"
    assert server.get("/v2/models/diagonal/stats")[0] == 200
    put(root_of(server), "diagonal", 2, compiled(diagonal(2, native=True)))
    server.wait_until(lambda: server.index().get("diagonal/2", [""])[0] == "READY")
    for _ in range(6):
        np.testing.assert_array_equal(ask(server, "diagonal", {"x": X}), wanted(2, native=True))
    assert server.post("/v2/repository/models/diagonal/rollback") == (200, {"version": 1})
    np.testing.assert_array_equal(ask(server, "diagonal", {"x": X}), wanted(1))


def root_of(server: Server) -> Path:
    arguments = server.process.args
    assert isinstance(arguments, list)
    return Path(arguments[4])


def test_served_where_a_plan_is_refused(server: Server) -> None:
    model, feeds = late()
    for _ in range(6):
        right = quaver.load(model).run(feeds)["y"]
        for name in ("late", "late/versions/1"):
            np.testing.assert_array_equal(ask(server, name, feeds), right)


def test_served_strings(server: Server) -> None:
    inputs = [{"name": n, "shape": [2], "datatype": "BYTES", "data": [n, "ö"]} for n in "ab"]
    status, answer = server.post("/v2/models/words/infer", {"inputs": inputs})
    assert status == 200, answer
    assert answer["outputs"][0]["data"] == ["ab", "öö"]
    sizes = [{"name": n, "shape": [1], "datatype": "BYTES", "parameters": {"binary_data_size": 5}}
             for n in "ab"]  # fmt: skip
    head = json.dumps({"inputs": sizes, "parameters": {"binary_data_output": True}}).encode()
    length = {"Inference-Header-Content-Length": str(len(head))}
    for data, right in ((b"x", b"\2\0\0\0xx"), (b"\xff", b"no UTF-8")):
        body = head + (b"\1\0\0\0" + data) * 2
        status, answer = server.post("/v2/models/words/infer", body, **length)
        assert right in (answer if status == 200 else answer["error"].encode())


def test_without_a_fallback_it_is_refused(server: Server) -> None:
    state, reason = server.index()["native/1"]
    assert state == "UNAVAILABLE"
    assert "com.microsoft.UnfoldTensor: 'wider'" in reason
