"""What the README shows works when pasted."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from conftest import ROOT
from quaver import cli

README = (ROOT / "README.md").read_text()


def _model() -> onnx.ModelProto:
    """Build a small network with the ports that the quick start names."""
    weights = np.random.default_rng(0).standard_normal((10, 3, 7, 7)).astype(np.float32)
    nodes = [
        helper.make_node("Conv", ["input", "w"], ["c"], strides=[32, 32]),
        helper.make_node("GlobalAveragePool", ["c"], ["p"]),
        helper.make_node("Flatten", ["p"], ["logits"]),
    ]
    graph = helper.make_graph(
        nodes,
        "readme",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, [1, 3, 224, 224])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, [1, 10])],
        [numpy_helper.from_array(weights, "w")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def test_quick_start(tmp_path: Path) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    assert len(code.strip().splitlines()) <= 11
    onnx.save(_model(), tmp_path / "model.onnx")
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "0.0"
    assert (tmp_path / "model.quaver").exists()


COMMANDS = [line.split("#")[0].split() for line in re.findall(r"^ +(quaver .*)$", README, re.M)]


def test_there_are_commands() -> None:
    assert {command[1] for command in COMMANDS} == {
        "quantize", "compile", "run", "inspect", "bench", "info", "delta", "probe", "serve",
    }  # fmt: skip


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_command_is_understood(command: list[str]) -> None:
    assert callable(cli.parse(command[1:]).command)


def test_links_lead_somewhere() -> None:
    for page in [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")]:
        for target in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
            assert target.startswith("https:") or (page.parent / target).exists(), (page, target)
