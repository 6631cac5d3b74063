"""How fast decisions are scored: a whole PPO cycle, against the plain way, phase by phase.

The plain way (:class:`~twosome.bench.plain.PlainPolicy`) is measured on a few steps and minibatches and scaled to
the cycle; ours runs in full, through the same policy and the same PPO that train. Both alternate in one process, times
are processor time, and every figure is a median.
"""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from twosome.algorithms.config import PPOConfig
from twosome.algorithms.ppo import PPO
from twosome.bench.matrix_products import counting_products, matmul_peak
from twosome.bench.plain import PlainPolicy
from twosome.bench.precision import Comparison, Errors
from twosome.bench.scoring_report import (
    ENVS,
    MINIBATCH,
    STEPS,
    Agreement,
    Report,
    Setup,
    phases_of,
)
from twosome.bench.subjects import decisions_to_score, load_models
from twosome.decision import Decision
from twosome.functional.losses import clipped_surrogate, value_loss
from twosome.models.policy import Critic, LanguageModelPolicy
from twosome.tokens.encoding import Encoder
from twosome.types import Rollout

_SETTINGS = PPOConfig(
    epochs=1,
    policy_minibatch=MINIBATCH,
    value_minibatch=ENVS * STEPS // 4,
    policy_learning_rate=1e-5,
    target_kl=None,
    normalize_advantages="rollout",
)


class ScoringBench:
    """Both ways on the same weights and decisions.

    Args:
        setup: What is measured.
        on_progress: Told what is being done.
    """

    def __init__(self, setup: Setup, on_progress: Callable[[str], None] = lambda words: None) -> None:
        self.setup, self._on_progress = setup, on_progress
        self.exact = setup.dtype == "float32"
        on_progress(f"loading {setup.model or setup.size} in {setup.dtype}")
        models = load_models(setup)
        torch.manual_seed(1)
        critic = Critic(models.width).to(setup.device)
        self._model, self._tokenizer, self._critic = models.ours, models.tokenizer, critic
        self._encoder = Encoder(models.tokenizer)
        self.reference = PlainPolicy(models.plain, self._encoder, critic, "word")
        self.policy = self._new_policy()
        self.rows, self.decisions = decisions_to_score(setup, self.policy)
        # As many as a step of the optimizer takes, or as whole rows can be made of.
        self.fresh = self.decisions[: min(MINIBATCH * setup.accumulation, len(self.decisions) // ENVS * ENVS)]

    def agreement(self) -> Agreement:
        """Compare the ways on the same weights, adapter on the same layers."""
        decisions = self.decisions[: self.setup.together]
        self._on_progress(f"agreement on {len(decisions)} of {len(self.decisions)} distinct decisions")
        plain = PlainPolicy(self._model, self._encoder, self._critic, "word")
        found, gradients = [], []
        for scores in (plain.scores, self.policy.scorer.scores):
            log_probs = scores(decisions).token_log_probs
            weights = torch.linspace(-1, 1, log_probs.numel(), device=log_probs.device).view_as(log_probs)
            torch.autograd.backward((log_probs * weights).sum())
            found.append(log_probs.detach())
            gradients.append(
                torch.cat([p.grad.flatten() for p in self.policy.actor_parameters() if p.grad is not None])
            )
            self._zero()
        difference = (gradients[0] - gradients[1]).norm() / gradients[0].norm()
        return Agreement(float((found[0] - found[1]).abs().max()), float(difference), self._ratio(), self._errors())

    def run(self, agreement: Agreement | None = None) -> Report:
        """Measure everything; see :class:`Report`.

        Args:
            agreement: What :meth:`agreement` found; None to find out.
        """
        report = Report(self.setup, self.policy.scorer.reader.describe(), agreement or self.agreement())
        plain: dict[str, list[float]] = {}
        ours: dict[str, list[float]] = {}
        peaks: list[float] = []
        self._on_progress("the plain way, once for nothing")
        self._plain_units()  # not timed: the first run of anything is slower
        for repetition in range(self.setup.repetitions):
            self._on_progress(f"repetition {repetition + 1} of {self.setup.repetitions}")
            for name, seconds in self._plain_units().items():
                plain.setdefault(name, []).append(seconds)
            for name, seconds in self._cycles().items():
                ours.setdefault(name, []).append(seconds)
            # Right after the update: how fast a shared machine is changes by the minute.
            peaks.append(matmul_peak(self.policy.model))
        reference = {name: statistics.median(times) for name, times in plain.items()}
        medians = {name: statistics.median(times) for name, times in ours.items()}
        report.phases = phases_of(reference, medians, len(self.fresh))
        report.reference_tokens = self._reference_tokens()
        report.tokens, operations = self._work()
        report.peak = statistics.median(peaks)
        updates = ours["policy update, nothing repeated"]
        report.busy = statistics.median(
            operations / seconds / peak / 1e9 for seconds, peak in zip(updates, peaks, strict=True)
        )
        return report

    def _new_policy(self) -> LanguageModelPolicy:
        return LanguageModelPolicy(
            self._model,
            self._tokenizer,
            self._critic,
            token_budget=self.setup.token_budget,
            memory_limit=2**30,
            attention=self.setup.attention,
        )

    def _zero(self) -> None:
        for parameter in (*self.policy.actor_parameters(), *self._critic.parameters()):
            parameter.grad = None

    def _errors(self) -> Errors | None:
        """How far both are from a higher precision, of a trained model."""
        if self.setup.model is None:
            return None
        few = random.Random(self.setup.seed).sample(self.decisions, min(self.setup.decisions, len(self.decisions)))
        return Comparison(self.policy.scorer, few, 2, self.setup.seed, self._on_progress).errors()

    def _ratio(self) -> float:
        """How far probabilities move when the same decisions come in other packs."""
        decisions = self.decisions[: 2 * MINIBATCH]
        scorer, worst = self.policy.scorer, 0.0
        with torch.no_grad():
            together = scorer.scores(decisions).token_log_probs
            order = list(range(len(decisions)))
            for size in (1, 3, len(decisions)):
                random.Random(size).shuffle(order)
                for start in range(0, len(order), size):
                    rows = order[start : start + size]
                    found = scorer.scores([decisions[row] for row in rows]).token_log_probs
                    expected = together[rows][:, : found.shape[1], : found.shape[2]]
                    worst = max(worst, float((found - expected).abs().max()))
        return worst

    def _plain_units(self) -> dict[str, float]:
        """Processor seconds of the plain way for one step of the rollout, and for one minibatch of each update."""
        rng, policy = random.Random(0), self.reference
        together = self.setup.together
        groups = [rng.sample(self.decisions, together) for _ in range(self.setup.sampled)]

        def act(group: list[Decision]) -> None:
            with torch.no_grad():
                policy.action_log_probs(group)

        def value(group: list[Decision]) -> None:
            with torch.no_grad():
                policy.values(group)

        def improve_critic(group: list[Decision]) -> None:
            zeros = torch.zeros(len(group), device=self.setup.device)
            torch.autograd.backward(value_loss(policy.values(group), zeros, zeros + 1, None).mean())

        def improve_actor(group: list[Decision]) -> None:
            log_probs = policy.action_log_probs(group)[:, 0]
            advantages = torch.ones_like(log_probs)
            torch.autograd.backward(clipped_surrogate(log_probs - log_probs.detach(), advantages, 0.2).mean())

        units = {"act": act, "value": value, "critic": improve_critic, "actor": improve_actor}
        times = {}
        for name, work in units.items():
            seconds = []
            for number, group in enumerate(groups):
                self._on_progress(f"the plain way: {name}, sample {number + 1} of {len(groups)}")
                seconds.append(self._timed(work, group) * MINIBATCH / together)
            times[name] = statistics.fmean(seconds)
        for parameter in (*policy.actor_parameters(), *policy.critic_parameters()):
            parameter.grad = None
        return times

    def _cycles(self) -> dict[str, float]:
        """Processor seconds of our parts: the first cycle, the third, and an update without repetitions.

        From the third on, features are known, and it is known that decisions come again.
        """
        self.policy = policy = self._new_policy()
        learner = PPO(policy, self._settings(), torch.Generator().manual_seed(0))
        values_alone = PPO(policy, self._settings(critic_warmup_updates=10**9), torch.Generator().manual_seed(0))
        times: dict[str, float] = {}
        for name in ("cold", "second", "warm"):
            self._on_progress(f"ours: a cycle, {name}")
            times[f"actor, {name}"] = self._timed(self._act, policy.action_log_probs)
            times[f"critic, {name}"] = self._timed(self._value)
            rollout = self._rollout(self.rows)
            times[f"value update, {name}"] = self._timed(values_alone.update, policy, rollout, 0.0)
            both = self._timed(learner.update, policy, rollout, 0.0)
            times[f"policy update, {name}"] = both - times[f"value update, {name}"]
        self._on_progress("ours: an update, nothing repeated")
        rollout = self._rollout([self.fresh[i : i + ENVS] for i in range(0, len(self.fresh), ENVS)])
        value = self._timed(values_alone.update, policy, rollout, 0.0)
        value = self._timed(values_alone.update, policy, rollout, 0.0)  # features of the new ones are known by now
        times["policy update, nothing repeated"] = self._timed(learner.update, policy, rollout, 0.0) - value
        return times

    def _act(self, ask: Callable[[Sequence[Decision]], Tensor]) -> None:
        with torch.no_grad():
            for row in self.rows:
                ask(row)

    def _value(self) -> None:
        """Value all decisions of a rollout at its end, as the collector does."""
        with torch.no_grad():
            self.policy.values([decision for row in self.rows for decision in row])

    def _rollout(self, rows: Sequence[Sequence[Decision]]) -> Rollout:
        """A rollout of made-up rewards over the decisions."""
        shape = (len(rows), ENVS)
        generator = torch.Generator().manual_seed(0)
        actions = torch.zeros(shape, dtype=torch.long)
        with torch.no_grad():
            found = [self.policy.action_log_probs(row).cpu() for row in rows]
            values = torch.stack([self.policy.values(row).cpu() for row in rows])
        never = torch.zeros(shape, dtype=torch.bool)
        return Rollout(
            decisions=tuple(tuple(row) for row in rows),
            actions=actions,
            action_log_probs=torch.stack([log_probs[:, :1] for log_probs in found]),
            values=values,
            next_values=values,
            rewards=torch.randn(shape, generator=generator),
            durations=torch.ones(shape, dtype=torch.long),
            terminated=never,
            truncated=never,
            episodes=torch.arange(ENVS).expand(shape),
            groups=torch.arange(ENVS).expand(shape),
        )

    def _settings(self, **changes: Any) -> PPOConfig:
        """Of an update; with a warm-up of the critic without end, the actor is at rest."""
        return replace(_SETTINGS, accumulation_steps=self.setup.accumulation, **changes)

    def _timed(self, work: Callable[..., Any], *arguments: Any) -> float:
        """Seconds of processor time; on a GPU of wall-clock time, its work finished."""
        if self.setup.device == "cpu":
            began = time.process_time()
            work(*arguments)
            return time.process_time() - began
        torch.cuda.synchronize()
        began = time.perf_counter()
        work(*arguments)
        torch.cuda.synchronize()
        return time.perf_counter() - began

    def _reference_tokens(self) -> int:
        """Token slots of the plain way in a cycle: actor twice, critic twice."""
        slots = 0
        for row in self.rows:
            encoded = [self._encoder.encode(decision) for decision in row]
            longest = max(len(e.prompt_ids) + len(a) for e in encoded for a in e.action_ids)
            slots += 2 * longest * sum(len(e.action_ids) for e in encoded)
            slots += 2 * max(len(e.prompt_ids) for e in encoded) * len(row)
        return slots

    def _work(self) -> tuple[int, int]:
        """Tokens of a warm cycle, and operations in the matrix products of an update in which nothing is repeated."""
        fed: list[int] = []
        embedding = self.policy.model.get_input_embeddings()
        handle = embedding.register_forward_hook(lambda module, inputs, output: fed.append(inputs[0].numel()))
        learner = PPO(self.policy, self._settings(), torch.Generator().manual_seed(0))
        self._act(self.policy.action_log_probs)
        learner.update(self.policy, self._rollout(self.rows), 0.0)
        tokens = sum(fed)
        handle.remove()
        with counting_products() as counter:
            for group in self.policy.batches(self.fresh):
                torch.autograd.backward(self.policy.action_log_probs(group)[:, 0].sum())
        self._zero()
        return tokens, counter.get_total_flops()
