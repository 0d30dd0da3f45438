"""English sentences and words: those of Python's own reference, which comes with Python."""

from __future__ import annotations

import re
from functools import cache
from pydoc_data.topics import topics

import numpy as np

_SENTENCE = re.compile(r"(?<=[.!?])\s+(?=[A-Z])")


@cache
def sentences(part: int) -> tuple[str, ...]:
    """Sentences of 4 to 25 words, of every second topic of the reference from `part` on."""
    found: list[str] = []
    for name in sorted(topics)[part::2]:
        plain = re.sub(r"[*`_|\\=+~#-]{2,}|[*`]", "", topics[name])
        for block in re.split(r"\n\s*\n", plain):
            parts = _SENTENCE.split(" ".join(block.split()))
            found += [s for s in parts if 4 <= len(s.split()) <= 25 and s.endswith(".")]
    return tuple(dict.fromkeys(found))


@cache
def words(part: int) -> tuple[str, ...]:
    """The words of these sentences, with the marks on them."""
    found = (word for line in sentences(part) for word in line.split())
    return tuple(dict.fromkeys(word for word in found if word.isascii()))


def line(generator: np.random.Generator, part: int, longest: int) -> str:
    """Draw words, and now and then a number, for one line of text of at most this many letters."""
    known = words(part)
    drawn = ""
    while True:
        word = (
            f"{generator.integers(0, 100_000)}"
            if generator.random() < 0.15
            else known[int(generator.integers(len(known)))]
        )
        if len(drawn) + len(word) + 1 > longest:
            return drawn or word[:longest]
        drawn = f"{drawn} {word}".strip()
