"""The texts that only the measurements use, held against a corpus: rewordings by n-grams, nouns by their number.

The rewordings are younger than the shipped corpus, so no document was dropped for their sake; this tells what it shares
with them all the same.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from pretraining import results
from pretraining.audit import LIMIT, overlap
from pretraining.controls import PAPER_TASKS
from pretraining.nouns import swaps
from pretraining.rewording import REWORDINGS
from pretraining.zero_shot import situations


def reworded_sentences() -> dict[str, list[str]]:
    """Return every prompt of the paper's tasks joined to each of its phrases, by rewording."""
    decisions = [decision for task in PAPER_TASKS for decision in situations(task).distinct]
    sentences = {}
    for wording in REWORDINGS:
        changed = [wording(decision) for decision in decisions]
        sentences[wording.name] = sorted({f"{new.prompt} {action}" for new in changed for action in new.actions})
    return sentences


def audit_texts(corpus: Path, out: Path = results.DIRECTORY) -> bool:
    """Write ``texts.json`` and return whether no document shares eight words with a reworded prompt."""
    rows = []
    for name, sentences in reworded_sentences().items():
        with corpus.open(encoding="utf-8") as file:
            rows += [{"rewording": name, **vars(row)} for row in overlap(sentences, file)]
    with corpus.open(encoding="utf-8") as file:
        counts, total = count_nouns(file)
    nouns = [{"group": group, "noun": noun, "documents": counts[noun]} for group, noun in _all_nouns()]
    results.store("texts", {"documents": total, "overlap": rows, "nouns": nouns}, out)
    return not any(row["documents"] for row in rows if row["length"] >= LIMIT)


def _all_nouns() -> Iterator[tuple[str, str]]:
    """Yield each noun once with its group, in the singular where the plural is only a task's."""
    pairs = ((swap.group, noun) for task in PAPER_TASKS for swap in swaps(task) for noun in swap.nouns.values())
    yield from dict.fromkeys(pairs)


def count_nouns(corpus: Iterable[str]) -> tuple[Counter[str], int]:
    """Return in how many documents each noun occurs, as a whole word, and the number of documents."""
    nouns = {noun for _, noun in _all_nouns()}
    pattern = re.compile(rf"\b(?:{'|'.join(sorted(map(re.escape, nouns), key=len, reverse=True))})\b", re.IGNORECASE)
    counts, total = Counter[str](), 0
    for text in corpus:
        total += 1
        counts.update({match.lower() for match in pattern.findall(text)})
    return counts, total


def summary(values: dict[str, Any]) -> str:
    """Return the overlap of each rewording in a line."""
    lines = []
    for name in dict.fromkeys(row["rewording"] for row in values["overlap"]):
        shares = [f"{row['length']}: {row['fraction']:.2%}" for row in values["overlap"] if row["rewording"] == name]
        lines.append(f"{name}: {', '.join(shares)}")
    return "\n".join(lines)
