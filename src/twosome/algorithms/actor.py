"""The actor's half of an update, which the algorithms share: steps on a surrogate, within a trust region.

An algorithm says how good the actions taken were (:class:`Samples`); how far a step may go on that, and what else it is
to keep (entropy, nearness to the base), is here, by the settings under ``ppo``.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import Parameter

from twosome.algorithms.bonuses import Bonuses
from twosome.algorithms.config import PPOConfig
from twosome.arrival import check_moments
from twosome.decision import Decision
from twosome.functional.advantages import normalize
from twosome.functional.all_actions import clipped_sum, log_ratios, trusted_sum
from twosome.functional.averages import Averages, Sums, require_finite
from twosome.functional.losses import approximate_kl, clipped, clipped_surrogate
from twosome.functional.trie import log_conditionals
from twosome.functional.trust import DIVERGENCES, kl_from_acting, trusted, trusted_surrogate
from twosome.types import BatchingPolicy, OnStage, Policy


@dataclass(frozen=True)
class Samples:
    """What an actor learns from: S decisions, what was done there, and how good that was.

    Attributes:
        decisions: The S decisions.
        actions: int64 [S], indices of the actions taken.
        action_log_probs: float32 [S, A], of every admissible action under the policy that acted.
        advantages: float32 [S].
        rounding: How far apart rounding alone may have put equal advantages.
        weight: What the mean loss of a step is multiplied by.
        nodes: Bool [S, A], where what was chosen is how to go on with a phrase: those that began alike. Else None.
        children: Bool [S, A], those of them that go on as chosen.
        action_advantages: Float32 [S, A], where the loss is added up over all actions and not only those taken.
    """

    decisions: Sequence[Decision]
    actions: Tensor
    action_log_probs: Tensor
    advantages: Tensor
    rounding: float
    weight: float = 1.0
    nodes: Tensor | None = None
    children: Tensor | None = None
    action_advantages: Tensor | None = None

    def __len__(self) -> int:
        return len(self.decisions)

    def read(self, policy: Policy, decisions: list[Decision]) -> tuple[Tensor, Tensor]:
        """Log-probabilities of actions now [decisions, A], and what :meth:`log_ratios` asks for: the same."""
        log_probs = policy.action_log_probs(decisions)
        return log_probs, log_probs

    def log_ratios(self, log_probs: Tensor, rows: list[int], picked: list[int]) -> Tensor:
        """How much likelier than to the policy that acted some of the samples' choices are now: float32 [n], in nats.

        Args:
            log_probs: [decisions, A], of some decisions' actions now.
            rows: The decision of each of the samples.
            picked: The samples.
        """
        device, width = log_probs.device, log_probs.shape[-1]
        taken, acting = self.actions[picked].to(device), self.action_log_probs[picked, :width].to(device)
        if self.nodes is None or self.children is None:
            return log_probs[rows, taken] - acting.gather(-1, taken.unsqueeze(-1)).squeeze(-1)
        nodes, children = (mask[picked, :width].to(device) for mask in (self.nodes, self.children))
        return log_conditionals(log_probs[rows], nodes, children) - log_conditionals(acting, nodes, children)


class Actor:
    """Improves a policy's actor by steps of AdamW.

    Args:
        policy: The policy whose actor's parameters are trained.
        config: Hyper-parameters.
    """

    def __init__(self, policy: Policy, config: PPOConfig) -> None:
        self.config = config
        # Fused: one pass over each weight and its moments instead of about ten.
        self.optimizer = torch.optim.AdamW(
            policy.actor_parameters(),
            lr=config.policy_learning_rate,
            eps=config.adam_epsilon,
            weight_decay=0.0,
            fused=True,
        )
        self._bonuses = Bonuses(config)
        self._divergences: list[Tensor] = []

    def begin(self, progress: float) -> float:
        """Begin an update, with what is annealed where ``progress`` in [0, 1] has it: the learning rate."""
        self._divergences = []
        scale = 1.0 - progress if self.config.anneal_learning_rates else 1.0
        rate = scale * self.config.policy_learning_rate
        set_learning_rate(self.optimizer, rate)
        self._bonuses.begin(progress)
        return rate

    def finish(self, metrics: Averages) -> None:
        """End an update: how far its states had moved, and what follows from that."""
        if self._divergences:
            found = torch.cat(self._divergences)
            spread = {"mean": found.mean(), "95": found.quantile(0.95), "max": found.max()}
            metrics.add(**{f"divergence_{name}": float(number) for name, number in spread.items()})
        self._bonuses.follow(metrics)

    def steps(self, order: list[int]) -> list[list[int]]:
        """The samples of each step of a pass that comes in this order."""
        return list(chunks(order, self.config.policy_minibatch * self.config.accumulation_steps))

    def practise(
        self,
        policy: Policy,
        samples: Samples,
        generator: torch.Generator,
        metrics: Averages,
        on_stage: OnStage,
        *,
        split: Callable[[list[int]], list[list[int]]] | None = None,
        rest: bool = False,
        beside: Callable[[int, list[int]], None] | None = None,
    ) -> tuple[int, bool]:
        """An update's passes over the samples: steps taken, and whether the KL limit ended them.

        Args:
            policy: The policy whose actor is trained.
            samples: What it learns from.
            generator: Shuffles the samples.
            metrics: Where it is told how the steps went.
            on_stage: Told which step begins.
            split: Cuts the random order of a pass into the samples of each step; None for :meth:`steps`.
            rest: Take no step.
            beside: What else is trained in each pass, with its number and order; goes on where the actor stops.
        """
        split = split or self.steps
        stage = Stage(on_stage, self.config.epochs * len(split(list(range(len(samples))))))
        taken, stopped = 0, rest
        for number in range(self.config.epochs):
            if stopped and beside is None:
                break
            order = torch.randperm(len(samples), generator=generator).tolist()
            if beside is not None:
                beside(number, order)
            if not stopped:
                if self.config.together:
                    order = together(samples.decisions, order, generator)
                more, stopped = self.train(policy, samples, split(order), metrics, stage)
                taken += more
        return taken, stopped and not rest

    def train(
        self,
        policy: Policy,
        samples: Samples,
        steps: Sequence[list[int]],
        metrics: Averages,
        stage: Stage,
    ) -> tuple[int, bool]:
        """One pass over the samples, a step for each set of them: steps taken, and whether the KL limit ended it."""
        taken = 0
        for chosen in steps:
            stage.next()
            self.optimizer.zero_grad()
            kl = self.accumulate(policy, samples, chosen, metrics)
            if self.config.target_kl is not None and kl > self.config.target_kl:
                self.optimizer.zero_grad()  # drop this step's gradient; the steps already taken stay
                return taken, True
            metrics.add(actor_gradient_norm=clip_gradient(policy.actor_parameters(), self.config))
            self.optimizer.step()
            taken += 1
        return taken, False

    def accumulate(self, policy: Policy, samples: Samples, chosen: list[int], metrics: Averages) -> float:
        """Add the gradient of one step, and return the KL to the policy that acted.

        It is estimated from the actions taken where those alone count and the trust region is one of ratios, and else
        exact. Each distinct
        decision of the step is scored once, in the groups that the policy likes best, or at most ``policy_minibatch``
        at a time, to bound memory. The sum over samples is the same whichever way it is split, so minibatches keep
        their meaning: the sets over which advantages may be normalised, each of equal weight.
        """
        advantages = self._step_advantages(samples.advantages[chosen], samples.rounding)
        members: defaultdict[Decision, list[int]] = defaultdict(list)
        for position, sample in enumerate(chosen):
            members[samples.decisions[sample]].append(position)
        total = Sums()
        for part in _parts(policy, list(members), self.config.policy_minibatch):
            log_probs, read = samples.read(policy, part)
            rows = [row for row, decision in enumerate(part) for _ in members[decision]]
            positions = [position for decision in part for position in members[decision]]
            picked = [chosen[position] for position in positions]
            here = advantages[positions].to(log_probs.device)
            surrogate, told = self._surrogate(log_probs, read, rows, samples, picked, here)
            loss, kept = self._bonuses.added(surrogate, policy, part, log_probs, rows)
            torch.autograd.backward(samples.weight * loss.sum() / len(chosen))
            total.add(policy_loss=surrogate, **kept, **told)
        means = total.over(len(chosen))
        # A step that the KL limit drops is never clipped, so this is the only place that sees all of them.
        for name, value in means.items():
            require_finite(name, value)
        metrics.add(**means)
        return means["acting_kl" if "acting_kl" in means else "approximate_kl"]

    def _surrogate(
        self,
        log_probs: Tensor,
        read: Tensor,
        rows: list[int],
        samples: Samples,
        picked: list[int],
        advantages: Tensor,
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """What each sample adds to the loss, by the configured trust region, and what is told of it."""
        if samples.action_advantages is not None:
            return self._summed(log_probs[rows], samples, picked)
        config, device = self.config, log_probs.device
        log_ratio = samples.log_ratios(read, rows, picked)
        told = {"approximate_kl": approximate_kl(log_ratio)}
        if config.trust_region == "ratio":
            told["clip_fraction"] = clipped(log_ratio, config.clip, config.clip_high).float()
            return clipped_surrogate(log_ratio, advantages, config.clip, config.clip_high), told
        now, acting = log_probs.detach()[rows], samples.action_log_probs[picked, : log_probs.shape[-1]].to(device)
        divergence = DIVERGENCES[config.trust_region](now, acting)
        mask = trusted(divergence, log_ratio.detach(), advantages, config.trust_radius)
        self._divergences.append(divergence.cpu())
        told |= {"acting_kl": kl_from_acting(now, acting), "masked": (~mask).float()}
        return trusted_surrogate(log_ratio, advantages, mask), told

    def _summed(self, log_probs: Tensor, samples: Samples, picked: list[int]) -> tuple[Tensor, dict[str, Tensor]]:
        """The same where all actions of a sample's decision count, [n, A] of which have ``log_probs`` now."""
        assert samples.action_advantages is not None
        config, width = self.config, log_probs.shape[-1]
        acting, advantages = (
            each[picked, :width].to(log_probs.device) for each in (samples.action_log_probs, samples.action_advantages)
        )
        now, likely = log_probs.detach(), acting.exp()
        told = {"acting_kl": kl_from_acting(now, acting)}
        ratios = log_ratios(now, acting)
        if config.trust_region == "ratio":
            told["clip_fraction"] = (likely * clipped(ratios, config.clip, config.clip_high)).sum(-1)
            return clipped_sum(log_probs, acting, advantages, config.clip, config.clip_high), told
        divergence = DIVERGENCES[config.trust_region](now, acting)
        mask = trusted(divergence.unsqueeze(-1), ratios, advantages, config.trust_radius)
        self._divergences.append(divergence.cpu())
        told["masked"] = (likely * ~mask).sum(-1)
        return trusted_sum(log_probs, acting, advantages, mask), told

    def _step_advantages(self, advantages: Tensor, noise: float) -> Tensor:
        """The advantages of one step, normalised over what the configuration says."""
        scope = self.config.normalize_advantages
        if scope == "step":
            return normalize(advantages, noise)
        if scope == "minibatch":
            parts = torch.split(advantages, self.config.policy_minibatch)
            return torch.cat([normalize(part, noise) for part in parts])
        return advantages

    def state_dict(self) -> dict[str, Any]:
        """The optimizer, and what changed with what was met."""
        return {"actor": self.optimizer.state_dict(), "bonuses": self._bonuses.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Put back what :meth:`state_dict` returned.

        Raises:
            RunError: If it belongs to other weights.
        """
        load_optimizer(self.optimizer, state["actor"], "the actor's optimizer")
        self._bonuses.load_state_dict(state.get("bonuses"))


class Stage:
    """Tells which of an update's actor steps begins."""

    def __init__(self, on_stage: OnStage, steps: int) -> None:
        self._on_stage, self._steps, self._begun = on_stage, steps, 0

    def next(self) -> None:
        """One more begins."""
        self._begun += 1
        self._on_stage(f"improving the actor, step {self._begun} of {self._steps}")


def chunks(order: list[int], size: int) -> Iterator[list[int]]:
    """Consecutive pieces of ``order``; a last piece of one sample joins the piece before it."""
    starts = list(range(0, len(order), size))
    if len(starts) > 1 and len(order) - starts[-1] == 1 and size > 1:
        starts.pop()
    for start, end in zip(starts, [*starts[1:], len(order)], strict=True):
        yield order[start:end]


def equal_parts(order: list[int], count: int) -> list[list[int]]:
    """``count`` consecutive pieces of ``order``, or one, of about the same size."""
    return [part.tolist() for part in torch.tensor_split(torch.tensor(order), max(1, count))]


def together(decisions: Sequence[Decision], order: list[int], generator: torch.Generator) -> list[int]:
    """The samples of ``order`` with the copies of each decision side by side, decisions in random order."""
    members: dict[Decision, list[int]] = {}
    for sample in order:
        members.setdefault(decisions[sample], []).append(sample)
    # Not in the order of their first samples: the decision that came most often would nearly always come first.
    groups = sorted(members.values(), key=min)
    return [sample for number in torch.randperm(len(groups), generator=generator).tolist() for sample in groups[number]]


def clip_gradient(parameters: list[Parameter], config: PPOConfig) -> float:
    """Clip the gradient and return its norm; refuse to step on one that is not finite."""
    norm = float(torch.nn.utils.clip_grad_norm_(parameters, config.max_gradient_norm))
    require_finite("the gradient's norm", norm)
    return norm


def set_learning_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Have the optimizer step at ``rate``."""
    for group in optimizer.param_groups:
        group["lr"] = rate


def load_optimizer(optimizer: torch.optim.Optimizer, state: Mapping[str, Any], name: str) -> None:
    """Put an optimizer's state back.

    Raises:
        RunError: If it belongs to other weights.
    """
    weights = [weight for group in optimizer.param_groups for weight in group["params"]]
    check_moments(state, weights, name)
    optimizer.load_state_dict(dict(state))


def _parts(policy: Policy, decisions: list[Decision], size: int) -> list[list[Decision]]:
    """Distinct decisions in groups to score at once."""
    if isinstance(policy, BatchingPolicy):
        return policy.batches(decisions)
    return [decisions[start : start + size] for start in range(0, len(decisions), size)]
