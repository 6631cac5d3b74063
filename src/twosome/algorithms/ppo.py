"""Proximal policy optimisation with separate actor and critic optimizers (Schulman et al. 2017; TWOSOME, section 4.3).

``docs/method.md`` lists every detail of the published trainer, kept or changed, and the test that holds it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor

from twosome.algorithms.actor import (
    Actor,
    Samples,
    chunks,
    clip_gradient,
    load_optimizer,
    set_learning_rate,
)
from twosome.algorithms.config import PPOConfig
from twosome.algorithms.paid import Paid, rounding
from twosome.decision import Decision
from twosome.functional.advantages import generalized_advantages, largest_return, normalize, semi_mdp_discounts
from twosome.functional.averages import Averages
from twosome.functional.losses import explained_variance, value_loss
from twosome.types import OnStage, Policy, Rollout, ScalableValues, UpdateReport, unheard


@dataclass(frozen=True, kw_only=True)
class PPOSamples(Samples):
    """A rollout flattened to samples, with the returns from each of its states on, all measured in ``unit``."""

    states: Sequence[Decision]
    values: Tensor
    returns: Tensor
    unit: float

    def valued(self, policy: Policy, chosen: Sequence[int]) -> Tensor:
        """The critic's values of the states of some samples now: float32 [n]."""
        return policy.values([self.states[i] for i in chosen])


class PPO:
    """Improves a policy from its rollouts.

    Args:
        policy: The policy whose actor and critic parameters the two optimizers train.
        config: Hyper-parameters.
        generator: Shuffles the samples; pass your own to make a run repeatable.
    """

    def __init__(self, policy: Policy, config: PPOConfig, generator: torch.Generator) -> None:
        self.config = config
        self._generator = generator
        self._updates = 0
        self._paid = Paid()
        self._actor = Actor(policy, config)
        self._critic = torch.optim.Adam(
            policy.critic_parameters(), lr=config.value_learning_rate, eps=config.adam_epsilon, fused=True
        )

    def update(self, policy: Policy, rollout: Rollout, progress: float, on_stage: OnStage = unheard) -> UpdateReport:
        """Improve ``policy`` from ``rollout``; ``progress`` in [0, 1] anneals the learning rates."""
        metrics = Averages()
        self._take_note(policy, rollout, metrics)
        samples = self._samples(policy, rollout, metrics)
        rate = self._actor.begin(progress)
        scale = 1.0 - progress if self.config.anneal_learning_rates else 1.0
        set_learning_rate(self._critic, scale * self.config.value_learning_rate)
        warming_up = self._updates < self.config.critic_warmup_updates
        waiting = self.config.wait_for_reward and not self._paid.met
        critic = partial(self._train_critic, policy, samples, metrics, on_stage)
        rest = warming_up or waiting
        steps, stopped = self._actor.practise(
            policy, samples, self._generator, metrics, on_stage, split=self._steps, rest=rest, beside=critic
        )
        self._actor.finish(metrics)
        self._updates += 1
        metrics.add(
            explained_variance=explained_variance(samples.values, samples.returns),
            policy_learning_rate=rate,
        )
        return UpdateReport(metrics.means(), steps, stopped)

    def state_dict(self) -> dict[str, Any]:
        """Both optimizers, the generator, the update counter, and what was paid so far."""
        return {
            **self._actor.state_dict(),
            "critic": self._critic.state_dict(),
            "generator": self._generator.get_state(),
            "updates": self._updates,
            "paid": self._paid.state_dict(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Put back what :meth:`state_dict` returned.

        Raises:
            RunError: If it belongs to other weights.
        """
        self._actor.load_state_dict(state)
        load_optimizer(self._critic, state["critic"], "the critic's optimizer")
        self._generator.set_state(state["generator"])
        self._updates = state["updates"]
        self._paid.load_state_dict(state.get("paid"))

    def _steps(self, order: list[int]) -> list[list[int]]:
        """The samples of each actor step of a pass."""
        return self._actor.steps(order)

    def _samples(self, policy: Policy, rollout: Rollout, metrics: Averages) -> PPOSamples:
        """Advantages and returns of a rollout, flattened and measured in the unit of the returns met so far."""
        config, unit = self.config, self._paid.unit
        discounts, ended = self._discounts(rollout)
        advantages = generalized_advantages(
            rollout.rewards, rollout.values, rollout.next_values, discounts, ended, config.gae_lambda
        )
        returns = advantages + rollout.values
        metrics.add(mean_advantage=float(advantages.mean()), mean_value=float(rollout.values.mean()))
        noise = rounding(rollout.rewards, rollout.values, rollout.next_values) / unit
        advantages = advantages / unit
        if config.normalize_advantages == "rollout":
            advantages = normalize(advantages, noise)
        decisions = rollout.flat_decisions
        return PPOSamples(
            decisions=decisions,
            states=decisions,
            actions=rollout.actions.flatten(),
            action_log_probs=rollout.action_log_probs.flatten(0, 1),
            advantages=advantages.flatten(),
            rounding=noise,
            values=(rollout.values / unit).flatten(),
            returns=(returns / unit).flatten(),
            unit=unit,
        )

    def _discounts(self, rollout: Rollout) -> tuple[Tensor, Tensor]:
        """The discount of each decision, and whether its episode ended with it."""
        config, ended = self.config, rollout.terminated | rollout.truncated
        durations = rollout.durations if config.semi_mdp else torch.ones_like(rollout.durations)
        stop = rollout.terminated if config.bootstrap_truncated else ended
        return semi_mdp_discounts(config.gamma, durations, stop), ended

    def _take_note(self, policy: Policy, rollout: Rollout, metrics: Averages) -> None:
        """Note what the rollout paid; where the unit of returns grows by that, the critic's does, if it can."""
        largest = largest_return(rollout.rewards, *self._discounts(rollout))
        growth = self._paid.see(rollout.rewards, largest, self.config.scale_returns)
        if growth != 1 and isinstance(policy, ScalableValues):
            policy.scale_values(growth)
        metrics.add(**self._paid.facts())

    def _train_critic(
        self, policy: Policy, samples: PPOSamples, metrics: Averages, on_stage: OnStage, number: int, order: list[int]
    ) -> None:
        """One pass of critic steps over the samples, with its number from 0."""
        on_stage(f"improving the critic, pass {number + 1} of {self.config.epochs}")
        for chosen in chunks(order, self.config.value_minibatch):
            values = samples.valued(policy, chosen) / samples.unit
            returns, old_values = (x[chosen].to(values.device) for x in (samples.returns, samples.values))
            loss = value_loss(values, old_values, returns, self.config.value_clip).mean()
            self._critic.zero_grad()
            torch.autograd.backward(self.config.value_coefficient * loss)
            norm = clip_gradient(policy.critic_parameters(), self.config)
            self._critic.step()
            metrics.add(value_loss=loss.item(), critic_gradient_norm=norm)
