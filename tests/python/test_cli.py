"""The command line: output, exit codes, interruption."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import quaver
from conftest import make_convolution
from quaver import bench, npz, progress


def _run(*arguments: object, code: int = 0) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "quaver", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stderr
    return done


def test_compile_then_run(convolution_path: Path, image: np.ndarray, tmp_path: Path) -> None:
    compiled, x, y = tmp_path / "m.quaver", tmp_path / "x.npz", tmp_path / "y.npz"
    done = _run("compile", convolution_path, "-o", compiled)
    assert str(compiled) in done.stdout
    assert done.stderr == ""
    np.savez(x, image=image)
    for model in (convolution_path, compiled):
        _run("run", model, "--input", x, "--output", y)
        with np.load(y) as file:
            assert list(file) == ["scores"]
            np.testing.assert_array_equal(file["scores"], quaver.load(convolution_path)(image))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["m.quaver", "x.npz", "y.npz"]


def test_compile_names_its_output(convolution_path: Path) -> None:
    _run("compile", convolution_path, "--packed")
    assert convolution_path.with_suffix(".quaver").exists()


def test_inspect_table(convolution_path: Path) -> None:
    done = _run("inspect", convolution_path, "--isa", "scalar", "--threads", 1)
    for word in ("operator", "kernel", "MACs", "Conv", "scalar", "arena", "1x3x16x16"):
        assert word in done.stdout


def test_inspect_json(convolution_path: Path) -> None:
    facts = json.loads(_run("inspect", convolution_path, "--json", "--profile").stdout)
    assert facts["inputs"][0]["name"] == "image"
    nodes = facts["nodes"]
    convolution = next(node for node in nodes if node["op"] == "Conv")
    assert convolution["macs"] == 8 * 27 * 16 * 16
    assert not convolution["int8"]
    assert convolution["kernel"]
    assert facts["totals"]["macs"] == sum(node["macs"] for node in nodes)
    assert 0 < facts["totals"]["arena_bytes"] <= facts["totals"]["activation_bytes"]
    assert all(node["ms"] >= 0 for node in nodes)


def test_inspect_open_shapes(tmp_path: Path) -> None:
    path = tmp_path / "open.onnx"
    onnx.save(make_convolution("N"), path)
    one = json.loads(_run("inspect", path, "--json").stdout)
    four = json.loads(_run("inspect", path, "--json", "--shape", "image=4,3,16,16").stdout)
    assert four["totals"]["macs"] == 4 * one["totals"]["macs"]
    assert four["inputs"][0]["planned_shape"] == [4, 3, 16, 16]
    done = _run("inspect", path, "--shape", "imag=4,3,16,16", code=1)
    assert "there is no input 'imag'" in done.stderr


def test_bench_alone(convolution_path: Path) -> None:
    done = _run("bench", convolution_path, "--threads", "1,2", "--rounds", 2, "--json")
    results = json.loads(done.stdout)["results"]
    assert [(r["runtime"], r["threads"]) for r in results] == [("quaver", 1), ("quaver", 2)]
    assert all(0 < r["p10_ms"] <= 2 * r["median_ms"] and r["ratio"] == 1 for r in results)


def test_bench_against_a_peer(convolution_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    done = _run("bench", convolution_path, "--against", "onnxruntime", "--rounds", 2)
    lines = done.stdout.splitlines()
    assert lines[0].split()[0] == "runtime"
    assert [line.split()[0] for line in lines[2:]] == ["quaver", "onnxruntime"]
    assert float(lines[-1].split()[-1]) > 0


def test_bench_says_where_precisions_differ() -> None:
    def result(runtime: str, floats: str) -> bench.Result:
        return bench.Result(runtime, "1.0", 1, floats, 2.0, 1.0, 0.5)

    peer = result("openvino", "bf16")
    assert "--float-precision bf16" in bench.render([result("quaver", "fp32"), peer])
    assert "--float-precision" not in bench.render([result("quaver", "bf16"), peer])
    assert "--float-precision" not in bench.render([result("quaver", "fp32")])


def test_bench_gives_indices_in_bounds(tmp_path: Path) -> None:
    """Where a peer refuses an index beyond its table, and one input chooses from two of them."""
    pytest.importorskip("onnxruntime")
    words = numpy_helper.from_array(np.zeros((300, 4), np.float32), "words")
    types = numpy_helper.from_array(np.zeros((4, 3), np.float32), "types")
    nodes = [
        helper.make_node("Gather", ["words", "ids"], ["w"]),
        helper.make_node("Cast", ["kinds"], ["narrow"], to=TensorProto.INT32),
        helper.make_node("Gather", ["types", "narrow"], ["t"], axis=-1),
        helper.make_node("Gather", ["words", "kinds"], ["k"]),
        helper.make_node("Cast", ["mask"], ["m"], to=TensorProto.FLOAT),
        helper.make_node("Concat", ["w", "k"], ["joined"], axis=-1),
    ]
    inputs = [
        helper.make_tensor_value_info(name, TensorProto.INT64, ["N", 64])
        for name in ("ids", "kinds", "mask")
    ]
    outputs = [helper.make_tensor_value_info(n, TensorProto.FLOAT, None) for n in ("joined", "t")]
    outputs.append(helper.make_tensor_value_info("m", TensorProto.FLOAT, None))
    graph = helper.make_graph(nodes, "g", inputs, outputs, [words, types])
    path = tmp_path / "tables.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]), path)
    made = bench.made_inputs(str(path), {})
    assert made["ids"].max() > 255
    assert made["kinds"].max() == 2
    assert set(made["mask"].ravel()) == {0, 1}
    results = bench.bench(str(path), against=["onnxruntime"], rounds=1, seconds=0.01)
    assert [result.runtime for result in results] == ["quaver", "onnxruntime"]


def test_bench_refuses(convolution_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(quaver.InputError, match="there is no peer 'tensorflow'"):
        bench.bench(str(convolution_path), against=["tensorflow"])
    monkeypatch.setitem(bench.PEERS, "quaver-absent-peer", bench.PEERS["onnxruntime"])
    with pytest.raises(quaver.InputError, match="pip install quaver-absent-peer"):
        bench.bench(str(convolution_path), against=["quaver-absent-peer"])


def test_info() -> None:
    facts = json.loads(_run("info", "--json").stdout)
    assert facts["version"] == quaver.__version__
    assert "scalar" in facts["isas"]
    assert facts["isa"] in facts["isas"]
    assert facts["threads"] >= 1
    assert facts["cpu"] in _run("info").stdout
    assert quaver.__version__ in _run("--version").stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["inspect", "absent.onnx"], "cannot read 'absent.onnx': No such file"),
        (["inspect", __file__], "is no ONNX model"),
        (["run", "MODEL", "--input", "absent.npz", "--output", "y"], "cannot read 'absent.npz'"),
        (["run", "MODEL", "--input", __file__, "--output", "y"], "no .npz file"),
        (["inspect", "MODEL", "--isa", "avx9"], "avx9"),
        (["bench", "MODEL", "--against", "tensorflow"], "there is no peer 'tensorflow'"),
        (["compile", "MODEL", "-o", "/absent/m.quaver"], "/absent/m.quaver"),
    ],
)
def test_errors(convolution_path: Path, arguments: list[str], words: str) -> None:
    model = str(convolution_path)
    done = _run(*[model if word == "MODEL" else word for word in arguments], code=1)
    assert done.stdout == ""
    assert done.stderr.startswith("quaver: error: ")
    assert words in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "bad", [["bench", "m", "--threads", "0"], ["inspect", "m", "--shape", "3"]]
)
def test_usage_errors(bad: list[str]) -> None:
    assert "expected" in _run(*bad, code=2).stderr


def test_wrong_arrays(convolution_path: Path, tmp_path: Path) -> None:
    x, y = tmp_path / "x.npz", tmp_path / "y.npz"
    np.savez(x, imgae=np.zeros((1, 3, 16, 16), np.float32))
    done = _run("run", convolution_path, "--input", x, "--output", y, code=1)
    assert "did you mean 'image'?" in done.stderr
    assert not y.exists()


def test_output_may_have_any_name(tmp_path: Path) -> None:
    arrays = {"file": np.arange(3), "a/b:0": np.ones(2)}
    npz.write(str(tmp_path / "y.npz"), arrays)
    with np.load(tmp_path / "y.npz") as file:
        for name, array in arrays.items():
            np.testing.assert_array_equal(file[name], array)


def _interrupted(*arguments: str, after: float) -> tuple[int, str, str]:
    """Start Python, send it Ctrl-C and give its exit code and what it wrote."""
    # A shell that starts the tests in the background has the signal ignored in all they start.
    command = ["env", "--default-signal=INT", sys.executable, *arguments]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            time.sleep(after)
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=30)
        finally:
            process.kill()
    return process.returncode, out, err


def test_interrupt(convolution_path: Path) -> None:
    command = ["-m", "quaver", "bench", str(convolution_path), "--rounds", "10000"]
    assert _interrupted(*command, after=2) == (130, "", "quaver: interrupted\n")


def test_interrupt_in_native_code() -> None:
    """Ctrl-C ends a command at once, whatever its thread is doing."""
    program = (
        "import sys, time; from quaver import cli, progress; from quaver.cli import info\n"
        "info.run = lambda arguments: progress.wait(lambda: time.sleep(60), 'sleeping')\n"
        "sys.argv = ['quaver', 'info']; cli.main()\n"
    )
    assert _interrupted("-c", program, after=1.5) == (130, "", "quaver: interrupted\n")


def test_closed_pipe(convolution_path: Path) -> None:
    command = f"{sys.executable} -m quaver inspect --json {convolution_path} | true"
    done = subprocess.run(command, shell=True, capture_output=True, text=True, check=False)
    assert done.stderr == ""


def _on_terminal(program: str) -> str:
    """Give what a program writes to stderr where that is a terminal."""
    ours, theirs = pty.openpty()
    with subprocess.Popen([sys.executable, "-c", program], stderr=theirs):
        os.close(theirs)
        written = b""
        try:
            while chunk := os.read(ours, 1024):
                written += chunk
        except OSError:  # how Linux says that the other end is closed
            pass
    os.close(ours)
    return written.decode()


SLOW = (
    "import time; from quaver import progress; progress._PATIENCE = 0.2\n"
    "for _ in progress.track(range(5), 5, 'counting'): time.sleep(0.1)\n"
    "progress.wait(lambda: time.sleep(0.6), 'waiting')\n"
)


def test_progress_on_a_terminal() -> None:
    written = _on_terminal(SLOW)
    assert "counting [############" in written
    assert "4/5" in written
    assert "waiting ..." in written
    assert written.rstrip(" \r").count("\n") == 0
    assert written.endswith(" \r")


def test_progress_is_silent() -> None:
    done = subprocess.run([sys.executable, "-c", SLOW], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    assert _on_terminal(SLOW.replace("0.2", "60")) == ""


def test_wait_hands_on() -> None:
    assert progress.wait(lambda: 7, "seven") == 7
    with pytest.raises(ZeroDivisionError):
        progress.wait(lambda: 1 // 0, "dividing")
