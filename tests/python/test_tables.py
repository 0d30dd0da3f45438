"""The tables that `make tables` writes, from made-up results."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("matplotlib")

import quaver
from compare import models, profiles, report, small
from compare.networks import NETWORKS


def _one(milliseconds: float, *rounds: float) -> dict[str, Any]:
    return {
        "median_ms": milliseconds,
        "p10_ms": milliseconds * 0.9,
        "rounds_ms": rounds or [milliseconds] * 3,
        "load_ms": 4.5,
        "import_ms": 20.0,
        "peak_mb": 40.0,
        "correlation": 1.0,
    }


def _contest(threads: int, ours: float) -> dict[str, Any]:
    return {
        "network": "resnet50",
        "threads": threads,
        "batch": 1,
        "results": {
            "quaver int8": _one(ours),
            "onnxruntime int8": _one(20.0),
            "openvino int8": _one(16.0),
        },
        "absent": {"ncnn float": "pnnx is not installed"},
    }


@pytest.fixture
def results() -> dict[str, Any]:
    contests = {report.key("resnet50", t, 1): _contest(t, ours) for t, ours in ((1, 12), (2, 6))}
    return {
        "machine": {
            "cpu": "A CPU",
            "isa": "avx2",
            "threads": 2,
            "date": "2026-01-01",
            "versions": {"quaver": "0.1.0", "ncnn": None},
        },
        "contests": contests,
        "held": {},
        "overhead": {"quaver": 0.9, "onnxruntime": 7.0},
        "sizes": {"quaver": 3_300_000, "onnxruntime": 60_000_000},
        "profiles": {},
    }


def test_ratio_is_against_the_best_peer(results: dict[str, Any]) -> None:
    text = report.markdown(results)
    assert "| ResNet-50 224 | 12.00 | 20.00 | 16.00 | **0.75** |" in text
    assert "| ResNet-50 224 | 2.00 | 1.00 | 1.00 |" in text  # from one thread to two
    assert "ncnn float: pnnx is not installed (ResNet-50 224 at batch 1)" in text
    assert "| Quaver | 4.5 | 40.0 | 20.0 | 0.9 | 3.3 |" in text


def test_equal_instruction_sets_have_a_table_each(results: dict[str, Any]) -> None:
    results["held"] = {title: {"resnet50": _contest(1, 12)} for title in ("AVX2", "AVX-VNNI")}
    text = report.markdown(results)
    for title in results["held"]:
        held = text.partition(f"### {title}\n")[2].partition("###")[0]
        assert "| ResNet-50 224 | 12.00 | 16.00 | **0.75** |" in held


def test_kinds_are_set_against_their_like(results: dict[str, Any]) -> None:
    """Int8 against all peers, floats against floats; by rounds, not by the quotient of medians."""
    one = results["contests"][report.key("resnet50", 1, 1)]
    one["results"] |= {
        "quaver float": _one(30.0),
        "quaver float (bf16)": _one(15.0, 12.0, 15.0, 30.0),
        "openvino float (bf16)": _one(10.0, 10.0, 10.0, 40.0),
        "onnxruntime float": _one(40.0),
    }
    header, _, row = report._contests(results["contests"], 1, 1).splitlines()
    assert header.endswith("| int8 / best | float / best |")
    assert row.endswith("| **1.20** | **1.20** |")


def test_readme_part_is_replaced(results: dict[str, Any], tmp_path: Path) -> None:
    page = tmp_path / "README.md"
    page.write_text(f"before\n{report.BEGIN}\nold\n{report.END}\nafter\n")
    for _ in range(2):
        report.put_into(page, report.readme(results))
    text = page.read_text()
    assert text.startswith(f"before\n{report.BEGIN}\n")
    assert text.endswith(f"{report.END}\nafter\n")
    assert "old" not in text
    assert text.count("ResNet-50 224") == 1
    page.write_text("no marks")
    with pytest.raises(ValueError, match="has no lines"):
        report.put_into(page, "")


def test_project_readme_has_the_marks() -> None:
    text = (Path(__file__).parents[2] / "README.md").read_text()
    assert text.index(report.BEGIN) < text.index(report.END)


def test_profile_has_a_table_and_a_picture(tmp_path: Path) -> None:
    def node(kernel: str, macs: int, milliseconds: float) -> dict[str, Any]:
        return {
            "node": kernel,
            "op": "Conv",
            "kernel": kernel,
            "outputs": [{"shape": [1, 8, 8, 16]}],
            "macs": macs,
            "bytes": 2048,
            "weight_bytes": 512,
            "ms": milliseconds,
            "macs_per_s": macs / milliseconds * 1e3,
            "of_peak": 0.5 if macs else 0.25,
            "peak": "macs" if macs else "copy",
        }

    nodes = [node("gemm_u8_x", 10**6, 0.02), node("depthwise_u8_x", 10**5, 0.01)]
    nodes.append(node("copy", 0, 0.03))
    facts = {
        "isa": "avx2",
        "nodes": nodes,
        "totals": {"ms": 0.06, "macs": 1_100_000},
        "peak_macs": 1e11,
        "copy": {"262144": 5e10, "67108864": 1e10},
    }
    kinds = profiles.by_kind(facts)
    assert [kind["kind"] for kind in kinds] == [
        "other",
        "convolution, product (int8)",
        "depthwise (int8)",
    ]
    assert kinds[0]["of_peak"] is None
    assert kinds[1]["of_peak"] == pytest.approx(0.5)
    lines = profiles.markdown("net", facts).splitlines()
    assert "| copy | Conv | copy | 1×8×8×16 |  | 0.030 | 50.0% | 25% of a copy |" in lines
    profiles.picture("net", facts, tmp_path / "net.png")
    assert (tmp_path / "net.png").read_bytes().startswith(b"\x89PNG")


def test_profiles_are_of_our_own_int8_version(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = tmp_path / "small.quaver"
    quaver.load(small.network(), threads=1).save(path, packed=True)

    def compiled_file(network: str, batch: int, suffix: str) -> Path:
        assert network in NETWORKS
        assert (batch, suffix) == (1, "-int8-quaver")
        return path

    monkeypatch.setattr(models, "compiled_file", compiled_file)
    facts = profiles.measure("resnet50")
    assert facts["nodes"]
    assert profiles.markdown("resnet50", facts).startswith("# resnet50")
