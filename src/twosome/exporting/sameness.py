"""Whether what was written scores as the agent does: log-probabilities of phrases of its own task, token by token."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import torch

from twosome.baselines import UniformPolicy
from twosome.decision import Decision
from twosome.errors import ModelError
from twosome.models.policy import LanguageModelPolicy
from twosome.rollout import Collector
from twosome.text.tasks import make_vector_task
from twosome.types import ActionScores

COMPARED = 24
"""Decisions that are compared."""
_ENVIRONMENTS, _STEPS = 4, 24


@dataclass(frozen=True)
class Sameness:
    """How far two models' log-probabilities are apart.

    Attributes:
        decisions: How many decisions were compared.
        tokens: How many tokens of their phrases.
        largest: Largest difference of a token's log-probability, in nats.
        mean: Mean difference.
        probability: Largest difference of an action's probability, under the agent's normalization and temperature.
    """

    decisions: int
    tokens: int
    largest: float
    mean: float
    probability: float

    def sentence(self) -> str:
        """The same for people."""
        return (
            f"{self.decisions} decisions, {self.tokens} tokens: log-probabilities differ by {self.largest:.1e} nats at "
            f"most, {self.mean:.1e} on average; probabilities of actions by {self.probability:.1e} at most"
        )


@dataclass(frozen=True)
class Scored:
    """What a policy makes of some decisions: log-probabilities of tokens, and probabilities of actions."""

    scores: ActionScores
    probabilities: torch.Tensor


def decisions_met(task: str, environment: Mapping[str, Any], count: int = COMPARED) -> list[Decision]:
    """Different decisions that uniform play meets in a task, spread over its episodes."""
    with closing(make_vector_task(task, _ENVIRONMENTS, arguments=environment)) as envs:
        collector = Collector(envs, seed=0, generator=torch.Generator().manual_seed(0))
        rollout, _ = collector.collect(UniformPolicy(), _STEPS)
    met = list(dict.fromkeys(rollout.flat_decisions))
    return [met[index * len(met) // count] for index in range(count)] if len(met) > count else met


def scored(policy: LanguageModelPolicy, decisions: Sequence[Decision]) -> Scored:
    """What a policy makes of decisions, without gradient."""
    with torch.no_grad():
        return Scored(policy.scorer.scores(decisions), policy.action_log_probs(decisions).exp())


def compare(agent: Scored, other: Scored) -> Sameness:
    """How far another model is from the agent.

    Raises:
        ModelError: If it takes phrases apart into other tokens.
    """
    mask = agent.scores.token_mask
    if not torch.equal(mask, other.scores.token_mask):
        raise ModelError(
            "what was written takes phrases apart into other tokens than the agent does, so it is another model; "
            "its tokenizer did not survive"
        )
    apart = (agent.scores.token_log_probs - other.scores.token_log_probs)[mask].double().abs()
    return Sameness(
        decisions=len(agent.scores.decisions),
        tokens=int(mask.sum()),
        largest=float(apart.max()),
        mean=float(apart.mean()),
        probability=float((agent.probabilities - other.probabilities).abs().max()),
    )
