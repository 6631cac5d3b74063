"""What a benchmark of scoring measures and finds: times of both ways by part of a PPO cycle, and how far they agree."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

import torch

from twosome.bench.play import Play
from twosome.bench.precision import Errors
from twosome.bench.workloads import SIZES, WORKLOADS
from twosome.errors import ConfigError
from twosome.scoring.attention import Attention

ENVS, STEPS, MINIBATCH, ACCUMULATION = 4, 32, 4, 8
"""A cycle: 4 environments of 32 steps, then minibatches of 4, 8 of them to an optimizer step, one epoch."""

LARGEST_DIFFERENCE = 1e-5
"""Bound of log-probabilities (nats) and of the gradient's relative difference, in float32."""
LARGEST_TRAINED_DIFFERENCE = 1e-3
"""Bound of the gradient's relative difference in float32 on a trained model, where rounding alone takes more."""


@dataclass(frozen=True)
class Setup:
    """What is measured.

    Attributes:
        size: A name of :data:`~twosome.bench.workloads.SIZES`.
        workload: A name of :data:`~twosome.bench.workloads.WORKLOADS`.
        unique: Fraction of a rollout's decisions that are distinct.
        dtype: Precision of our frozen weights; the plain way's are float32 on a CPU, and the same as ours on a GPU.
        top_layers: Our adapter is on the last so many layers only; the plain way's is on all.
        repetitions: How often everything is measured.
        sampled: Steps and minibatches of the plain way in each repetition.
        device: Where both run.
        token_budget: Most tokens in one of our passes; None for what suits the device.
        attention: How our packs attend.
        model: A trained model in place of a size: a hub id or a directory.
        task: A task in place of a workload, whose decisions come as play meets them.
        play: Who plays it: nobody (uniform play), or the model, untrained.
        seed: Of play, of the trained model's adapter, and of the actions whose errors are measured.
        rank: Of the trained model's adapters.
        decisions: Decisions on which the errors of a trained model's readings are measured.
        accumulation: Minibatches to an optimizer step; 32 are the whole rollout.
    """

    size: str = "3m"
    workload: str = "overcooked"
    unique: float = 0.3
    dtype: str = "float32"
    top_layers: int | None = None
    repetitions: int = 5
    sampled: int = 2
    device: str = "cpu"
    token_budget: int | None = None
    attention: Attention = "segments"
    model: str | None = None
    task: str | None = None
    play: Play = "uniform"
    seed: int = 0
    rank: int = 8
    decisions: int = 8
    accumulation: int = ACCUMULATION

    def __post_init__(self) -> None:
        for name, table in (("size", SIZES), ("workload", WORKLOADS)):
            if getattr(self, name) not in table:
                raise ConfigError(f"unknown {name} {getattr(self, name)!r}; choose one of: {', '.join(table)}")
        if not 0 < self.unique <= 1:
            raise ConfigError(f"unique must be above 0 and at most 1, got {self.unique}")

    @property
    def together(self) -> int:
        """Decisions that the plain way reads in one batch and that are measured; the rest is by scaling.

        All logits of a minibatch take gigabytes where a vocabulary is a trained model's.
        """
        return MINIBATCH if self.model is None else 1


@dataclass(frozen=True)
class Agreement:
    """How far the two ways are apart.

    Attributes:
        log_probs: Largest difference of a token's log-probability, in nats.
        gradient: Relative difference of the adapter's gradient, by its norm.
        ratio: Largest deviation from 1 of the ratio of the same decision's probabilities, in other packs.
        errors: How far ours and reading alone are from a higher precision, of a trained model: there rounding is no
            measure of a mistake, since activations are large and no two orders of summing agree.
    """

    log_probs: float
    gradient: float
    ratio: float
    errors: Errors | None = None

    def problems(self, exact: bool, single: bool) -> list[str]:
        """What is out of bounds; ``exact`` in float32, ``single`` on one thread of a CPU."""
        found: list[str] = []
        if self.errors is not None:
            found += filter(None, [self.errors.problem(torch.float32 if exact else torch.bfloat16)])
        elif exact and self.log_probs > LARGEST_DIFFERENCE:
            found.append(f"log-probabilities differ by {self.log_probs:.1e} nats, more than {LARGEST_DIFFERENCE}")
        bound = LARGEST_DIFFERENCE if self.errors is None else LARGEST_TRAINED_DIFFERENCE
        if exact and self.gradient > bound:
            found.append(f"gradients differ by {self.gradient:.1e}, more than {bound}")
        if single and self.ratio > 0:
            found.append(f"ratios under other packs differ from 1 by {self.ratio:.1e}")
        return found


@dataclass(frozen=True)
class Phase:
    """Processor seconds of both ways for one part of a cycle, medians, and their ratio."""

    name: str
    reference: float
    ours: float

    @property
    def ratio(self) -> float:
        """How many times as fast ours is."""
        return self.reference / self.ours


@dataclass
class Report:
    """Everything measured.

    Attributes:
        setup: What was measured.
        reader: How ours reads.
        agreement: How far the ways are apart.
        peak: The best rate of matrix products in this dtype, right after an update: median in GFLOP/s.
        reference_tokens, tokens: Token slots read in a warm cycle.
        busy: Fraction of that peak reached by the matrix products of the policy update before it, attention's among
            them, the time of everything else included.
        phases: Times by part of the cycle.
    """

    setup: Setup
    reader: str
    agreement: Agreement
    peak: float = 0.0
    reference_tokens: int = 0
    tokens: int = 0
    busy: float = 0.0
    phases: list[Phase] = field(default_factory=list)

    def rate(self, cycle: str, way: str) -> float:
        """Decisions per second through a ``cycle``, ``reference`` or ``ours``: acting, valuing and both updates."""
        (phase,) = (phase for phase in self.phases if phase.name == cycle)
        return ENVS * STEPS / float(getattr(phase, way))

    @property
    def token_rate(self) -> float:
        """Tokens that ours reads per second of a warm cycle."""
        return self.tokens / (ENVS * STEPS) * self.rate("cycle, warm", "ours")

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        phases = [{**asdict(phase), "ratio": phase.ratio} for phase in self.phases]
        rates = {
            "reference": self.rate("cycle, warm", "reference"),
            "cold": self.rate("cycle, cold", "ours"),
            "warm": self.rate("cycle, warm", "ours"),
        }
        more = {"decisions_per_second": rates, "tokens_per_second": self.token_rate}
        found = {"benchmark": "scoring", **asdict(self), **more, "phases": phases}
        unused = {"size"} if self.setup.model else {"model", "rank", "decisions"}
        unused |= {"workload", "unique"} if self.setup.task else {"task", "play", "seed"}
        found["setup"] = {name: value for name, value in found["setup"].items() if name not in unused}
        return found


def phases_of(reference: dict[str, float], ours: dict[str, float], fresh: int) -> list[Phase]:
    """Parts of a cycle and whole cycles, the plain way scaled from its units; ``fresh`` decisions were not repeated."""
    minibatches = ENVS * STEPS // MINIBATCH
    scaled = {
        "actor": STEPS * reference["act"],
        "critic": STEPS * reference["value"],
        "value update": minibatches * reference["critic"],
        "policy update": minibatches * reference["actor"],
    }
    found = []
    for state in ("cold", "warm"):
        parts = [Phase(f"{name}, {state}", plain, ours[f"{name}, {state}"]) for name, plain in scaled.items()]
        whole = Phase(f"cycle, {state}", sum(p.reference for p in parts), sum(p.ours for p in parts))
        found += [*parts, whole]
    name = "policy update, nothing repeated"
    return [*found, Phase(name, fresh / MINIBATCH * reference["actor"], ours[name])]
