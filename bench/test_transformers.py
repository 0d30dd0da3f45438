"""Transformers at several numbers of tokens, each runtime with the int8 model made for it."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from quaver import bench
from tables import record
from zoo import bert, photos, vit
from zoo import cache as zoo

ROUNDS, SECONDS = 7, 0.1
Feed = dict[str, np.ndarray[Any, Any]]

#: Networks and tokens; pictures have as many as they have patches.
SIZES = [("minilm-l6", 16), ("minilm-l6", 128), ("bert-base", 128), ("vit-tiny", 196)]

# Runtime and model; a model named after a peer's own quantizer is made here.
CONTENDERS = [
    ("onnxruntime", ""),
    ("openvino", ""),
    ("onnxruntime", "-int8"),
    ("openvino", "-int8"),
    ("onnxruntime", "-int8-dynamic"),
    ("openvino", "nncf"),
]


def feed(network: str, tokens: int) -> Feed:
    """One sentence of so many tokens, or one picture."""
    if network not in bert.NETWORKS:
        return {"input": np.random.default_rng(0).normal(size=(1, 3, 224, 224)).astype(np.float32)}
    words = np.random.default_rng(0).integers(1000, 20000, (1, tokens))
    return {
        "input_ids": words,
        "attention_mask": np.ones_like(words),
        "token_type_ids": np.zeros_like(words),
    }


def calibration(network: str) -> list[Feed]:
    """What NNCF sees."""
    if network in bert.NETWORKS:
        return list(bert.NETWORKS[network].calibration(1))
    pictures = photos.random_crops(32, vit.NORMALIZATION, seed=1)
    return [{"input": picture[np.newaxis]} for picture in pictures]


@cache
def nncf_model(network: str) -> Path:
    """What OpenVINO's own quantizer makes of the network, kept beside the zoo's models."""
    nncf, ov = pytest.importorskip("nncf"), pytest.importorskip("openvino")
    source = zoo.path(network)
    made = source.with_suffix(".nncf.xml")
    if not made.exists():
        samples = nncf.Dataset(calibration(network))
        model = ov.Core().read_model(source)
        ov.save_model(nncf.quantize(model, samples, model_type=nncf.ModelType.TRANSFORMER), made)
    return made


def path(network: str, suffix: str) -> str:
    return str(nncf_model(network) if suffix == "nncf" else zoo.path(network + suffix))


@pytest.mark.parametrize(("network", "tokens"), SIZES)
@pytest.mark.parametrize("model", ["", "-int8-quaver", "-int8-dynamic"])
def test_transformer(network: str, tokens: int, model: str) -> None:
    inputs = feed(network, tokens)
    contest = [bench.ours(path(network, model), inputs, 1)]
    contest += [bench.PEERS[runtime](path(network, s), inputs, 1) for runtime, s in CONTENDERS]
    (results,) = bench._interleave([contest], ROUNDS, SECONDS)
    names = [("quaver", model), *CONTENDERS]
    for (runtime, suffix), one in zip(names, results, strict=True):
        record(
            "transformers",
            f"{network}{suffix}, {tokens} tokens",
            "1",
            runtime,
            f"{one.median_ms:.2f}",
            f"{one.p10_ms:.2f}",
            "" if runtime == "quaver" else f"{one.ratio:.2f}",
        )
    assert results[0].median_ms > 0
