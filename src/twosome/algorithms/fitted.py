"""Values per action, the best policy near a prior for them, and its fit into the adapter.

Maximum a posteriori policy optimisation (Abdolmaleki et al. 2018) where the E step is exact, because every action's
probability is known: ``docs/fitted-policy.md`` has the equations, the settings and what was measured.

While it practises, nothing goes backward through the language model: each distinct decision is read once, its prior
and the features of its phrases are remembered, and what acts is the prior times exp(value / beta). Now and then, and at
the end, the adapter is fitted to what acted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Generator, Tensor
from torch.nn import Parameter

from twosome.algorithms.action_values import ActionValues
from twosome.algorithms.config import FittedConfig, PPOConfig
from twosome.algorithms.experience import Experience
from twosome.algorithms.fitting import Fit, fit
from twosome.algorithms.paid import Paid
from twosome.algorithms.reading import prompts_of, reading_of
from twosome.decision import Decision
from twosome.functional.categorical import entropy, kl_divergence, masked_log_softmax
from twosome.functional.tempered import mixed_with_uniform, temperature_for_limit, tempered, tempered_value
from twosome.types import OnStage, PhrasePolicy, Policy, Rollout, UpdateReport, unheard


class Fitted:
    """Improves a policy by the values of its actions.

    Args:
        policy: The policy whose prior is bent and whose actor is fitted.
        config: Hyper-parameters.
        ppo: Of these, gamma, max_gradient_norm and adam_epsilon count.
        generator: Shuffles the decisions of a fit.

    Raises:
        ConfigError: If the policy does not read phrases, or with ``fit_keep`` does not tell what it does to prompts.
    """

    def __init__(self, policy: Policy, config: FittedConfig, ppo: PPOConfig, generator: Generator) -> None:
        if config.fit_keep:
            prompts_of(policy)
        self.config = config
        self.ppo = ppo
        self.experience = Experience(ppo.gamma, config.replay)
        self.values = ActionValues(reading_of(policy, "fitted").feature_size, config)
        self._generator = generator
        self._paid = Paid()
        self._visits: dict[Decision, Tensor] = {}
        self._guessed: dict[Decision, Tensor] = {}
        self._last: Fit | None = None

    def acting(self, policy: Policy) -> Policy:
        """The policy that collects: the prior of ``policy``, bent by the values so far."""
        return _Acting(self, reading_of(policy, "fitted"))

    def write(self, policy: Policy, update: int, last: bool, on_stage: OnStage = unheard) -> bool:
        """Fit ``policy`` to what acted in the update that is under way, if that is due; whether it was."""
        self._last = None
        every = self.config.fit_every
        if not self.experience.decisions or not (last or (every is not None and (update + 1) % every == 0)):
            return False
        met = self._often()
        rows = self.policy_of(reading_of(policy, "fitted"), met, collecting=False)
        targets = {decision: row[: len(decision.actions)] for decision, row in zip(met, rows, strict=True)}
        self._last = fit(policy, targets, self.config, self.ppo, self._generator, on_stage)
        return True

    def update(self, policy: Policy, rollout: Rollout, progress: float, on_stage: OnStage = unheard) -> UpdateReport:
        """Learn what actions are worth from ``rollout`` and all before it; the policy's own weights stay."""
        on_stage("learning what actions are worth")
        reading = reading_of(policy, "fitted")
        self.values.scale(self._paid.see_rollout(rollout, self.ppo.gamma))
        self.experience.add(rollout)
        met = self.experience.decisions
        prior, features = self._prior(reading, met), reading.action_features(met)
        visits = self.experience.counts(prior.shape[1])
        metrics = self._learn(prior, features, visits)
        rows = zip(met, visits, strict=True)
        self._visits = {decision: row[: len(decision.actions)].clone() for decision, row in rows}
        self._guessed = {}
        if self._last is not None:
            metrics |= {"fit_kl": self._last.divergence, "fit_largest_kl": self._last.worst}
            metrics |= {"fit_change": self._last.change} if self._last.change is not None else {}
        return UpdateReport(metrics, self._last.steps if self._last is not None else 0, stopped_early=False)

    def policy_of(self, reading: PhrasePolicy, decisions: Sequence[Decision], *, collecting: bool) -> Tensor:
        """Log-probabilities of the bent prior: float32 [B, A], ``-inf`` where padded."""
        prior = self._prior(reading, decisions)
        values, visits = self._rows(reading, decisions, prior.shape[1])
        if collecting and self.config.bonus:
            values = values + self.config.bonus * self._paid.unit / (1 + visits).sqrt()
        return tempered(prior, values, self._temperature(prior, values, visits))

    def state_dict(self) -> dict[str, Any]:
        """Everything that was met, the values, the generator, and what was paid so far."""
        return {
            "experience": self.experience.state_dict(),
            "values": self.values.state_dict(self.experience.decisions),
            "generator": self._generator.get_state(),
            "paid": self._paid.state_dict(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Put back what :meth:`state_dict` returned.

        Raises:
            RunError: If it belongs to other weights.
        """
        self.experience.load_state_dict(state["experience"])
        met = self.experience.decisions
        self.values.load_state_dict(state["values"], met)
        self._generator.set_state(state["generator"])
        self._paid.load_state_dict(state["paid"])
        visits = self.experience.counts(max((len(each.actions) for each in met), default=1))
        rows = zip(met, visits, strict=True)
        self._visits = {decision: row[: len(decision.actions)].clone() for decision, row in rows}
        self._guessed = {}

    def _learn(self, prior: Tensor, features: Tensor, visits: Tensor) -> dict[str, float]:
        """Returns of all episodes under the policy that the values make, a few times over; then the heads."""

        def judged(values: Tensor) -> tuple[Tensor, Tensor]:
            beta = self._temperature(prior, values, visits)
            return tempered(prior, values, beta), tempered_value(prior, values, beta)

        met, episodes = self.experience.decisions, self.experience.episodes()
        values, loss = self.values.improve(met, features, visits, episodes, self._paid.unit, judged)
        beta = self._temperature(prior, values, visits)
        found, share = tempered(prior, values, beta), visits.sum(-1) / visits.sum()
        return {
            "value_loss": loss,
            "mean_value": float((share * tempered_value(prior, values, beta)).sum()),
            "entropy": float((share * entropy(found)).sum()),
            "prior_kl": float((share * kl_divergence(found, prior)).sum()),
            "temperature": float((share * beta.squeeze(-1)).sum()),
            "distinct_decisions": float(len(met)),
            "tried_actions": float((visits > 0).sum() / (prior != -torch.inf).sum()),
        }

    def _often(self) -> list[Decision]:
        """The decisions that were met often enough to be fitted to; all where none was."""
        met = self.experience.decisions
        least = self.config.fit_visits
        return [each for each in met if float(self._visits[each].sum()) >= least] or list(met)

    def _prior(self, reading: PhrasePolicy, decisions: Sequence[Decision]) -> Tensor:
        base = self.config.prior == "base"
        with torch.no_grad():
            ask = reading.reference_action_log_probs if base else reading.action_log_probs
            prior = ask(decisions).cpu()
            if self.config.prior_temperature != 1:
                prior = masked_log_softmax(prior / self.config.prior_temperature)
            return mixed_with_uniform(prior, self.config.exploration)

    def _temperature(self, prior: Tensor, values: Tensor, visits: Tensor) -> Tensor:
        """Beta of each decision [B, 1]: less the more often it was met, but never past the limit on KL."""
        config, unit = self.config, self._paid.unit
        cooled = config.temperature / (1 + visits.sum(-1, keepdim=True)) ** config.cooling
        beta = unit * cooled.clamp_min(config.lowest_temperature)
        if config.kl_limit is None:
            return beta
        return temperature_for_limit(prior, values, torch.full_like(beta, config.kl_limit), beta).to(beta.dtype)

    def _known(self, decision: Decision) -> bool:
        return decision in self._guessed or self.values.known(decision) is not None

    def _rows(self, reading: PhrasePolicy, decisions: Sequence[Decision], widest: int) -> tuple[Tensor, Tensor]:
        """Values and visits of actions, as of the last update: [B, ``widest``] each."""
        new = [each for each in dict.fromkeys(decisions) if not self._known(each)]
        if new:
            guesses = self.values.guessed(reading.action_features(new).cpu(), self._paid.unit)
            rows = zip(new, guesses, strict=True)
            self._guessed |= {decision: row[: len(decision.actions)] for decision, row in rows}
        values, visits = torch.zeros(len(decisions), widest), torch.zeros(len(decisions), widest)
        for row, decision in enumerate(decisions):
            known = self.values.known(decision)
            values[row, : len(decision.actions)] = self._guessed[decision] if known is None else known
            if decision in self._visits:
                visits[row, : len(decision.actions)] = self._visits[decision]
        return values, visits


class _Acting:
    """What collects: the bent prior, as a policy that nothing trains."""

    def __init__(self, algorithm: Fitted, reading: PhrasePolicy) -> None:
        self._algorithm = algorithm
        self._reading = reading

    def action_log_probs(self, decisions: Sequence[Decision]) -> Tensor:
        return self._algorithm.policy_of(self._reading, decisions, collecting=True)

    def values(self, decisions: Sequence[Decision]) -> Tensor:
        return torch.zeros(len(decisions))  # nobody asks: an algorithm without a critic

    def actor_parameters(self) -> list[Parameter]:
        return []

    def critic_parameters(self) -> list[Parameter]:
        return []

    def state_dict(self) -> dict[str, Tensor]:
        return {}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        # A policy has this method; checkpoints hold the algorithm and the adapter, which are all this one is made of.
        raise NotImplementedError("the bent prior has no weights of its own")
