"""Writes a policy into the language model's adapter: the exact divergence, made small on the decisions met."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from twosome.algorithms.config import FittedConfig, PPOConfig
from twosome.algorithms.reading import prompts_of
from twosome.decision import Decision
from twosome.errors import NumericalError
from twosome.functional.categorical import kl_divergence
from twosome.types import BatchingPolicy, OnStage, Policy


@dataclass(frozen=True)
class Fit:
    """How a fit went.

    Attributes:
        divergence: Mean KL from the targets to the policy, in nats, over the decisions as the last pass met them.
        worst: The largest of these.
        change: How far the last pass met the prompts' words moved, relatively; None where nothing asked for it.
        steps: Steps the optimizer took.
    """

    divergence: float
    worst: float
    change: float | None
    steps: int


def fit(
    policy: Policy,
    targets: Mapping[Decision, Tensor],
    config: FittedConfig,
    ppo: PPOConfig,
    generator: Generator,
    on_stage: OnStage,
) -> Fit:
    r"""Make ``policy`` play ``targets``, log-probabilities by decision: how it went.

    The M step of maximum a posteriori policy optimisation (Abdolmaleki et al. 2018, section 4.2), supervised learning
    of a whole distribution: steps lower :math:`\sum_s \mathrm{KL}(\pi^*(\cdot|s) \,\|\, \pi_\theta(\cdot|s))`, and
    ``fit_keep`` times how far it moves the words before. It stops when a pass met a mean divergence of at most
    ``fit_tolerance``, or when ``fit_patience`` passes in a row met none that was lower than all before.

    Raises:
        NumericalError: If a divergence is no number; nothing is changed by that step.
    """
    optimizer = torch.optim.AdamW(
        policy.actor_parameters(), lr=config.fit_learning_rate, eps=ppo.adam_epsilon, weight_decay=0.0, fused=True
    )
    met, steps, lowest, vain = list(targets), 0, math.inf, 0
    for number in range(config.fit_passes):
        on_stage(f"fitting the adapter, pass {number + 1} of at most {config.fit_passes}")
        order = torch.randperm(len(met), generator=generator).tolist()
        found: list[float] = []
        moved: list[float] = []
        for start in range(0, len(met), config.fit_minibatch):
            chosen = [met[index] for index in order[start : start + config.fit_minibatch]]
            optimizer.zero_grad()
            divergences = _accumulate(policy, chosen, targets)
            found += divergences
            whole = len(met) <= config.fit_minibatch
            if whole and sum(found) <= config.fit_tolerance * len(met):
                break  # it fits as it is: nothing to step for
            if config.fit_keep:
                change = prompts_of(policy).prompt_change(chosen)
                torch.autograd.backward(config.fit_keep * change.mean())
                moved += change.tolist()
            if config.fit_anneal:
                done = (number + start / len(met)) / config.fit_passes
                optimizer.param_groups[0]["lr"] = config.fit_learning_rate * (1 - done)
            torch.nn.utils.clip_grad_norm_(policy.actor_parameters(), ppo.max_gradient_norm)
            optimizer.step()
            steps += 1
        vain = 0 if sum(found) < lowest else vain + 1
        lowest = min(lowest, sum(found))
        if sum(found) <= config.fit_tolerance * len(met) or vain == config.fit_patience:
            break
    optimizer.zero_grad()
    return Fit(sum(found) / len(found), max(found), sum(moved) / len(moved) if moved else None, steps)


def _accumulate(policy: Policy, chosen: Sequence[Decision], targets: Mapping[Decision, Tensor]) -> list[float]:
    """Add the gradient of one step; the divergence of each decision."""
    parts = policy.batches(chosen) if isinstance(policy, BatchingPolicy) else [list(chosen)]
    found: list[float] = []
    for part in parts:
        log_probs = policy.action_log_probs(part)
        wanted = torch.full(log_probs.shape, -torch.inf)
        for row, decision in enumerate(part):
            wanted[row, : len(decision.actions)] = targets[decision]
        divergence = kl_divergence(wanted.to(log_probs.device), log_probs)
        total = divergence.sum()
        if not math.isfinite(float(total)):
            raise NumericalError(
                f"the divergence of the policy from what it is fitted to is {float(total)}: a value or a probability "
                "is not finite, or fitted.fit_learning_rate is too high; nothing was changed by this step"
            )
        torch.autograd.backward(total / len(chosen))
        found += divergence.tolist()
    return found
