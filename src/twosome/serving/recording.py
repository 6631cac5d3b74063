"""Answers that are recorded, so that the agent can learn from what came of them; and actions that are drawn."""

from __future__ import annotations

import hashlib
import math
import time
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

from twosome.deciding.judgement import Judgement
from twosome.errors import RunError
from twosome.formats.questions import Question
from twosome.formats.refusals import Refusal
from twosome.journal.records import Identity, Recorded
from twosome.journal.writing import JournalWriter


@dataclass(frozen=True)
class Answered:
    """A request that was answered, for whoever wants to learn from it.

    Attributes:
        id: Of the request, as the client was told.
        agent: Name of the agent.
        questions: What was asked.
        judgements: What was answered, in the same order.
        sampled: Which action was drawn for each, in the same order; None where none was.
    """

    id: str
    agent: str
    questions: tuple[Question, ...]
    judgements: tuple[Judgement, ...]
    sampled: tuple[int | None, ...] = ()


@dataclass(frozen=True)
class Sampling:
    """Draws an action for every decision by its probabilities, so that others than the best are tried, too.

    Attributes:
        seed: With the decision's name it decides the draw: who knows both can draw again.
    """

    seed: int = 0

    def draw(self, identity: str, probabilities: Sequence[float]) -> int:
        """The index of an action: the same for the same seed, name and probabilities."""
        digest = hashlib.sha256(f"{self.seed}:{identity}".encode()).digest()
        uniform = int.from_bytes(digest[:8]) / 2**64
        cumulative = list(accumulate(probabilities))
        # Scaled by the sum, so that a draw stays below it where rounding left it under 1.
        drawn = bisect_right(cumulative, uniform * cumulative[-1])
        possible = [index for index, probability in enumerate(probabilities) if probability > 0]
        return min(drawn, possible[-1])


def named(request: str, number: int) -> str:
    """The name of a decision: that of its request, and the number of the question, from 0."""
    return f"{request}:{number}"


def told(answered: Answered, *, recorded: bool) -> list[dict[str, Any]]:
    """What each answer of a request says besides: the decision's name if it is recorded, and what was drawn."""
    found: list[dict[str, Any]] = []
    for number, judgement in enumerate(answered.judgements):
        more: dict[str, Any] = {"x_decision": named(answered.id, number)} if recorded else {}
        drawn = answered.sampled[number] if answered.sampled else None
        if drawn is not None:
            more["x_action"] = judgement.decision.actions[drawn]
            more["x_propensity"] = judgement.probabilities[drawn]
        found.append(more)
    return found


@dataclass(frozen=True)
class Recording:
    """Writes every answer into a journal, before it is sent.

    Attributes:
        journal: Where to.
        identities: Which policy each agent is, by the agent's name.
    """

    journal: JournalWriter
    identities: Mapping[str, Identity]

    def __call__(self, answered: Answered) -> None:
        """Record an answer.

        Raises:
            Refusal: If it cannot be: an action whose probability is not recorded cannot be learned from.
        """
        now, sampled = round(time.time(), 3), answered.sampled or (None,) * len(answered.judgements)
        lines = [
            Recorded(
                id=named(answered.id, number),
                time=now,
                agent=answered.agent,
                identity=self.identities[answered.agent],
                decision=judgement.decision,
                log_probs=log_probabilities(judgement),
                best=judgement.best,
                sampled=sampled[number],
            )
            for number, judgement in enumerate(answered.judgements)
        ]
        try:
            self.journal.decisions(lines)
        except RunError:
            raise Refusal(
                503, "the journal cannot be written, and nothing is answered that is not recorded; is the disk full?"
            ) from None


def log_probabilities(judgement: Judgement) -> tuple[float, ...]:
    """Log-probabilities in float64 of a judgement's actions; ``-inf`` where the probability is 0."""
    scaled = [logit / judgement.temperature for logit in judgement.logits]
    largest = max(scaled)
    total = math.log(math.fsum(math.exp(logit - largest) for logit in scaled))
    return tuple(logit - largest - total for logit in scaled)
