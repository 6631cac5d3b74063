"""Hyper-parameters of the algorithms, kept apart so that the command line can read them without loading torch."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from twosome.errors import ConfigError

TrustRegion = Literal["ratio", "tv", "kl"]
Baseline = Literal["group_mean", "leave_one_out", "state_group", "state_value"]
AdvantageScope = Literal["rollout", "step", "minibatch", "none"]


def _positive(config: Any, group: str, *names: str) -> None:
    for name in names:
        if not getattr(config, name) > 0:
            raise ConfigError(f"{group}.{name} must be positive, got {getattr(config, name)}")


def _not_negative(config: Any, group: str, *names: str) -> None:
    for name in names:
        if not getattr(config, name) >= 0:
            raise ConfigError(f"{group}.{name} must not be negative, got {getattr(config, name)}")


@dataclass(frozen=True)
class PPOConfig:
    """Hyper-parameters of PPO. The defaults are the published ones for tomato salad, bar ``bootstrap_truncated``."""

    policy_learning_rate: float = 5e-7
    """Learning rate of the actor's AdamW."""
    value_learning_rate: float = 1e-5
    """Learning rate of the critic's Adam."""
    anneal_learning_rates: bool = True
    """Lower both learning rates linearly to 0 over the run."""
    gamma: float = 0.99
    """Discount per primitive step."""
    gae_lambda: float = 0.95
    """Lambda of generalised advantage estimation, applied once per decision."""
    semi_mdp: bool = True
    """Discount a decision by gamma to the power of its duration; off: by gamma, whatever it lasted."""
    bootstrap_truncated: bool = True
    """Bootstrap the value of a state cut off by a time limit; off: count it as terminal, as published."""
    epochs: int = 1
    """Passes over the rollout."""
    value_minibatch: int = 32
    """Decisions in a critic step."""
    policy_minibatch: int = 4
    """Decisions in a minibatch; how many a language model reads at a time, loading.token_budget decides."""
    accumulation_steps: int = 8
    """Minibatches accumulated into one actor step."""
    together: bool = False
    """Copies of a decision share actor steps, decisions in random order: each is read about once a pass, not in nearly
    every step. Less time where decisions repeat; a step then sees fewer of them."""
    normalize_advantages: AdvantageScope = "minibatch"
    """Over what advantages get mean 0 and deviation 1; published: each minibatch of 4."""
    clip: float = 0.2
    """Clip range of the probability ratio, where trust_region is ratio."""
    clip_high: float | None = None
    """How far a ratio may grow, if not as far as it may shrink (clip); 0.28 with clip 0.2 is DAPO's. Null: the same."""
    trust_region: TrustRegion = "ratio"
    """What bounds a step: the ratio of the action taken, or the exact total variation (tv) or KL of its state."""
    trust_radius: float = 0.1
    """Divergence of a state from the policy that acted, beyond which no step takes it farther; for tv and kl."""
    value_clip: float | None = 0.2
    """Clip range of the value change, in the unit of scale_returns; null for none."""
    scale_returns: bool = True
    """Measure returns in the largest power of two that the largest return met reaches; below 2 nothing changes."""
    wait_for_reward: bool = True
    """Train the critic alone until a reward that is not 0 was met: before it, advantages are noise."""
    entropy_coefficient: float = 0.01
    """Weight of the entropy bonus, exact over the admissible actions."""
    entropy_coefficient_end: float | None = None
    """Weight of the entropy bonus at the end of the run, to which it goes linearly; null for the same throughout."""
    tsallis_coefficient: float = 0.0
    """Weight of the exact bonus 1 - sum of squared probabilities, which fades where a policy is sure."""
    value_coefficient: float = 0.5
    """Weight of the value loss in the critic's step."""
    reference_kl_coefficient: float = 0.0
    """Weight of the exact KL of the action distribution to the frozen base's."""
    reference_kl_target: float | None = None
    """Change that weight after every update so that the KL comes near this; null for the same weight throughout."""
    max_gradient_norm: float = 0.5
    """Gradient norm to clip to, actor and critic each on their own."""
    target_kl: float | None = 0.02
    """Stop an update's actor steps when the KL to the policy that acted exceeds this (estimated from the actions taken
    where trust_region is ratio, else exact); null for never."""
    critic_warmup_updates: int = 0
    """First updates that train the critic alone."""
    adam_epsilon: float = 1e-5
    """Epsilon of both optimizers."""

    def __post_init__(self) -> None:
        positive = ("epochs", "value_minibatch", "policy_minibatch", "accumulation_steps", "clip", "max_gradient_norm")
        _positive(self, "ppo", *positive, "adam_epsilon", "trust_radius")
        _not_negative(
            self,
            "ppo",
            "policy_learning_rate",
            "value_learning_rate",
            "entropy_coefficient",
            "tsallis_coefficient",
            "value_coefficient",
            "reference_kl_coefficient",
            "critic_warmup_updates",
        )
        for name in ("gamma", "gae_lambda"):
            if not 0 <= getattr(self, name) <= 1:
                raise ConfigError(f"ppo.{name} must be between 0 and 1, got {getattr(self, name)}")
        for name in ("target_kl", "value_clip", "clip_high", "reference_kl_target"):
            if getattr(self, name) is not None and not getattr(self, name) > 0:
                raise ConfigError(f"ppo.{name} must be positive, or null for none, got {getattr(self, name)}")
        if self.entropy_coefficient_end is not None and not self.entropy_coefficient_end >= 0:
            raise ConfigError(f"ppo.entropy_coefficient_end must not be negative, got {self.entropy_coefficient_end}")
        if self.reference_kl_target is not None and not self.reference_kl_coefficient:
            raise ConfigError(
                "ppo.reference_kl_target changes the weight that ppo.reference_kl_coefficient begins with, and that is "
                "0; give it a positive one, such as 0.01"
            )
        if self.normalize_advantages == "minibatch" and self.policy_minibatch == 1:
            raise ConfigError(
                "ppo.normalize_advantages=minibatch with ppo.policy_minibatch=1 would make every advantage 0; "
                "use rollout or step, or a larger minibatch"
            )
        if self.normalize_advantages == "minibatch" and self.together:
            raise ConfigError(
                "ppo.normalize_advantages=minibatch with ppo.together would compare the copies of a decision with each "
                "other alone; use rollout or step"
            )


@dataclass(frozen=True)
class GroupsConfig:
    """How episodes that began alike are judged by each other; how the actor is improved is ``ppo``."""

    size: int = 4
    """Episodes that begin from one seed and are judged together; num_envs must be a multiple of it."""
    baseline: Baseline = "state_value"
    """What an action is compared with: the group's mean return (group_mean; Dr. GRPO), that of the other members
    (leave_one_out), both of the episode and of all visits of the same state (state_group; GiGPO), or values of states
    that are their mean return (state_value; GAGPO)."""
    scale: Literal["none", "std"] = "none"
    """Divide by the group's standard deviation (std; with group_mean it is GRPO) or not."""
    memory: int = 0
    """Earlier groups whose visits of a state count, too, for state_group and state_value; published: 0."""
    state_weight: float = 1.0
    """Weight of the part of state_group that compares visits of the same state."""
    horizon: int = 50
    """Decisions that an episode's sum is divided by: a constant, as its own length would favour long failures."""

    def __post_init__(self) -> None:
        if self.size < 2:
            raise ConfigError(f"groups.size must be at least 2, for episodes to be compared with, got {self.size}")
        if self.horizon < 1:
            raise ConfigError(f"groups.horizon must be at least 1, got {self.horizon}")
        _not_negative(self, "groups", "memory", "state_weight")


@dataclass(frozen=True)
class TrieConfig:
    """How the words of a phrase are credited; all else is ``ppo``."""

    credit: Literal["bad", "ntpo"] = "bad"
    """What happens to values between the words of a phrase: nothing (bad, of POAD), or gamma for each word (ntpo)."""


@dataclass(frozen=True)
class FullVocabularyConfig:
    """How the tokens of a phrase are credited, by their probability under the whole vocabulary; all else is ``ppo``."""

    credit: Literal["bad", "ntpo"] = "bad"
    """What happens to values between the tokens of a phrase: nothing (bad, of POAD), or gamma for each (ntpo)."""


@dataclass(frozen=True)
class FittedConfig:
    """Values per action, the policy they make of the prior, its fit into the adapter; gamma and clipping are ppo's."""

    prior: Literal["base", "adapter"] = "base"
    """What the values bend: the frozen base for good, or the adapter as it was fitted last (policy iteration)."""
    prior_temperature: float = 1.0
    """The prior's logits are divided by it: above 1 what the prior is sure of, right or wrong, counts for less."""
    temperature: float = 0.2
    """Beta of a decision met for the first time: the value, in units of returns, that outweighs a nat of the prior."""
    cooling: float = 0.5
    """Beta is divided by (1 + visits of the decision) to this power: what was tried often is believed."""
    lowest_temperature: float = 0.01
    """Beta is never below that."""
    kl_limit: float | None = None
    """Furthest that a decision's policy may be from the prior, in nats, met exactly by raising beta; null for none."""
    exploration: float = 0.02
    """Share of even play mixed into the prior: without it, what the prior rules out is never tried."""
    bonus: float = 0.0
    """Added to the value of an action, divided by the root of 1 + how often it was tried, while collecting."""
    trace: float = 1.0
    """Lambda of Retrace: 1 follows what was done as far as the policy would do it, 0 looks one decision ahead."""
    half_life: float | None = None
    """Episodes after which one counts half as much as a new one; null for never."""
    sweeps: int = 5
    """Looks at all episodes in an update, each with the values of the last."""
    replay: int = 20_000
    """About how many taken decisions are kept; the oldest episodes go first."""
    hidden: list[int] = field(default_factory=lambda: [128, 128])
    """Widths of the hidden layers of the two networks that value untried actions by their words."""
    value_learning_rate: float = 1e-3
    """Learning rate of their Adam."""
    value_steps: int = 8
    """Their steps in an update, each over everything that was tried."""
    guess_visits: float = 0.0
    """What the networks say of an action counts as so many visits of it, for prompts that hardly ever come again."""
    fit_every: int | None = 128
    """Updates between fits of the adapter; null for none but that of the last update, which has one in any case."""
    fit_learning_rate: float = 1e-3
    """Learning rate of the fit's AdamW, which begins anew with every fit."""
    fit_anneal: bool = False
    """Lower the fit's learning rate linearly to 0 over its passes: at one rate, what is left in the end is noise."""
    fit_passes: int = 30
    """Most passes of a fit over the decisions that are kept."""
    fit_minibatch: int = 64
    """Decisions in a step of the fit."""
    fit_visits: int = 1
    """Decisions that were met less often are no part of a fit: their values are guesses, and every one costs time."""
    fit_keep: float = 0.0
    """Weight, beside the mean KL, of how far a fit moves what the model makes of the prompts' words: of other text."""
    fit_tolerance: float = 0.003
    """Mean KL, in nats, from the policy to the adapter at which a fit is good enough."""
    fit_patience: int | None = None
    """Passes in a row without a lower mean KL than any before, after which a fit ends; null for no such end."""

    def __post_init__(self) -> None:
        positive = ("temperature", "lowest_temperature", "sweeps", "replay", "value_steps", "fit_passes", "fit_visits")
        _positive(self, "fitted", *positive, "fit_minibatch", "fit_tolerance", "prior_temperature")
        _not_negative(self, "fitted", "cooling", "bonus", "guess_visits", "value_learning_rate", "fit_learning_rate")
        _not_negative(self, "fitted", "fit_keep")
        if not 0 <= self.trace <= 1:
            raise ConfigError(f"fitted.trace must be between 0 and 1, got {self.trace}")
        if not 0 <= self.exploration < 1:
            raise ConfigError(f"fitted.exploration must be at least 0 and below 1, got {self.exploration}")
        for name in ("kl_limit", "half_life", "fit_every", "fit_patience"):
            if getattr(self, name) is not None and not getattr(self, name) > 0:
                raise ConfigError(f"fitted.{name} must be positive, or null for none, got {getattr(self, name)}")
        if not self.hidden or min(self.hidden) < 1:
            raise ConfigError(f"fitted.hidden must list at least one positive width, got {self.hidden}")


@dataclass(frozen=True)
class AllActionsConfig:
    """What counts of the values of actions. Of ``fitted`` counts how they are learned (replay, half_life, hidden,
    guess_visits, value_*); how the actor is improved is ``ppo``."""

    gradient: Literal["all", "taken"] = "all"
    """Add up all actions of a decision (all; mean actor-critic), or count the one that was drawn (taken)."""
    baseline: Literal["mean", "optimal"] = "mean"
    """What an action is compared with: the policy's mean value (mean), or the baseline of least variance, exact
    (optimal). Where all are added up it changes no gradient, only what is clipped."""
    trace: float = 0.9
    """Lambda of what an action is worth: 0 is expected SARSA, one decision ahead; more follows what was done (Retrace).
    Near 1 the errors of whole episodes add up, and values of few episodes can grow from update to update."""
    sweeps: int = 1
    """Looks at all episodes in an update, each with the values of the last."""

    def __post_init__(self) -> None:
        _positive(self, "all_actions", "sweeps")
        if not 0 <= self.trace <= 1:
            raise ConfigError(f"all_actions.trace must be between 0 and 1, got {self.trace}")
