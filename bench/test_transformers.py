"""Transformers at several numbers of tokens, each runtime with the int8 model made for it."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from quaver import bench
from tables import record
from zoo import bert
from zoo import cache as zoo

ROUNDS, SECONDS = 7, 0.1
NETWORK = "minilm-l6"

# Runtime and model; a model named after a peer's own quantizer is made here.
CONTENDERS = [
    ("onnxruntime", ""),
    ("openvino", ""),
    ("onnxruntime", "-int8"),
    ("openvino", "-int8"),
    ("onnxruntime", "-int8-dynamic"),
    ("openvino", "nncf"),
]


def ids(tokens: int) -> dict[str, np.ndarray[Any, Any]]:
    """One sentence of so many tokens."""
    words = np.random.default_rng(0).integers(1000, 20000, (1, tokens))
    return {
        "input_ids": words,
        "attention_mask": np.ones_like(words),
        "token_type_ids": np.zeros_like(words),
    }


@cache
def nncf_model() -> Path:
    """What OpenVINO's own quantizer makes of the network, kept beside the zoo's models."""
    nncf, ov = pytest.importorskip("nncf"), pytest.importorskip("openvino")
    source = zoo.path(NETWORK)
    made = source.with_suffix(".nncf.xml")
    if not made.exists():
        samples = nncf.Dataset(bert.NETWORKS[NETWORK].calibration(1))
        model = ov.Core().read_model(source)
        ov.save_model(nncf.quantize(model, samples, model_type=nncf.ModelType.TRANSFORMER), made)
    return made


def path(suffix: str) -> str:
    return str(nncf_model() if suffix == "nncf" else zoo.path(NETWORK + suffix))


@pytest.mark.parametrize("tokens", [16, 128])
@pytest.mark.parametrize("model", ["", "-int8-quaver", "-int8-dynamic"])
def test_minilm(model: str, tokens: int) -> None:
    inputs = ids(tokens)
    contest = [bench.ours(path(model), inputs, 1)]
    contest += [bench.PEERS[runtime](path(suffix), inputs, 1) for runtime, suffix in CONTENDERS]
    (results,) = bench._interleave([contest], ROUNDS, SECONDS)
    names = [("quaver", model), *CONTENDERS]
    for (runtime, suffix), one in zip(names, results, strict=True):
        record(
            "transformers",
            f"{NETWORK}{suffix}, {tokens} tokens",
            "1",
            runtime,
            f"{one.median_ms:.2f}",
            f"{one.p10_ms:.2f}",
            "" if runtime == "quaver" else f"{one.ratio:.2f}",
        )
    assert results[0].median_ms > 0
