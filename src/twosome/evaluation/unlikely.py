"""Phrases that a model would hardly ever say, where they are the best that can be done: words to choose anew."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from twosome.decision import Decision
from twosome.evaluation.phrases import PhraseScores, ScoredPolicy
from twosome.principles.faults import Fault
from twosome.principles.walking import Seen

SHARE = 0.1
"""A phrase is hardly ever said if it never has so much of the probability that uniform play would give it."""

READ = 3
"""Decisions that are read for each phrase, drawn by lot: one in which it is likely is enough to let it go."""


def unlikely_phrases(phrases: PhraseScores, walked: Sequence[Seen], seed: int) -> Iterator[Fault]:
    """Yield the phrases that a model would hardly ever say.

    By their joint probability among the phrases of the decision, whatever a run divides it by: this is what the model
    would say. Where the best actions are known, decisions count in which the phrase is the only best one; if there are
    none, those in which it is one of several, which count together. Elsewhere all decisions count that offer it, and
    what is found is a note only.

    Args:
        phrases: The model.
        walked: The decisions of the task, all valid.
        seed: Which decisions are read, where a phrase has more than :data:`READ`.
    """
    known = any(seen.best for seen in walked)
    drawn = _drawn(walked, known, seed)
    policy = ScoredPolicy(phrases, "sum")
    phrases.read([case.decision for cases in drawn.values() for case in cases])
    for phrase, cases in drawn.items():
        found = [_Likelihood.of(policy, case) for case in cases]
        most = max(found, key=lambda likelihood: likelihood.share)
        if most.share < SHARE:
            count = f"{len(cases)} decision{'' if len(cases) == 1 else 's'}"
            told = f"at most {most.probability:.1e} in {count} {'where it is best' if known else 'that offer it'}"
            advice = "reword it" if known else "reword it, if it ever is the best to do"
            message = f"the model would hardly ever say {phrase!r}: {told}; {advice}"
            example = f"{most.favourite!r} is likelier after {most.decision.prompt!r}"
            yield Fault("likely", "warning" if known else "note", message, example)


class _Case(NamedTuple):
    """A decision, and the phrases of it that are judged together."""

    decision: Decision
    phrases: frozenset[str]


@dataclass(frozen=True)
class _Likelihood:
    """How likely the phrases of a case are, beside uniform play and beside the likeliest."""

    decision: Decision
    probability: float
    share: float
    favourite: str

    @classmethod
    def of(cls, policy: ScoredPolicy, case: _Case) -> _Likelihood:
        actions = case.decision.actions
        row = policy.action_log_probs([case.decision])[0].exp()
        probability = sum(float(row[actions.index(phrase)]) for phrase in case.phrases)
        share = probability * len(actions) / len(case.phrases)
        return cls(case.decision, probability, share, actions[int(row.argmax())])


def _drawn(walked: Sequence[Seen], known: bool, seed: int) -> dict[str, list[_Case]]:
    """Of every phrase some of the decisions that count, drawn by lot."""
    met: dict[str, dict[_Case, None]] = {}
    for seen in walked:
        decision = Decision(seen.prompt, seen.actions)
        for phrase in sorted(seen.best or ()) if known else seen.actions:
            judged = seen.best if known and seen.best else frozenset([phrase])
            met.setdefault(phrase, {})[_Case(decision, judged)] = None
    lots, drawn = random.Random(seed), {}
    for phrase, cases in met.items():
        counting = [case for case in cases if len(case.phrases) == 1] or list(cases)
        drawn[phrase] = lots.sample(counting, min(READ, len(counting)))
    return drawn
