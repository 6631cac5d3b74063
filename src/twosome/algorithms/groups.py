"""Policy gradients without a critic: an action is judged by other episodes that began alike.

The collector lets ``groups.size`` environments begin their k-th episodes from one seed. A group is learned from once
all its episodes have ended, with PPO's actor and the probabilities of the policy that acted, so an episode that began
before an update is weighed by its ratio. :mod:`twosome.functional.groups` has the equations.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch.nn.utils.rnn import pad_sequence

from twosome.algorithms.actor import Actor, Samples, equal_parts
from twosome.algorithms.config import GroupsConfig, PPOConfig
from twosome.algorithms.paid import Paid
from twosome.algorithms.pending import Member, Pending
from twosome.algorithms.visits import Visits
from twosome.functional.averages import Averages, require_finite
from twosome.functional.groups import BASELINES, Advantages, Judging, Trajectory, returns_by_state
from twosome.types import OnStage, Policy, Rollout, UpdateReport, unheard

_EQUAL = 1e-9
"""Advantages that are this small a part of the returns they were made from are none."""


class Groups:
    """Improves a policy from groups of episodes; has no critic.

    Args:
        policy: The policy whose actor's parameters are trained.
        config: How episodes are judged.
        ppo: How the actor is improved; what is there of a critic has no effect.
        generator: Shuffles the samples; pass your own to make a run repeatable.
    """

    def __init__(self, policy: Policy, config: GroupsConfig, ppo: PPOConfig, generator: torch.Generator) -> None:
        self.config = config
        self._ppo = replace(ppo, normalize_advantages="none")  # groups.scale says what they are divided by
        self._judging = Judging(ppo.gamma, ppo.gae_lambda, config.scale == "std", config.state_weight)
        self._generator = generator
        self._pending = Pending(config.size)
        self._visits = Visits(config.memory)
        self._paid = Paid()
        self._actor = Actor(policy, self._ppo)

    def update(self, policy: Policy, rollout: Rollout, progress: float, on_stage: OnStage = unheard) -> UpdateReport:
        """Improve ``policy`` from the groups that ``rollout`` completes; ``progress`` in [0, 1] anneals."""
        metrics = Averages()
        rate = self._actor.begin(progress)
        self._pending.add(rollout)
        groups = [(members, self._judge(members)) for members in self._pending.complete()]
        self._take_note(rollout, groups, metrics)
        telling = [(members, advantages) for members, advantages in groups if advantages is not None]
        metrics.add(
            groups=len(groups), zero_variance_groups=len(groups) - len(telling), waiting_decisions=len(self._pending)
        )
        steps, stopped = 0, False
        if telling:
            samples = self._samples(telling, sum(len(members) for members, _ in groups))
            metrics.add(mean_advantage=float(samples.advantages.mean()))
            steps, stopped = self._actor.practise(
                policy, samples, self._generator, metrics, on_stage, split=self._steps
            )
        self._actor.finish(metrics)
        metrics.add(policy_learning_rate=rate)
        return UpdateReport(metrics.means(), steps, stopped)

    def state_dict(self) -> dict[str, Any]:
        """The actor's optimizer, the generator, the episodes that wait, what was visited, and what was paid so far."""
        return {
            **self._actor.state_dict(),
            "generator": self._generator.get_state(),
            "pending": self._pending.state_dict(),
            "visits": self._visits.state_dict(),
            "paid": self._paid.state_dict(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Put back what :meth:`state_dict` returned.

        Raises:
            RunError: If it belongs to other weights.
        """
        self._actor.load_state_dict(state)
        self._generator.set_state(state["generator"])
        self._pending.load_state_dict(state["pending"])
        self._visits.load_state_dict(state["visits"])
        self._paid.load_state_dict(state["paid"])

    def _judge(self, members: Sequence[Member]) -> Advantages | None:
        """The advantages of a group, or None if they are all 0, as where all its episodes were worth the same."""
        trajectories = self._trajectories(members)
        met = [*(d for member in members for d in member.decisions), *(m.followed for m in members if m.followed)]
        found = BASELINES[self.config.baseline](trajectories, self._judging, self._visits.of(met))
        largest = max(abs(total) for each in trajectories for total in each.returns(self._judging.gamma))
        self._visits.add(returns_by_state(trajectories, self._judging.gamma))
        require_finite("the largest return", largest)
        return found if max(abs(advantage) for each in found for advantage in each) > _EQUAL * largest else None

    def _trajectories(self, members: Sequence[Member]) -> list[Trajectory]:
        return [member.trajectory(self._ppo.semi_mdp, self._ppo.bootstrap_truncated) for member in members]

    def _take_note(self, rollout: Rollout, groups: Sequence[tuple[list[Member], Any]], metrics: Averages) -> None:
        """Note what was paid, and on which scale; the entropy's weight is meant for returns of about 1."""
        trajectories = [trajectory for members, _ in groups for trajectory in self._trajectories(members)]
        gamma = self._judging.gamma
        largest = max((abs(total) for each in trajectories for total in each.returns(gamma)), default=0.0)
        self._paid.see(rollout.rewards, largest, self._ppo.scale_returns)
        metrics.add(**self._paid.facts())

    def _samples(self, groups: Sequence[tuple[list[Member], Advantages | None]], episodes: int) -> Samples:
        """All decisions of some groups.

        Args:
            groups: Those that tell something.
            episodes: How many episodes there were, those of other groups among them.
        """
        members = [member for group, _ in groups for member in group]
        rows = [row for member in members for row in member.action_log_probs]
        advantages = [advantage for _, found in groups for each in found or () for advantage in each]
        return Samples(
            [decision for member in members for decision in member.decisions],
            torch.tensor([action for member in members for action in member.actions]),
            pad_sequence(rows, batch_first=True, padding_value=-torch.inf),
            torch.tensor(advantages) / self._paid.unit,
            rounding=0.0,
            weight=len(advantages) / (episodes * self.config.horizon),
        )

    def _steps(self, order: list[int]) -> list[list[int]]:
        """The samples of each actor step of a pass, as even as can be: how many there are is never known before."""
        return equal_parts(order, round(len(order) / (self._ppo.policy_minibatch * self._ppo.accumulation_steps)))
