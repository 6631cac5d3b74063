"""Compare a corpus with evaluation prompts: no document may share eight consecutive words with any of them."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

LIMIT = 8
_WORD = re.compile(r"[a-z0-9']+")


def words(text: str) -> list[str]:
    """Return the lower-case words of a text; punctuation does not separate n-grams (the stricter reading)."""
    return _WORD.findall(text.lower())


def ngrams(text: str, length: int) -> set[str]:
    """Return the word n-grams of a text."""
    tokens = words(text)
    return {" ".join(tokens[start : start + length]) for start in range(len(tokens) - length + 1)}


def ngram_hashes(prompts: Iterable[str], length: int = LIMIT) -> frozenset[int]:
    """Return the hashes of all n-grams of the prompts, for :func:`shares_ngram`."""
    return frozenset(zlib.crc32(gram.encode()) for prompt in prompts for gram in ngrams(prompt, length))


def shares_ngram(text: str, banned: frozenset[int], length: int = LIMIT) -> bool:
    """Return whether a text has a banned n-gram (a hash collision may say yes too often, never too seldom)."""
    return bool(banned) and any(zlib.crc32(gram.encode()) in banned for gram in ngrams(text, length))


@dataclass(frozen=True)
class Overlap:
    """How many documents share an n-gram of this length with any prompt, and one example."""

    length: int
    documents: int
    fraction: float
    example: str


def overlap(
    prompts: Sequence[str], corpus: Iterable[str], lengths: Sequence[int] = tuple(range(3, 13))
) -> list[Overlap]:
    """Return the overlap per n-gram length."""
    known = {length: set().union(*(ngrams(prompt, length) for prompt in prompts)) for length in lengths}
    counts, examples, total = dict.fromkeys(lengths, 0), dict.fromkeys(lengths, ""), 0
    for text in corpus:
        total += 1
        for length in lengths:
            shared = ngrams(text, length) & known[length]
            if not shared:
                break  # a longer common n-gram would contain a shorter one
            counts[length] += 1
            examples[length] = examples[length] or min(shared)
    return [Overlap(length, counts[length], counts[length] / max(total, 1), examples[length]) for length in lengths]


def read_prompts(path: Path) -> list[str]:
    """Return the prompts of a text file, one per line."""
    return [line.strip() for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
