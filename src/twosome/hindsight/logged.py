r"""Learning from decisions that another policy made, where the probability of all it might have done was recorded.

Each is an episode of one decision, so its reward is its return and the gradient of the mean reward is

.. math:: E_\mu\Big[\frac{\pi(a|s)}{\mu(a|s)} (r - b(s)) \nabla \log \pi(a|s)\Big]

whatever the baseline b, as long as it does not depend on the action. Here b(s) is the sum over all actions of
:math:`\mu(a|s)` times what the phrase earned on average elsewhere: exact over the actions, and this decision's own
reward is left out of it. Ratio, cap and trust region are PPO's (:mod:`twosome.algorithms.actor`), with the recorded
policy in the place of the one that acted in a rollout.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from twosome.algorithms.actor import Actor, Samples, Stage
from twosome.algorithms.config import PPOConfig
from twosome.decision import Decision
from twosome.functional.averages import Averages
from twosome.functional.offpolicy import effective_sample_size, recorded_value
from twosome.types import OnStage, Policy, UpdateReport, unheard

_PRIOR = 1.0
"""How many decisions of average reward a phrase is taken to have been tried in before."""


@dataclass(frozen=True)
class Logged:
    """N decisions that were made, and what they earned.

    Attributes:
        decisions: The N decisions.
        actions: int64 [N], what was done.
        recorded: float32 [N, A], log-probabilities under the policy that acted, ``-inf`` where padded.
        rewards: float32 [N].
    """

    decisions: Sequence[Decision]
    actions: Tensor
    recorded: Tensor
    rewards: Tensor

    def __len__(self) -> int:
        return len(self.decisions)

    def part(self, numbers: Sequence[int]) -> Logged:
        """Some of them."""
        chosen = list(numbers)
        decisions = [self.decisions[number] for number in chosen]
        return Logged(decisions, self.actions[chosen], self.recorded[chosen], self.rewards[chosen])


class LearningFromLog:
    """Improves a policy from recorded decisions, pass by pass.

    Args:
        policy: What is improved.
        logged: The decisions.
        config: Hyper-parameters; those of the critic, of returns and of ``epochs`` are not used.
        generator: Shuffles.
    """

    def __init__(self, policy: Policy, logged: Logged, config: PPOConfig, generator: Generator) -> None:
        self._logged, self._config, self._generator = logged, config, generator
        self._actor = Actor(policy, config)
        advantages = logged.rewards - baseline(logged)
        deviation = float(advantages.square().mean().sqrt())
        self._samples = Samples(
            decisions=logged.decisions,
            actions=logged.actions,
            action_log_probs=logged.recorded,
            advantages=advantages / deviation if deviation > 0 else advantages,
            rounding=0.0,
        )

    def improve(self, policy: Policy, progress: float, on_stage: OnStage = unheard) -> UpdateReport:
        """One pass over the decisions; ``progress`` in [0, 1] anneals the learning rate."""
        metrics = Averages()
        rate = self._actor.begin(progress)
        order = torch.randperm(len(self._logged), generator=self._generator).tolist()
        steps = self._actor.steps(order)
        taken, stopped = self._actor.train(policy, self._samples, steps, metrics, Stage(on_stage, len(steps)))
        self._actor.finish(metrics)
        metrics.add(policy_learning_rate=rate)
        return UpdateReport(metrics.means(), taken, stopped)


def baseline(logged: Logged) -> Tensor:
    """What the recorded policy is expected to earn at each decision, whatever it did there: float32 [N].

    What a phrase is worth is the mean reward of the other decisions in which it was done, drawn a little to the mean
    of all others; so it is independent of what was done here, and the gradient stays unbiased.
    """
    count, total = len(logged), float(logged.rewards.double().sum())
    done = [
        decision.actions[action] for decision, action in zip(logged.decisions, logged.actions.tolist(), strict=True)
    ]
    sums: defaultdict[str, float] = defaultdict(float)
    tried: defaultdict[str, int] = defaultdict(int)
    for phrase, reward in zip(done, logged.rewards.tolist(), strict=True):
        sums[phrase] += reward
        tried[phrase] += 1
    worth = torch.zeros(logged.recorded.shape, dtype=torch.float64)
    for row, decision in enumerate(logged.decisions):
        own = float(logged.rewards[row])
        mean = (total - own) / max(count - 1, 1)
        for column, phrase in enumerate(decision.actions):
            mine = phrase == done[row]
            earned, times = sums[phrase] - own * mine, tried[phrase] - mine
            worth[row, column] = (earned + _PRIOR * mean) / (times + _PRIOR)
    return recorded_value(logged.recorded.double(), worth).float()


def weights_of(policy: Policy, logged: Logged) -> Tensor:
    """How much likelier ``policy`` is than the recorded one to do what was done: float64 [N]."""
    log_probs = log_probabilities(policy, logged.decisions, logged.recorded.shape[-1])
    taken = logged.actions.unsqueeze(-1)
    ratio = log_probs.double().gather(-1, taken) - logged.recorded.double().gather(-1, taken)
    return ratio.squeeze(-1).exp()


def log_probabilities(policy: Policy, decisions: Sequence[Decision], width: int, together: int = 64) -> Tensor:
    """Of all actions of many decisions, without gradient, ``-inf`` where padded: float32 [N, width]."""
    found = torch.full((len(decisions), width), -torch.inf)
    with torch.no_grad():
        for start in range(0, len(decisions), together):
            rows = policy.action_log_probs(decisions[start : start + together]).cpu()
            found[start : start + len(rows), : rows.shape[-1]] = rows
    return found


def effective(policy: Policy, logged: Logged) -> float:
    """How many decisions of the policy's own the recorded ones are worth."""
    return effective_sample_size(weights_of(policy, logged))
