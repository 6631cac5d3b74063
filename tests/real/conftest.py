"""A pretrained model, its policy with an adapter, and decisions of every task."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest
import torch

from twosome.bench.play import some
from twosome.decision import Decision
from twosome.models.loading import add_adapter, load_model
from twosome.models.policy import Critic, LanguageModelPolicy
from twosome.scorer import Scorer
from twosome.text.tasks import TASKS

VARIABLE = "TWOSOME_REAL_MODEL"


@pytest.fixture(scope="session")
def model_path() -> str:
    """Where the model is."""
    path = os.environ.get(VARIABLE)
    if not path:
        pytest.skip(f"{VARIABLE} names no model; `python3 dev.py test --real` fetches one")
    return path


@pytest.fixture(scope="session", autouse=True)
def _single_thread() -> None:
    """Fixtures of the session read before any test does."""
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def base(model_path: str) -> tuple[Any, Any]:
    """The model in float32, and its tokenizer."""
    return load_model(model_path, dtype="float32")


@pytest.fixture(scope="session")
def scorer(base: tuple[Any, Any]) -> Scorer:
    """The model in float32, read as it is best read."""
    return Scorer(*base)


@pytest.fixture(scope="session")
def decisions() -> list[Decision]:
    """Of every task two that uniform play meets; some are the same in two tasks."""
    return list(dict.fromkeys(decision for task in TASKS for decision in some(task, 2, seed=0)))


@pytest.fixture
def policy(base: tuple[Any, Any]) -> Iterator[LanguageModelPolicy]:
    """A policy whose adapter, on the upper layers, does something; it is taken off again."""
    model, tokenizer = base
    torch.manual_seed(0)
    adapted = add_adapter(model, rank=4, alpha=8, targets="all-linear", top_layers=6)
    for name, weight in adapted.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight, std=0.02)
    hidden = model.config.get_text_config().hidden_size
    yield LanguageModelPolicy(adapted, tokenizer, Critic(hidden, [16]))
    adapted.unload()
    model.requires_grad_(False)
