"""Small text tools: templates with alternatives, and a person who acts."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from pretraining.words import HE, SHE

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


def weighted(rng: Random, table: dict[str, float]) -> str:
    """Return one key, drawn by weight."""
    return rng.choices(tuple(table), tuple(table.values()))[0]


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
        """Return template slots: S name, s pronoun, are, have, your, you (object), es and x (verb endings)."""
        return {
            "S": self.name,
            "s": self.pronoun,
            "are": self.be,
            "have": self.have,
            "your": self.possessive,
            "you": self.object,
            "x": "s" if self.third else "",
            "es": "es" if self.third else "",
            "was": "were" if self.be == "are" else "was",
        }


YOU = Person("you", "you", "are", "have", "your", "you", False)
I = Person("I", "I", "am", "have", "my", "me", False)  # noqa: E741 - the pronoun


def third_person(rng: Random) -> Person:
    """Return a named person."""
    if rng.random() < 0.5:
        return Person(rng.choice(SHE), "she", "is", "has", "her", "her", True)
    return Person(rng.choice(HE), "he", "is", "has", "his", "him", True)


def anyone(rng: Random) -> Person:
    """Return you (half of the time), I, or a named person."""
    draw = rng.random()
    return YOU if draw < 0.5 else I if draw < 0.62 else third_person(rng)


PAST = {
    "pick up": "picked up", "take": "took", "grab": "grabbed", "get": "got", "fetch": "fetched",
    "collect": "collected", "lift": "lifted", "put": "put", "place": "placed", "set": "set", "lay": "laid",
    "drop": "dropped", "walk to": "walked to", "go to": "went to", "go over to": "went over to",
    "move to": "moved to", "return to": "returned to", "head to": "headed to", "step up to": "stepped up to",
    "serve": "served", "bring": "brought", "deliver": "delivered", "hand over": "handed over", "chop": "chopped",
    "slice": "sliced", "dice": "diced", "cut": "cut", "mince": "minced", "shred": "shredded", "peel": "peeled",
    "grate": "grated", "mash": "mashed", "cube": "cubed", "crush": "crushed", "open": "opened", "close": "closed",
    "shut": "shut", "turn on": "turned on", "switch on": "switched on", "turn off": "turned off",
    "switch off": "switched off", "sit on": "sat on", "sit down on": "sat down on",
    "take a seat on": "took a seat on", "stand up from": "stood up from", "get up from": "got up from",
    "rise from": "rose from", "wash": "washed", "look for": "looked for", "wait": "waited", "do": "did",
    "pull open": "pulled open", "stop": "stopped", "start": "started",
}  # fmt: skip


def past(phrase: str) -> str:
    """Return an action phrase in the past tense (its first one to three words are a known verb)."""
    words = phrase.split(" ")
    for length in (4, 3, 2, 1):
        verb = " ".join(words[:length])
        if verb in PAST:
            return " ".join([PAST[verb], *words[length:]])
    raise KeyError(phrase)
