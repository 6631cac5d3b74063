"""Proximal policy optimisation with separate actor and critic optimizers (Schulman et al. 2017; TWOSOME, section 4.3).

``docs/method.md`` lists every detail of the published trainer, kept or changed, and the test that holds it.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import Parameter

from twosome.algorithms.config import PPOConfig
from twosome.algorithms.paid import Paid, rounding
from twosome.arrival import check_moments
from twosome.decision import Decision
from twosome.errors import ConfigError, NumericalError
from twosome.functional.advantages import generalized_advantages, largest_return, normalize, semi_mdp_discounts
from twosome.functional.categorical import entropy, kl_divergence
from twosome.functional.losses import approximate_kl, clipped_surrogate, explained_variance, value_loss
from twosome.types import (
    BatchingPolicy,
    OnStage,
    Policy,
    ReferencePolicy,
    Rollout,
    ScalableValues,
    UpdateReport,
    unheard,
)


@dataclass(frozen=True)
class _Samples:
    """A rollout flattened to S = T x N samples, with its advantages and returns, all measured in ``unit``."""

    decisions: Sequence[Decision]
    actions: Tensor
    log_probs: Tensor
    values: Tensor
    advantages: Tensor
    returns: Tensor
    rounding: float
    unit: float

    def __len__(self) -> int:
        return len(self.decisions)


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
        # Fused: one pass over each weight and its moments instead of about ten.
        self._actor = torch.optim.AdamW(
            policy.actor_parameters(),
            lr=config.policy_learning_rate,
            eps=config.adam_epsilon,
            weight_decay=0.0,
            fused=True,
        )
        self._critic = torch.optim.Adam(
            policy.critic_parameters(), lr=config.value_learning_rate, eps=config.adam_epsilon, fused=True
        )

    def update(self, policy: Policy, rollout: Rollout, progress: float, on_stage: OnStage = unheard) -> UpdateReport:
        """Improve ``policy`` from ``rollout``; ``progress`` in [0, 1] anneals the learning rates."""
        metrics = _Averages()
        self._take_note(policy, rollout, metrics)
        samples = self._samples(rollout, metrics)
        scale = 1.0 - progress if self.config.anneal_learning_rates else 1.0
        _set_learning_rate(self._actor, scale * self.config.policy_learning_rate)
        _set_learning_rate(self._critic, scale * self.config.value_learning_rate)
        warming_up = self._updates < self.config.critic_warmup_updates
        waiting = self.config.wait_for_reward and not self._paid.met
        steps, stopped = 0, warming_up or waiting
        for epoch in range(self.config.epochs):
            order = torch.randperm(len(samples), generator=self._generator).tolist()
            on_stage(f"improving the critic, pass {epoch + 1} of {self.config.epochs}")
            self._train_critic(policy, samples, order, metrics)
            if not stopped:
                taken, stopped = self._train_actor(policy, samples, order, metrics, steps, on_stage)
                steps += taken
        self._updates += 1
        metrics.add(
            explained_variance=explained_variance(samples.values, samples.returns),
            policy_learning_rate=scale * self.config.policy_learning_rate,
        )
        return UpdateReport(metrics.means(), steps, stopped and not warming_up and not waiting)

    def state_dict(self) -> dict[str, Any]:
        """Both optimizers, the generator, the update counter, and what was paid so far."""
        return {
            "actor": self._actor.state_dict(),
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
        for name, optimizer in (("actor", self._actor), ("critic", self._critic)):
            weights = [weight for group in optimizer.param_groups for weight in group["params"]]
            check_moments(state[name], weights, f"the {name}'s optimizer")
            optimizer.load_state_dict(state[name])
        self._generator.set_state(state["generator"])
        self._updates = state["updates"]
        self._paid.load_state_dict(state.get("paid"))

    def _samples(self, rollout: Rollout, metrics: _Averages) -> _Samples:
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
        return _Samples(
            [decision for row in rollout.decisions for decision in row],
            rollout.actions.flatten(),
            rollout.log_probs.flatten(),
            (rollout.values / unit).flatten(),
            advantages.flatten(),
            (returns / unit).flatten(),
            noise,
            unit,
        )

    def _discounts(self, rollout: Rollout) -> tuple[Tensor, Tensor]:
        """The discount of each decision, and whether its episode ended with it."""
        config, ended = self.config, rollout.terminated | rollout.truncated
        durations = rollout.durations if config.semi_mdp else torch.ones_like(rollout.durations)
        stop = rollout.terminated if config.bootstrap_truncated else ended
        return semi_mdp_discounts(config.gamma, durations, stop), ended

    def _take_note(self, policy: Policy, rollout: Rollout, metrics: _Averages) -> None:
        """Note what the rollout paid; where the unit of returns grows by that, the critic's does, if it can."""
        largest = largest_return(rollout.rewards, *self._discounts(rollout))
        growth = self._paid.see(rollout.rewards, largest, self.config.scale_returns)
        if growth != 1 and isinstance(policy, ScalableValues):
            policy.scale_values(growth)
        if self._paid.unit != 1:
            metrics.add(return_unit=self._paid.unit)
        if not self._paid.met:
            metrics.add(unpaid_updates=self._paid.unpaid)

    def _train_critic(self, policy: Policy, samples: _Samples, order: list[int], metrics: _Averages) -> None:
        """One pass of critic steps over the samples."""
        for chosen in _chunks(order, self.config.value_minibatch):
            values = policy.values([samples.decisions[i] for i in chosen]) / samples.unit
            returns, old_values = (x[chosen].to(values.device) for x in (samples.returns, samples.values))
            loss = value_loss(values, old_values, returns, self.config.value_clip).mean()
            self._critic.zero_grad()
            torch.autograd.backward(self.config.value_coefficient * loss)
            norm = self._clip(policy.critic_parameters())
            self._critic.step()
            metrics.add(value_loss=loss.item(), critic_gradient_norm=norm)

    def _train_actor(
        self,
        policy: Policy,
        samples: _Samples,
        order: list[int],
        metrics: _Averages,
        before: int,
        on_stage: OnStage,
    ) -> tuple[int, bool]:
        """One pass of actor steps over the samples: steps taken, and whether the KL limit ended it."""
        steps, chunks = 0, list(_chunks(order, self.config.policy_minibatch * self.config.accumulation_steps))
        for chosen in chunks:
            on_stage(f"improving the actor, step {before + steps + 1} of {self.config.epochs * len(chunks)}")
            self._actor.zero_grad()
            kl = self._accumulate(policy, samples, chosen, metrics)
            if self.config.target_kl is not None and kl > self.config.target_kl:
                self._actor.zero_grad()  # drop this step's gradient; the steps already taken stay
                return steps, True
            norm = self._clip(policy.actor_parameters())
            self._actor.step()
            metrics.add(actor_gradient_norm=norm)
            steps += 1
        return steps, False

    def _accumulate(self, policy: Policy, samples: _Samples, chosen: list[int], metrics: _Averages) -> float:
        """Add the gradient of one actor step, and return the estimated KL to the policy that acted.

        Each distinct decision of the step is scored once, in the groups that the policy likes best, or at most
        ``policy_minibatch`` at a time, to bound memory. The sum over samples is the same whichever way it is split, so
        minibatches keep their meaning: the sets over which advantages may be normalised, each of equal weight.
        """
        config = self.config
        advantages = self._step_advantages(samples.advantages[chosen], samples.rounding)
        members: defaultdict[Decision, list[int]] = defaultdict(list)
        for position, sample in enumerate(chosen):
            members[samples.decisions[sample]].append(position)
        total = _Sums()
        for part in _parts(policy, list(members), config.policy_minibatch):
            log_probs = policy.action_log_probs(part)
            rows = [row for row, decision in enumerate(part) for _ in members[decision]]
            positions = [position for decision in part for position in members[decision]]
            picked = [chosen[position] for position in positions]
            device = log_probs.device
            taken = samples.actions[picked].to(device)
            log_ratio = log_probs[rows, taken] - samples.log_probs[picked].to(device)
            surrogate = clipped_surrogate(log_ratio, advantages[positions].to(device), config.clip)
            bonus = entropy(log_probs)[rows]
            loss = surrogate - config.entropy_coefficient * bonus
            if config.reference_kl_coefficient:
                divergence = kl_divergence(log_probs, _reference(policy, part))[rows]
                loss = loss + config.reference_kl_coefficient * divergence
                total.add(reference_kl=divergence)
            torch.autograd.backward(loss.sum() / len(chosen))
            total.add(
                policy_loss=surrogate,
                entropy=bonus,
                approximate_kl=approximate_kl(log_ratio),
                clip_fraction=((log_ratio.exp() - 1).abs() > config.clip).float(),
            )
        means = total.over(len(chosen))
        # A step that the KL limit drops is never clipped, so this is the only place that sees all of them.
        for name, value in means.items():
            _require_finite(name, value)
        metrics.add(**means)
        return means["approximate_kl"]

    def _step_advantages(self, advantages: Tensor, noise: float) -> Tensor:
        """The advantages of one actor step, normalised over what the configuration says."""
        scope = self.config.normalize_advantages
        if scope == "step":
            return normalize(advantages, noise)
        if scope == "minibatch":
            parts = torch.split(advantages, self.config.policy_minibatch)
            return torch.cat([normalize(part, noise) for part in parts])
        return advantages

    def _clip(self, parameters: list[Parameter]) -> float:
        """Clip the gradient and return its norm; refuse to step on one that is not finite."""
        norm = float(torch.nn.utils.clip_grad_norm_(parameters, self.config.max_gradient_norm))
        _require_finite("the gradient's norm", norm)
        return norm


def _require_finite(name: str, value: float) -> None:
    if not math.isfinite(value):
        raise NumericalError(
            f"{name} is {value}: a reward, a value or a probability is not finite, or the learning rate is too high; "
            "nothing was changed by this step"
        )


def _reference(policy: Policy, decisions: Sequence[Decision]) -> Tensor:
    if not isinstance(policy, ReferencePolicy):
        raise ConfigError(
            f"ppo.reference_kl_coefficient needs a policy with a frozen reference, but {type(policy).__name__} has none"
        )
    return policy.reference_action_log_probs(decisions)


class _Averages:
    """Collects named numbers and returns their means."""

    def __init__(self) -> None:
        self._numbers: defaultdict[str, list[float]] = defaultdict(list)

    def add(self, **numbers: float) -> None:
        for name, number in numbers.items():
            self._numbers[name].append(number)

    def means(self) -> dict[str, float]:
        return {name: sum(numbers) / len(numbers) for name, numbers in self._numbers.items()}


class _Sums:
    """Adds up named per-sample numbers over the parts of a step."""

    def __init__(self) -> None:
        self._sums: defaultdict[str, float] = defaultdict(float)

    def add(self, **numbers: Tensor) -> None:
        for name, number in numbers.items():
            self._sums[name] += number.detach().sum().item()

    def over(self, count: int) -> dict[str, float]:
        return {name: total / count for name, total in self._sums.items()}


def _parts(policy: Policy, decisions: list[Decision], size: int) -> list[list[Decision]]:
    """Distinct decisions in groups to score at once."""
    if isinstance(policy, BatchingPolicy):
        return policy.batches(decisions)
    return [decisions[start : start + size] for start in range(0, len(decisions), size)]


def _chunks(order: list[int], size: int) -> Iterator[list[int]]:
    """Consecutive pieces of ``order``; a last piece of one sample joins the piece before it."""
    starts = list(range(0, len(order), size))
    if len(starts) > 1 and len(order) - starts[-1] == 1 and size > 1:
        starts.pop()
    for start, end in zip(starts, [*starts[1:], len(order)], strict=True):
        yield order[start:end]


def _set_learning_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    for group in optimizer.param_groups:
        group["lr"] = rate
