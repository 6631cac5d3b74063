"""Phrases that a model would hardly ever say, where they are the best that can be done: words to choose anew."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from twosome.decision import Decision
from twosome.evaluation.phrases import PhraseScores, ScoredPolicy
from twosome.text.faults import Fault
from twosome.text.walking import Seen

SHARE = 0.1
"""A phrase is hardly ever said if it never has so much of the probability that uniform play would give it."""

READ = 3
"""Decisions that are read for each phrase, drawn by lot: one in which it is likely is enough to let it go."""


def unlikely_phrases(phrases: PhraseScores, walked: Sequence[Seen], seed: int) -> Iterator[Fault]:
    """Yield the phrases that a model would hardly ever say.

    By their joint probability among the phrases of the decision, whatever a run divides it by: this is what the model
    would say. Where the best actions are known, decisions count in which the phrase is the best or among them;
    elsewhere all that offer it, and what is found is a note only.

    Args:
        phrases: The model.
        walked: The decisions of the task, all valid.
        seed: Which decisions are read, where a phrase has more than :data:`READ`.
    """
    known = any(seen.best for seen in walked)
    drawn = _drawn(walked, known, seed)
    policy = ScoredPolicy(phrases, "sum")
    phrases.read([decision for _, where in drawn for decision in where])
    for phrase, where in drawn:
        found = [_Likelihood.of(policy, decision, phrase) for decision in where]
        most = max(found, key=lambda likelihood: likelihood.share)
        if most.share < SHARE:
            count = f"{len(where)} decision{'' if len(where) == 1 else 's'}"
            told = f"at most {most.probability:.1e} in {count} {'where it is best' if known else 'that offer it'}"
            advice = "reword it" if known else "reword it, if it ever is the best to do"
            message = f"the model would hardly ever say {phrase!r}: {told}; {advice}"
            example = f"{most.favourite!r} is likelier after {most.decision.prompt!r}"
            yield Fault("likely", "warning" if known else "note", message, example)


@dataclass(frozen=True)
class _Likelihood:
    """How likely a phrase is in a decision, beside uniform play and beside the likeliest."""

    decision: Decision
    probability: float
    share: float
    favourite: str

    @classmethod
    def of(cls, policy: ScoredPolicy, decision: Decision, phrase: str) -> _Likelihood:
        row = policy.action_log_probs([decision])[0].exp()
        probability = float(row[decision.actions.index(phrase)])
        favourite = decision.actions[int(row.argmax())]
        return cls(decision, probability, probability * len(decision.actions), favourite)


def _drawn(walked: Sequence[Seen], known: bool, seed: int) -> list[tuple[str, list[Decision]]]:
    """Of every phrase some of the decisions that count, drawn by lot."""
    where: dict[str, dict[Decision, None]] = {}
    for seen in walked:
        decision = Decision(seen.prompt, seen.actions)
        for phrase in sorted(seen.best or ()) if known else seen.actions:
            where.setdefault(phrase, {})[decision] = None
    lots = random.Random(seed)
    return [(phrase, lots.sample(list(found), min(READ, len(found)))) for phrase, found in where.items()]
