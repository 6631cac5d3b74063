"""What is measured: models with adapters, ours and the plain way's, and where their decisions come from."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import Any

import torch

from twosome.bench.play import Unadapted, play
from twosome.bench.scoring_report import ENVS, MINIBATCH, STEPS, Setup
from twosome.bench.workloads import WORKLOADS, random_model, visits
from twosome.decision import Decision
from twosome.errors import ConfigError
from twosome.models.loading import add_adapter, load_model
from twosome.models.policy import LanguageModelPolicy

_SPREAD = 0.005
"""Standard deviation of the adapter's second factor on a model that was trained: it must do something, and little."""


@dataclass(frozen=True)
class Models:
    """Both ways' models, in eval mode.

    Attributes:
        ours: A PEFT model.
        plain: The plain way's, adapted on all layers; ours itself where they would be the same.
        tokenizer: Of both.
    """

    ours: Any
    plain: Any
    tokenizer: Any

    @property
    def width(self) -> int:
        """Of hidden states."""
        return int(self.ours.config.get_text_config().hidden_size)


def load_models(setup: Setup) -> Models:
    """The models of a setup: random weights of a size, or a model that was trained."""
    dtype = getattr(torch, setup.dtype)
    theirs = torch.float32 if setup.device == "cpu" else dtype
    if setup.model is None:
        ours, tokenizer = random_model(setup.size, dtype=dtype, device=setup.device, top_layers=setup.top_layers)
        plain, _ = random_model(setup.size, dtype=theirs, device=setup.device)
        return Models(ours, plain, tokenizer)
    ours, tokenizer = _trained(setup, setup.dtype, setup.top_layers)
    if dtype == theirs and setup.top_layers is None:
        return Models(ours, ours, tokenizer)
    return Models(ours, _trained(setup, str(theirs).removeprefix("torch."), None)[0], tokenizer)


def _trained(setup: Setup, dtype: Any, top_layers: int | None) -> tuple[Any, Any]:
    """A trained model with an adapter on all linear layers, of random numbers small enough to leave it sane."""
    assert setup.model is not None
    model, tokenizer = load_model(setup.model, dtype=dtype, device=setup.device)
    torch.manual_seed(setup.seed)
    adapted = add_adapter(model, rank=setup.rank, alpha=2 * setup.rank, targets="all-linear", top_layers=top_layers)
    for name, parameter in adapted.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=_SPREAD)
    return adapted, tokenizer


def decisions_to_score(setup: Setup, policy: LanguageModelPolicy) -> tuple[list[list[Decision]], list[Decision]]:
    """The rows of a rollout, one decision of each environment, and the distinct decisions that are measured.

    Args:
        setup: Says which.
        policy: Of the model, should it play itself.

    Raises:
        ConfigError: If there is no such task, or its play meets too few decisions.
    """
    if setup.task is not None:
        player = Unadapted(policy) if setup.play == "untrained" else None
        rows = list(islice(play(setup.task, ENVS, setup.seed, player), STEPS))
        met = list(dict.fromkeys(decision for row in rows for decision in row))
        if len(met) < MINIBATCH:
            raise ConfigError(
                f"play of {setup.task} with seed {setup.seed} meets {len(met)} different decisions in {ENVS * STEPS}, "
                f"and measuring takes {MINIBATCH}; choose another task, seed or play"
            )
        return rows, met
    distinct = max(1, round(setup.unique * ENVS * STEPS))
    decisions = WORKLOADS[setup.workload](max(distinct, MINIBATCH * setup.accumulation), 0)
    chosen = list(visits(decisions[:distinct], ENVS * STEPS, 0))
    return [chosen[i : i + ENVS] for i in range(0, len(chosen), ENVS)], decisions
