"""Which decisions of a journal can be learned from, and why the others cannot."""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from dataclasses import dataclass

import torch
from torch.nn.utils.rnn import pad_sequence

from twosome.errors import RunError
from twosome.hindsight.logged import Logged
from twosome.journal.reading import Contents
from twosome.journal.records import EXPLORED, Outcome, Recorded

WAITING = "have no outcome yet"
OTHER = "were made by another agent"
GREEDY = "were the most probable action, taken because it was"
OWN = "were chosen by the client for reasons of its own"
FORCED = "had one option only"
_WHY = {
    WAITING: "post outcomes to /v1/outcomes, and learn when they have come",
    OTHER: "name the agent that was served (run, adapter, --model, --normalization)",
    GREEDY: "an action that is taken with certainty says nothing about the others: serve with --sample and do x_action",
    OWN: "how probable those choices were is not known: do x_action, or draw by the probabilities and say drawn",
    FORCED: "there is nothing to learn where there is nothing to choose",
}
_SELECTED = 0.05
"""Share of decisions done otherwise than drawn, from which on the rest is called a selection."""


@dataclass(frozen=True)
class Source:
    """The agent that is to learn.

    Attributes:
        adapter: SHA-256 of its weights, None for an untrained model.
        normalization: How it scores phrases.
    """

    adapter: str | None
    normalization: str


@dataclass(frozen=True)
class Selection:
    """The decisions of a journal that an agent can learn from.

    Attributes:
        decided: With their outcomes, in the order in which they were answered.
        left_out: How many others there are, by the reason.
    """

    decided: tuple[tuple[Recorded, Outcome], ...]
    left_out: dict[str, int]

    @property
    def option_sets(self) -> int:
        """How many different sets of options they had."""
        return len({frozenset(recorded.decision.actions) for recorded, _ in self.decided})

    @property
    def doubts(self) -> list[str]:
        """Why what is left may be another sample of decisions than those that will come."""
        own, kept = self.left_out.get(OWN, 0), len(self.decided)
        if own <= _SELECTED * (own + kept):
            return []
        return [
            f"{own} of {own + kept} decisions were done otherwise than they were drawn; the others are a selection, "
            "and what they say of the agent need not hold"
        ]

    def logged(self) -> Logged:
        """The same as tensors."""
        rows = [torch.tensor(recorded.log_probs, dtype=torch.float32) for recorded, _ in self.decided]
        return Logged(
            decisions=[recorded.decision for recorded, _ in self.decided],
            actions=torch.tensor([outcome.action for _, outcome in self.decided]),
            recorded=pad_sequence(rows, batch_first=True, padding_value=-torch.inf),
            rewards=torch.tensor([outcome.reward for _, outcome in self.decided], dtype=torch.float32),
        )

    def split(self, share: float, seed: int) -> tuple[list[int], list[int]]:
        """The numbers of those to learn from, and of those held out: by their names, so that it can be done again.

        Raises:
            RunError: If one of both would be empty.
        """
        held_out = [number for number, (recorded, _) in enumerate(self.decided) if _lot(seed, recorded.id) < share]
        taken = set(held_out)
        learned = [number for number in range(len(self.decided)) if number not in taken]
        if len(held_out) < 2 or len(learned) < 2:
            raise RunError(
                f"{len(self.decided)} decisions are too few to learn from some and measure on others; serve longer"
            )
        return learned, held_out


def select(contents: Contents, source: Source) -> Selection:
    """The decisions of a journal that an agent made, explored in, and heard the outcome of.

    Raises:
        RunError: If there is none, with the most frequent reason.
    """
    decided: list[tuple[Recorded, Outcome]] = []
    left_out: Counter[str] = Counter()
    for recorded in contents.decisions.values():
        outcome = contents.outcomes.get(recorded.id)
        reason = _reason(recorded, outcome, source)
        if reason is None and outcome is not None:
            decided.append((recorded, outcome))
        elif reason is not None:
            left_out[reason] += 1
    if not decided:
        if not left_out:
            raise RunError("the journal holds no decision; serve with --record, and let the agent be asked")
        reason, count = left_out.most_common(1)[0]
        others = f" ({_others(contents, source)})" if reason == OTHER else ""
        raise RunError(
            f"nothing to learn from: {count} of {left_out.total()} decisions {reason}{others}; {_WHY[reason]}"
        )
    return Selection(tuple(decided), dict(left_out))


def _reason(recorded: Recorded, outcome: Outcome | None, source: Source) -> str | None:
    """Why a decision cannot be learned from; None if it can."""
    identity = recorded.identity
    if (identity.adapter, identity.normalization) != (source.adapter, source.normalization):
        return OTHER
    if len(recorded.decision.actions) == 1:
        return FORCED
    if outcome is None:
        return WAITING
    if outcome.chosen == "best":
        return GREEDY
    if outcome.chosen not in EXPLORED or not math.isfinite(recorded.log_probs[outcome.action]):
        return OWN
    return None


def _others(contents: Contents, source: Source) -> str:
    """What the agents of the journal are, against the one that is to learn."""
    seen = Counter((one.identity.adapter, one.identity.normalization) for one in contents.decisions.values())
    (adapter, normalization), _ = seen.most_common(1)[0]
    return (
        f"most by {_adapter(adapter)} under the normalisation {normalization}, this one is {_adapter(source.adapter)} "
        f"under {source.normalization}"
    )


def _adapter(digest: str | None) -> str:
    return "an untrained model" if digest is None else f"the weights {digest[:12]}"


def _lot(seed: int, name: str) -> float:
    """A number in [0, 1) that seed and name decide."""
    return int.from_bytes(hashlib.sha256(f"held out {seed}:{name}".encode()).digest()[:8]) / 2**64
