"""SayCan: what a language model would say, times what can be done (Ahn et al. 2022, arXiv 2204.01691).

A skill is chosen by ``p(phrase | prompt) * p(success | state, skill)``: the *say* of a language model that is not
trained, times the *can* of an affordance function. ``docs/baselines.md`` says what is computed here and why.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from twosome.baselines.untrained import Untrained
from twosome.decision import Decision
from twosome.functional.categorical import masked_log_softmax
from twosome.types import Policy, Rollout

Affordances = Callable[[Sequence[Decision]], Tensor]
"""Decisions to the log-probability that each action can be carried out: float32 [B, A], anything where padded."""

Features = Callable[[Sequence[str]], Tensor]
"""Texts to what a frozen language model makes of them: float32 [B, H]."""


@dataclass(frozen=True)
class Attempt:
    """An action that was tried in a decision, and whether anything came of it."""

    decision: Decision
    action: int
    succeeded: bool


def attempts(rollout: Rollout) -> Iterator[Attempt]:
    """What was tried in a rollout, and whether it worked as far as the agent can see.

    An action worked if the decision after it is another one, or if it ended the episode. Where nothing was seen after
    it (a time limit, the end of the rollout) it is left out.
    """
    actions, truncated = rollout.actions.tolist(), rollout.truncated.tolist()
    terminated = rollout.terminated.tolist()
    for moment, row in enumerate(rollout.decisions):
        for place, decision in enumerate(row):
            action = actions[moment][place]
            if terminated[moment][place]:
                yield Attempt(decision, action, True)
            elif not truncated[moment][place] and moment + 1 < len(rollout.decisions):
                yield Attempt(decision, action, rollout.decisions[moment + 1][place] != decision)


def admissible(decisions: Sequence[Decision]) -> Tensor:
    """The environment's own word: whatever it offers can be done; zeros [B, A]."""
    return torch.zeros(len(decisions), _widest(decisions))


def _widest(decisions: Sequence[Decision]) -> int:
    return max(len(decision.actions) for decision in decisions)


class LearnedAffordances:
    """Probability that a phrase can be carried out, by a classifier on a frozen model's reading of prompt and phrase.

    Args:
        features: The frozen model.
        size: Its hidden size H.
        hidden: Width of the classifier's one hidden layer.
        joiner: What stands between a prompt and a phrase.
    """

    def __init__(self, features: Features, size: int, hidden: int = 128, joiner: str = " ") -> None:
        self._features = features
        self._joiner = joiner
        self.network = nn.Sequential(nn.Linear(size, hidden), nn.ReLU(), nn.Linear(hidden, 1))
        self._mean, self._deviation = torch.zeros(size), torch.ones(size)

    def __call__(self, decisions: Sequence[Decision]) -> Tensor:
        """Log-probabilities of success: float32 [B, A], 0 where padded."""
        sentences = [d.sentence(i, self._joiner) for d in decisions for i in range(len(d.actions))]
        with torch.no_grad():
            log_probs = nn.functional.logsigmoid(self._logits(self._features(sentences))).cpu()
        widest = _widest(decisions)
        mask = torch.tensor([[action < len(decision.actions) for action in range(widest)] for decision in decisions])
        return torch.zeros(mask.shape).masked_scatter(mask, log_probs)

    def fit(
        self, tried: Sequence[Attempt], *, generator: torch.Generator, epochs: int = 100, rate: float = 3e-3
    ) -> float:
        """Learn from experience by cross-entropy; returns the last epoch's mean loss in nats.

        Sentences that were tried more than once count as often as they were tried.

        Args:
            tried: At least one attempt.
            generator: Shuffles.
            epochs: Passes over the attempts.
            rate: Adam's learning rate, lowered linearly to 0.
        """
        features = self._features([attempt.decision.sentence(attempt.action, self._joiner) for attempt in tried])
        self._mean, self._deviation = features.mean(0), features.std(0, correction=0) + 1e-6
        targets = torch.tensor([float(attempt.succeeded) for attempt in tried])
        optimizer = torch.optim.Adam(self.network.parameters(), lr=rate)
        schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.0, total_iters=epochs)
        total = 0.0
        for _ in range(epochs):
            total = 0.0
            order = torch.randperm(len(tried), generator=generator)
            for start in range(0, len(tried), _BATCH):
                chosen = order[start : start + _BATCH]
                logits = self._logits(features[chosen])
                loss = nn.functional.binary_cross_entropy_with_logits(logits, targets[chosen])
                optimizer.zero_grad()
                torch.autograd.backward(loss)
                optimizer.step()
                total += loss.item() * len(chosen)
            schedule.step()
        return total / len(tried)

    def _logits(self, features: Tensor) -> Tensor:
        logits: Tensor = self.network((features - self._mean) / self._deviation)
        return logits.squeeze(-1)


class SayCanPolicy(Untrained):
    """Every action in proportion to what the language model says times whether it can be done; trains nothing.

    The published robot takes the highest product, which here is greedy play.

    Args:
        language: A language model's policy over the phrases offered.
        affordances: Whether they can be carried out.
    """

    def __init__(self, language: Policy, affordances: Affordances) -> None:
        self.language = language
        self.affordances = affordances

    def action_log_probs(self, decisions: Sequence[Decision]) -> Tensor:
        """Log of the normalised product: float32 [B, A], ``-inf`` where padded."""
        said = self.language.action_log_probs(decisions)
        return masked_log_softmax(said + self.affordances(decisions).to(said.device))


_BATCH = 256
