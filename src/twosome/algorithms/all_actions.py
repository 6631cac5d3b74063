"""A policy gradient over all actions of every decision met, by what each of them is worth.

Mean actor-critic (Allen et al. 2017; Petit et al. 2019) on the values per action of :mod:`twosome.algorithms.fitted`:
what is drawn decides where the agent comes to, and no longer which action is learned about. Values are those of the
policy itself, by expected SARSA: with ``all_actions.trace`` 0 an action is worth

    r + gamma^d sum over a' of pi(a' | s') Q(s', a'),

its mean over all stored visits, Q as the update or sweep before left it; with more it follows what was done (Retrace).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Generator, Tensor

from twosome.algorithms.action_values import ActionValues
from twosome.algorithms.actor import Actor, Samples
from twosome.algorithms.config import AllActionsConfig, FittedConfig, PPOConfig
from twosome.algorithms.experience import Experience
from twosome.algorithms.paid import Paid, rounding
from twosome.algorithms.reading import reading_of
from twosome.functional.all_actions import BASELINES, mean_baseline
from twosome.functional.averages import Averages
from twosome.types import OnStage, PhrasePolicy, Policy, Rollout, UpdateReport, unheard


class AllActions:
    """Improves a policy's actor by the values of all actions.

    Args:
        policy: The policy whose actor is trained, and whose phrases are read.
        config: What counts of the values.
        values: How they are learned.
        ppo: How the actor is improved; what is there of a critic has no effect but ``critic_warmup_updates``.
        generator: Shuffles the samples; pass your own to make a run repeatable.

    Raises:
        ConfigError: If the policy does not read phrases.
    """

    def __init__(
        self, policy: Policy, config: AllActionsConfig, values: FittedConfig, ppo: PPOConfig, generator: Generator
    ) -> None:
        self.config = config
        self.ppo = ppo
        self.experience = Experience(ppo.gamma, values.replay)
        learning = replace(values, trace=config.trace, sweeps=config.sweeps)
        self.values = ActionValues(reading_of(policy, "all_actions").feature_size, learning)
        self._generator = generator
        self._updates = 0
        self._paid = Paid()
        self._actor = Actor(policy, ppo)

    def update(self, policy: Policy, rollout: Rollout, progress: float, on_stage: OnStage = unheard) -> UpdateReport:
        """Learn what actions are worth from all that was met, and improve ``policy`` where ``rollout`` was."""
        reading, metrics = reading_of(policy, "all_actions"), Averages()
        rate = self._actor.begin(progress)
        on_stage("learning what actions are worth")
        self._take_note(rollout, metrics)
        self.experience.add(rollout)
        self._learn(reading, metrics)
        samples = self._samples(reading, rollout)
        waiting = self.ppo.wait_for_reward and not self._paid.met
        steps, stopped = 0, False
        if not waiting and self._updates >= self.ppo.critic_warmup_updates:
            steps, stopped = self._actor.practise(policy, samples, self._generator, metrics, on_stage)
        self._actor.finish(metrics)
        self._updates += 1
        metrics.add(policy_learning_rate=rate)
        return UpdateReport(metrics.means(), steps, stopped)

    def state_dict(self) -> dict[str, Any]:
        """The actor's optimizer, everything that was met, the values, the generator, and what was paid so far."""
        return {
            **self._actor.state_dict(),
            "experience": self.experience.state_dict(),
            "values": self.values.state_dict(self.experience.decisions),
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
        self.experience.load_state_dict(state["experience"])
        self.values.load_state_dict(state["values"], self.experience.decisions)
        self._generator.set_state(state["generator"])
        self._updates = state["updates"]
        self._paid.load_state_dict(state["paid"])

    def _take_note(self, rollout: Rollout, metrics: Averages) -> None:
        self.values.scale(self._paid.see_rollout(rollout, self.ppo.gamma))
        metrics.add(**self._paid.facts())

    def _learn(self, reading: PhrasePolicy, metrics: Averages) -> None:
        """Values of the policy as it is, from everything that was met."""
        met, episodes = self.experience.decisions, self.experience.episodes()
        with torch.no_grad():
            log_policy = reading.action_log_probs(met).cpu()
        features, visits = reading.action_features(met).cpu(), self.experience.counts(log_policy.shape[1])

        def judged(values: Tensor) -> tuple[Tensor, Tensor]:
            return log_policy, mean_baseline(log_policy, values)

        values, loss = self.values.improve(met, features, visits, episodes, self._paid.unit, judged)
        share = visits.sum(-1) / visits.sum()
        metrics.add(
            value_loss=loss,
            mean_value=float((share * mean_baseline(log_policy, values)).sum()),
            distinct_decisions=float(len(met)),
            tried_actions=float((visits > 0).sum() / (log_policy != -torch.inf).sum()),
        )

    def _samples(self, reading: PhrasePolicy, rollout: Rollout) -> Samples:
        """The decisions of a rollout, with the advantages of their actions in the unit of the returns met so far."""
        decisions = rollout.flat_decisions
        acting, actions = rollout.action_log_probs.flatten(0, 1), rollout.actions.flatten()
        values = self.values.of(decisions, reading, acting.shape[1], self._paid.unit)
        baseline = BASELINES[self.config.baseline](acting, values)
        advantages = (values - baseline.unsqueeze(-1)) / self._paid.unit
        return Samples(
            decisions,
            actions,
            acting,
            advantages.gather(-1, actions.unsqueeze(-1)).squeeze(-1),
            rounding=rounding(values) / self._paid.unit,
            action_advantages=advantages if self.config.gradient == "all" else None,
        )
