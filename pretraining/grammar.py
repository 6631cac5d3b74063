"""Small text tools: templates with alternatives, and a person who acts."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from pretraining.words import NOUNS, WORDS, read_dialect

_INNERMOST = re.compile(r"\[([^\[\]]*)\]")
_SLOT = re.compile(r"<(\w+)>")


def say(rng: Random, template: str, **slots: str) -> str:
    """Expand ``[this|that]`` to one alternative and ``<name>`` to its slot; alternatives nest."""
    while "[" in template:
        template = _INNERMOST.sub(lambda match: rng.choice(match.group(1).split("|")), template, count=1)
    while "<" in template:
        template = _SLOT.sub(lambda match: slots[match.group(1)], template)
    return template


def sentence(text: str) -> str:
    """Return the text with a capital first letter and a full stop."""
    text = text.strip()
    text = text[:1].upper() + text[1:]
    return text if text[-1] in ".!?:" else text + "."


def instructions(rng: Random, steps: Sequence[str]) -> str:
    """Return the steps of a recipe or a how-to, numbered or told one after the other."""
    if rng.random() < 0.5:
        return " ".join(f"{number}. {sentence(step)}" for number, step in enumerate(steps, 1))
    leads = ("", "then ", "next, ", "after that, ", "now ")
    return " ".join(
        sentence(("first, " if number == 0 else rng.choice(leads)) + step) for number, step in enumerate(steps)
    )


def sentences(name: str) -> dict[str, Any]:
    """Return the templates of a file of the dialect by name; a list of alternatives as one template."""
    return {key: _template(value) for key, value in read_dialect(name).items()}


def _template(value: str | list[Any]) -> str | list[Any]:
    if isinstance(value, str):
        return value
    if any(isinstance(line, list) for line in value):  # several lines, each a template
        return [_template(line) for line in value]
    return f"[{'|'.join(value)}]"


def weighted(rng: Random, table: dict[str, float]) -> str:
    """Return one key, drawn by weight."""
    return rng.choices(tuple(table), tuple(table.values()))[0]


def draw_verbs(rng: Random, place: str) -> dict[str, str]:
    """Return the verbs that a document keeps, by action: drawn by weight from a table, alike from a list."""
    verbs = WORDS["verbs"][place].items()
    return {key: weighted(rng, table) if isinstance(table, dict) else rng.choice(table) for key, table in verbs}


@dataclass(frozen=True)
class Person:
    """Who acts: the forms that templates need.  ``third`` says whether verbs take an -s."""

    name: str
    pronoun: str
    be: str
    have: str
    possessive: str
    object: str
    third: bool

    def slots(self) -> dict[str, str]:
        """Return template slots: S name, s pronoun, your, you (object), verbs, es and x (verb endings)."""
        return {
            "S": self.name,
            "s": self.pronoun,
            "are": self.be,
            "have": self.have,
            "your": self.possessive,
            "you": self.object,
            "do": "does" if self.third else "do",
            "carry": "carries" if self.third else "carry",
            "x": "s" if self.third else "",
            "es": "es" if self.third else "",
            "was": "were" if self.be == "are" else "was",
        }


YOU = Person("you", "you", "are", "have", "your", "you", False)
I = Person("I", "I", "am", "have", "my", "me", False)  # noqa: E741 - the pronoun


def third_person(rng: Random) -> Person:
    """Return a named person."""
    if rng.random() < 0.5:
        return Person(rng.choice(NOUNS.she), "she", "is", "has", "her", "her", True)
    return Person(rng.choice(NOUNS.he), "he", "is", "has", "his", "him", True)


def anyone(rng: Random) -> Person:
    """Return you (half of the time), I, or a named person."""
    draw = rng.random()
    return YOU if draw < 0.5 else I if draw < 0.62 else third_person(rng)


def past(phrase: str) -> str:
    """Return an action phrase in the past tense (its first one to three words are a known verb)."""
    words = phrase.split(" ")
    for length in (4, 3, 2, 1):
        verb = " ".join(words[:length])
        if verb in WORDS["past"]:
            return " ".join([WORDS["past"][verb], *words[length:]])
    raise KeyError(phrase)
