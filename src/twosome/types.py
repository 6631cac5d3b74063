"""Records and protocols that pass between layers.

**T** decisions per environment in a rollout, **N** environments, **B** decisions in a batch, **A** widest set of
admissible actions in the batch, **K** tokens in the longest action prompt. In masks True means real. Log-probabilities
are in nats, durations in primitive environment steps.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from torch import Tensor
from torch.nn import Parameter

from twosome.decision import Decision


@dataclass(frozen=True)
class ActionScores:
    """What a language model thinks of every token of every admissible action.

    Attributes:
        decisions: The B decisions scored, in order; lets a normalization count words or bytes.
        token_log_probs: float32 [B, A, K], log-probability in nats of each action token after the prompt and the
            action's earlier tokens; 0 where padded.
        token_mask: bool [B, A, K], True at real action tokens; ``token_mask.any(-1)`` is the action mask [B, A].
    """

    decisions: tuple[Decision, ...]
    token_log_probs: Tensor
    token_mask: Tensor

    @property
    def action_mask(self) -> Tensor:
        """Bool [B, A], True at real actions."""
        return self.token_mask.any(-1)


OnStage = Callable[[str], None]
"""Is told in words what is being done, as often as that changes; decides itself what of it to show."""


def unheard(stage: str) -> None:
    """Where nobody wants to know what is being done."""


Normalization = Callable[[ActionScores], Tensor]
"""Scores to logits: float32 [B, A], ``-inf`` where padded."""


class Policy(Protocol):
    """What the collector and the algorithms need to know of a policy."""

    def action_log_probs(self, decisions: Sequence[Decision]) -> Tensor:
        """Float32 [B, A] log-probabilities, ``-inf`` where padded, differentiable in the actor."""
        ...

    def values(self, decisions: Sequence[Decision]) -> Tensor:
        """Float32 [B] state values, differentiable in the critic."""
        ...

    def actor_parameters(self) -> list[Parameter]:
        """The parameters the actor's optimizer trains."""
        ...

    def critic_parameters(self) -> list[Parameter]:
        """The parameters the critic's optimizer trains."""
        ...

    def state_dict(self) -> dict[str, Tensor]:
        """The trained weights only, never the frozen base."""
        ...

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Put back what :meth:`state_dict` returned."""
        ...


class TrainablePolicy(Policy, Protocol):
    """A policy that a run trains and keeps."""

    def save(self, directory: Path) -> None:
        """Write the trained weights as files."""
        ...

    def facts(self) -> dict[str, Any]:
        """What a run notes of it besides its configuration: device, scoring."""
        ...

    def effort(self) -> dict[str, int]:
        """What it has done since it was made, as counts that only grow; see :mod:`twosome.runs.recorder`."""
        ...


@runtime_checkable
class ReferencePolicy(Protocol):
    """A policy that also knows the frozen one it started from."""

    def reference_action_log_probs(self, decisions: Sequence[Decision]) -> Tensor:
        """Float32 [B, A] log-probabilities of the frozen base, without gradient."""
        ...


@runtime_checkable
class PhrasePolicy(ReferencePolicy, Policy, Protocol):
    """A policy whose frozen model reads phrases, so that actions can be valued by their words."""

    @property
    def feature_size(self) -> int:
        """Width H of the features."""
        ...

    def action_features(self, decisions: Sequence[Decision]) -> Tensor:
        """Float32 [B, A, H], the frozen base's state at each phrase's last token, 0 where padded, without gradient."""
        ...


@runtime_checkable
class PromptPolicy(Protocol):
    """A policy that says how far it moves what its frozen model makes of the words of prompts."""

    def prompt_change(self, decisions: Sequence[Decision]) -> Tensor:
        """Float32 [B], the mean squared change of the prompts' tokens but the last, relatively; differentiable."""
        ...


@dataclass(frozen=True)
class Place:
    """Where a phrase has begun.

    Attributes:
        decision: The decision.
        action: Index of the phrase.
        tokens: How many of its tokens are there.
    """

    decision: Decision
    action: int
    tokens: int


@runtime_checkable
class TokenPolicy(Policy, Protocol):
    """A policy that says what its probabilities are made of, and values what comes between the tokens of a phrase."""

    def action_scores(self, decisions: Sequence[Decision]) -> tuple[Tensor, ActionScores]:
        """Log-probabilities [B, A] as :meth:`action_log_probs` has them, and the tokens' under the whole vocabulary."""
        ...

    def token_values(self, places: Sequence[Place]) -> Tensor:
        """Float32 [n] values where phrases have begun, differentiable in the critic."""
        ...


@runtime_checkable
class ScalableValues(Protocol):
    """A policy whose critic can be told on which scale its values are."""

    def scale_values(self, factor: float) -> None:
        """Have the critic's network count in a unit ``factor`` times as large; what it says of any state stays."""
        ...


@runtime_checkable
class BatchingPolicy(Protocol):
    """A policy that knows which decisions are cheap to score together."""

    def batches(self, decisions: Sequence[Decision]) -> list[list[Decision]]:
        """Distinct decisions in groups, each small enough to score with a gradient at once."""
        ...


@runtime_checkable
class ForeseeingPolicy(Protocol):
    """A policy that may have to refuse decisions, and would rather say so before the first than at the thousandth."""

    def foresee(self, decisions: Iterable[Decision]) -> None:
        """Look at decisions that will be asked for."""
        ...


@dataclass(frozen=True)
class Rollout:
    """T decisions in each of N environments. Every tensor is [T, N]; without a critic values are 0.

    Attributes:
        decisions: T x N decisions.
        actions: int64, index into ``decision.actions``.
        action_log_probs: float32 [T, N, A], of every admissible action under the policy that acted; ``-inf`` where
            padded.
        values: float32, of the decisions, by the critic at that time.
        next_values: float32, of the state that really followed, final states included.
        rewards: float32, what the environment paid for the action.
        durations: int64, primitive steps each action took.
        terminated: bool, the episode ended in a terminal state.
        truncated: bool, the episode was cut by a limit.
        episodes: int64, which episode the decision belongs to: how many its collector began before it.
        groups: int64, equal for episodes that began from the same seed; see :class:`twosome.rollout.Collector`.
        followed: T x N decisions of the states that really followed, final states included; empty if nobody kept them.
    """

    decisions: tuple[tuple[Decision, ...], ...]
    actions: Tensor
    action_log_probs: Tensor
    values: Tensor
    next_values: Tensor
    rewards: Tensor
    durations: Tensor
    terminated: Tensor
    truncated: Tensor
    episodes: Tensor
    groups: Tensor
    followed: tuple[tuple[Decision, ...], ...] = ()

    @property
    def log_probs(self) -> Tensor:
        """Float32 [T, N], of the actions taken, under the policy that acted."""
        return self.action_log_probs.gather(-1, self.actions.unsqueeze(-1)).squeeze(-1)

    @property
    def flat_decisions(self) -> list[Decision]:
        """The T times N decisions in the order in which the tensors' elements come when they are flattened."""
        return [decision for row in self.decisions for decision in row]


@dataclass(frozen=True)
class UpdateReport:
    """What one update did.

    Attributes:
        metrics: Named averages over the update (losses, entropy, KL, clip fraction, gradient norms...).
        optimizer_steps: Steps the actor's optimizer took.
        stopped_early: True if the KL limit ended the update.
    """

    metrics: dict[str, float]
    optimizer_steps: int
    stopped_early: bool


class Algorithm(Protocol):
    """Owns hyper-parameters and optimizers; improves a policy from a rollout. See :mod:`twosome.algorithms`."""

    def update(self, policy: Policy, rollout: Rollout, progress: float, on_stage: OnStage = unheard) -> UpdateReport:
        """Improve ``policy``; ``progress`` in [0, 1] is the fraction of training done, for annealing.

        ``on_stage`` is told which step begins, as models that need minutes for one are not rare.
        """
        ...

    def state_dict(self) -> dict[str, Any]:
        """Everything an exact continuation needs."""
        ...

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Put back what :meth:`state_dict` returned."""
        ...


@runtime_checkable
class ActingAlgorithm(Protocol):
    """An algorithm that acts with something else than the policy's weights, and writes it into them when due."""

    def acting(self, policy: Policy) -> Policy:
        """Who collects the next rollout."""
        ...

    def write(self, policy: Policy, update: int, last: bool, on_stage: OnStage = unheard) -> bool:
        """Have ``policy`` play like who collected the rollout of ``update``, if it is due; whether it was.

        It is due at ``last`` in any case.
        """
        ...
