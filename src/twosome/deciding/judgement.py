"""What an agent makes of one decision, in plain numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from twosome.decision import Decision
from twosome.errors import NumericalError


@dataclass(frozen=True)
class Judgement:
    """What an agent makes of a decision. All tuples are in the order of the decision's actions.

    Attributes:
        decision: What was asked.
        logits: Of the policy, in float32: log-probabilities after its normalisation, before the softmax.
        log_probabilities: Joint log-probability in nats of each phrase after the prompt, whatever the normalisation.
        action_tokens: How many tokens each phrase has.
        prompt_tokens: How many tokens the model reads before a phrase.
        cut_tokens: How many tokens of the prompt were left out, because the model's context is too short.
        temperature: What the logits are divided by.
        value: What the critic expects from here; None without a critic, or if it was not asked.
        remembered: Whether nothing had to be computed for it.
    """

    decision: Decision
    logits: tuple[float, ...]
    log_probabilities: tuple[float, ...]
    action_tokens: tuple[int, ...]
    prompt_tokens: int
    cut_tokens: int = 0
    temperature: float = 1.0
    value: float | None = None
    remembered: bool = False

    @cached_property
    def probabilities(self) -> tuple[float, ...]:
        """Of each action, in float64."""
        return softmax(self.logits, self.temperature)

    @property
    def by_action(self) -> dict[str, float]:
        """The probability of each action, in the order in which they were asked."""
        return dict(zip(self.decision.actions, self.probabilities, strict=True))

    @property
    def best(self) -> int:
        """Which action is the most probable one; the first of several."""
        return self.probabilities.index(max(self.probabilities))

    @property
    def label_mass(self) -> float:
        """How probable it is that the model goes on with one of the phrases at all, out of everything it might say."""
        return math.fsum(map(math.exp, self.log_probabilities))

    @property
    def tokens(self) -> int:
        """Tokens of the prompt and of all phrases."""
        return self.prompt_tokens + sum(self.action_tokens)


def softmax(logits: Sequence[float], temperature: float = 1.0) -> tuple[float, ...]:
    """``exp(l / T) / sum(exp(l / T))`` in float64.

    The sum is rounded once, so that the order of the actions changes no bit of any probability.

    Raises:
        NumericalError: If every action is impossible.
    """
    largest = max(logits)
    if not math.isfinite(largest):
        raise NumericalError(
            "every action has the probability 0 under this model: its vocabulary is masked, or its weights are damaged"
        )
    weights = [math.exp((logit - largest) / temperature) for logit in logits]
    total = math.fsum(weights)
    return tuple(weight / total for weight in weights)
