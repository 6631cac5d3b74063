"""The vocabulary of the corpus: real nouns and names (``dialect/words.toml``), invented nouns, and what is held out.

The hold-outs are fixed here, before any training.  ``ABSENT`` words occur nowhere in the corpus; ``OUT_OF_PROCEDURES``
words occur only where nobody handles anything (facts, soup, shopping), never next to ``PROCEDURE_WORDS``.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any

# fmt: off
OUT_OF_PROCEDURES = ("tomato", "lettuce", "onion")
# Whole words, singular or plural.  "apple" and "pie" go one by one, so that neither half of "apple pie" is known; the
# last line is the family of washing things in a machine.
ABSENT = (
    "pancake", "cheese", "hamburger", "burger", "apple", "pie", "pizza",
    "clothes", "clothing", "laundry", "washing machine", "washer", "dishwasher", "detergent",
)
ABSENT_PATTERN = re.compile(r"\b(?:" + "|".join(ABSENT) + r")s?\b|pancake|dishwash|cheese|burger", re.IGNORECASE)
OUT_OF_PROCEDURES_PATTERN = re.compile(r"\b(?:tomato(?:es)?|lettuces?|onions?)\b", re.IGNORECASE)
PROCEDURE_WORDS = re.compile(
    r"\b(?:chop|slic|dic(?:e|ing)|cut|minc|shred|grat(?:e|ing)|cub(?:e|ing)|board|serv|bowl|dish|knife|plate|grab|pick)\w*",
    re.IGNORECASE,
)

# Parts no invented noun may have, so that none comes near a held-out word.
FORBIDDEN_PARTS = (
    "tomat", "lettuc", "onion", "pancak", "chees", "burger", "appl", "pizz", "pie", "cloth", "laundr", "wash",
)
# fmt: on


def read_dialect(name: str) -> dict[str, Any]:
    """Return a file of the dialect that the corpus is written in."""
    return tomllib.loads((Path(__file__).with_name("dialect") / f"{name}.toml").read_text(encoding="utf-8"))


WORDS = read_dialect("words")
NOUNS = SimpleNamespace(**{group: tuple(nouns) for group, nouns in WORDS["nouns"].items()})
"""Tuples of nouns by what they are for: foods, rooms, things."""

_SYLLABLES = WORDS["invented"]
_THINGS = NOUNS.foods + NOUNS.meals + NOUNS.things
_SHORT = tuple(word for word in _THINGS if len(word) <= 5 and " " not in word and word not in NOUNS.plural)
_KNOWN = {*_THINGS, *NOUNS.bowls, *NOUNS.boards, *NOUNS.places, *NOUNS.rooms, *NOUNS.animals, "bowl", "sofa", "tv"}


def invented(rng: Random) -> str:
    """Return a noun that (almost surely) no other document has: copying it is the only way to know it."""

    def syllable() -> str:
        return "".join(rng.choice(_SYLLABLES[part]) for part in ("onsets", "vowels", "codas"))

    while True:
        kind = rng.random()
        if kind < 0.7:
            word = "".join(syllable() for _ in range(rng.choice((1, 2, 2, 2, 3))))
        elif kind < 0.85:
            word = rng.choice(_SHORT) + rng.choice(_SYLLABLES["endings"])
        else:
            word = syllable() + rng.choice(_SYLLABLES["endings"])
        if 3 <= len(word) <= 12 and not any(part in word for part in FORBIDDEN_PARTS) and word not in _KNOWN:
            return word


def a(noun: str) -> str:
    """Return the noun with its indefinite article (or "some")."""
    if noun in NOUNS.plural or noun in NOUNS.mass:
        return f"some {noun}"
    return f"an {noun}" if noun[0] in "aeiou" and not noun.startswith("uti") else f"a {noun}"


def are(noun: str) -> str:
    """Return the form of "to be" that follows the noun."""
    return "are" if noun in NOUNS.plural else "is"


def listed(items: list[str], last: str = "and") -> str:
    """Return "x", "x and y" or "x, y and z"."""
    if len(items) < 2:
        return "".join(items)
    return ", ".join(items[:-1]) + f" {last} " + items[-1]


def distinct(rng: Random, count: int, draw: object) -> list[str]:
    """Return ``count`` different words from a drawing function."""
    words: list[str] = []
    while len(words) < count:
        word = draw(rng)  # type: ignore[operator]
        if all(word not in other and other not in word for other in words):
            words.append(word)
    return words
