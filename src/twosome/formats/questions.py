"""What both formats share: a question as a decision of an agent, and its answer in numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from twosome.deciding.judgement import Judgement
from twosome.decision import Decision
from twosome.errors import InvalidDecision
from twosome.formats.refusals import Place, Refusal

Kind = Literal["choice", "score", "noul"]

MOST_QUESTIONS = 512
MOST_OPTIONS = 255
MOST_LEVELS = 10
YES_NO = ("yes", "no")
"""What a yes-or-no question is answered with."""


@dataclass(frozen=True)
class Question:
    """One question of a request.

    Attributes:
        name: What the request calls it, or None.
        kind: choice of options, score of levels, or noul: yes or no.
        decision: Its prompt and phrases.
        labels: What each phrase is called in the answer.
        place: Where its phrases stand in the request.
        inverted: Whether the answer is the probability of no, as only the case for no was described.
        ignored: Parts of it that no model is shown.
    """

    name: str | None
    kind: Kind
    decision: Decision
    labels: tuple[Any, ...]
    place: Place
    inverted: bool = False
    ignored: tuple[str, ...] = ()


def ask(
    name: str | None,
    kind: Kind,
    state: str,
    instructions: str,
    phrases: Sequence[str],
    *,
    place: Place,
    status: int,
    labels: Sequence[Any] | None = None,
    inverted: bool = False,
    ignored: Sequence[str] = (),
) -> Question:
    """A question whose prompt is the state, a space, and the instructions; white space at the end of either is dropped.

    Raises:
        Refusal: If there is neither, or a phrase cannot be one.
    """
    prompt = " ".join(text for text in (state.rstrip(), instructions.rstrip()) if text)
    if not prompt.strip():
        raise Refusal(
            status,
            "there is nothing to decide about: state and instructions are empty; send a text in either",
            place[:-1],
            "missing",
        )
    for index, phrase in enumerate(phrases):
        if not phrase or phrase != phrase.strip():
            raise Refusal(
                status,
                f"{phrase[:60]!r} cannot be an option: it must be a text without white space around it",
                (*place, index if labels is None or kind != "choice" else phrase),
                "string_padded",
                phrase,
            )
    try:
        decision = Decision(prompt, tuple(phrases))
    except InvalidDecision as error:
        raise Refusal(status, str(error), place, "invalid_option") from None
    return Question(name, kind, decision, tuple(labels or phrases), place, inverted, tuple(ignored))


def choice_confidence(probabilities: Sequence[float]) -> float:
    """How far the largest probability is above that of a guess: 0 if they are equal, 1 if it is certain."""
    count = len(probabilities)
    return 1.0 if count == 1 else bounded((count * max(probabilities) - 1) / (count - 1))


def score_confidence(probabilities: Sequence[float]) -> float:
    """1 less the mean distance from the most probable level, in units of that of a guess from the middle."""
    count = len(probabilities)
    if count == 1:
        return 1.0
    likeliest = probabilities.index(max(probabilities))
    spread = math.fsum(abs(level - (count - 1) / 2) for level in range(count)) / count
    distance = math.fsum(p * abs(level - likeliest) for level, p in enumerate(probabilities))
    return bounded(1 - distance / spread)


def expected_level(probabilities: Sequence[float]) -> float:
    """The mean level, counted from 0."""
    mean = math.fsum(level * p for level, p in enumerate(probabilities))
    return min(max(mean, 0.0), float(len(probabilities) - 1))


def yes(question: Question, judgement: Judgement) -> float:
    """The probability that the answer is yes."""
    probability = judgement.probabilities[0]
    return bounded(1.0 - probability if question.inverted else probability)


def bounded(number: float) -> float:
    """The number within [0, 1], from which rounding may have taken it."""
    return min(max(number, 0.0), 1.0)


def extras(question: Question, judgement: Judgement, trained: bool) -> dict[str, Any]:
    """What we tell beyond either format, under names that begin with ``x_``."""
    told: dict[str, Any] = {
        "x_logits": {
            action: logit if math.isfinite(logit) else None
            for action, logit in zip(question.decision.actions, judgement.logits, strict=True)
        },
        "x_label_mass": judgement.label_mass,
        "x_trained": trained and question.kind == "choice",
    }
    if judgement.value is not None:
        told["x_value"] = judgement.value
    if judgement.cut_tokens:
        told["x_cut_tokens"] = judgement.cut_tokens
    if question.ignored:
        told["x_ignored"] = list(question.ignored)
    return told
