"""Mix the documents, keep the hold-outs, and write the corpus: one document per line.

Every document has a generator of its own, seeded from the corpus seed and the document's number, so any part of a
corpus can be made again alone and the same seed always gives the same bytes.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random

from pretraining import household_words, kitchen_words, prose
from pretraining.audit import shares_ngram
from pretraining.words import ABSENT_PATTERN, OUT_OF_PROCEDURES_PATTERN, PROCEDURE_WORDS

Writer = Callable[[Random, bool], str]


@dataclass(frozen=True)
class Family:
    """One kind of document: its share, who writes it, and whether it states a situation and then a next step."""

    name: str
    share: float
    write: Writer
    next_step: bool = False


FAMILIES = (
    Family("kitchen_next_step", 23, kitchen_words.next_step, True),
    Family("household_next_step", 16, household_words.next_step, True),
    Family("kitchen_story", 8, kitchen_words.story),
    Family("household_story", 8, household_words.story),
    Family("kitchen_questions", 9, kitchen_words.questions),
    Family("household_questions", 7, household_words.questions),
    Family("recipe", 5, kitchen_words.recipe),
    Family("howto", 4, household_words.howto),
    Family("facts", 6, prose.facts),
    Family("small_talk", 4, prose.small_talk),
    Family("soup", 3, prose.soup),
    Family("shopping", 3, prose.shopping),
    Family("copying", 4, prose.copying),
)
INVENTED_SHARE = 0.32
MAX_CHARACTERS = 900


class HoldOutError(AssertionError):
    """A document broke a hold-out; the generator is wrong, not the draw."""


def check_hold_outs(text: str) -> None:
    """Raise if a document uses an absent word, or handles a vegetable that is held out of procedures."""
    if match := ABSENT_PATTERN.search(text):
        raise HoldOutError(f"{match.group()!r} must not occur: {text}")
    if OUT_OF_PROCEDURES_PATTERN.search(text) and (match := PROCEDURE_WORDS.search(text)):
        raise HoldOutError(f"{match.group()!r} must not stand beside a held-out food: {text}")


def document(seed: int, number: int, banned: frozenset[int] = frozenset()) -> tuple[str, str]:
    """Return (family name, text) of one document.

    Args:
        seed: Of the corpus.
        number: Of the document within it.
        banned: Hashes of word n-grams that no document may contain (see :mod:`pretraining.audit`).
    """
    for attempt in range(100):
        rng = Random(f"{seed}/{number}/{attempt}")
        family = rng.choices(FAMILIES, [family.share for family in FAMILIES])[0]
        text = " ".join(family.write(rng, rng.random() < INVENTED_SHARE).split())
        if len(text) > MAX_CHARACTERS or shares_ngram(text, banned):
            continue
        try:
            check_hold_outs(text)
        except HoldOutError:
            if family.name not in ("facts", "small_talk", "soup", "shopping", "copying"):
                raise
            continue
        return family.name, text
    raise RuntimeError(f"no document {number} of seed {seed} passed in 100 attempts; the ban list is too wide")


def documents(seed: int, count: int, banned: frozenset[int] = frozenset()) -> Iterator[tuple[str, str]]:
    """Yield the first documents of a corpus."""
    for number in range(count):
        yield document(seed, number, banned)


def write_corpus(path: Path, seed: int, count: int, banned: frozenset[int] = frozenset()) -> dict[str, object]:
    """Write a corpus and its facts (``<path>.json``: seed, hash, counts); return the facts."""
    path.parent.mkdir(parents=True, exist_ok=True)
    digest, counts, characters, began = hashlib.sha256(), Counter[str](), 0, time.monotonic()
    partial = path.with_suffix(".partial")
    with partial.open("w", encoding="utf-8", newline="\n") as file:
        for number, (name, text) in enumerate(documents(seed, count, banned)):
            line = text + "\n"
            file.write(line)
            digest.update(line.encode())
            counts[name] += 1
            characters += len(line)
            if number % 20_000 == 19_999:
                rate = (number + 1) / (time.monotonic() - began)
                print(
                    f"{number + 1:,} of {count:,} documents, {rate:,.0f}/s, {(count - number) / rate:,.0f} s left",
                    flush=True,
                )
    partial.replace(path)
    report: dict[str, object] = {
        "seed": seed,
        "documents": count,
        "characters": characters,
        "sha256": digest.hexdigest(),
        "banned_ngrams": len(banned),
        "families": dict(sorted(counts.items())),
    }
    path.with_suffix(".json").write_text(json.dumps(report, indent=2) + "\n")
    return report
