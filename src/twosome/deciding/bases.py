"""Base models that several agents stand on, each loaded once."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

from twosome.errors import ModelError
from twosome.models.arrival import Weights
from twosome.runs.building import load_base
from twosome.settings.config import LoadingConfig


class Bases:
    """Loads base models as :func:`~twosome.runs.building.load_base` does, and each but once.

    Whoever asks gets modules of its own, so that its adapter can be put into them, on the same weights in memory.
    """

    def __init__(self) -> None:
        self._loaded: dict[tuple[str, LoadingConfig], tuple[Any, Any, Weights]] = {}

    def __call__(self, name: str, config: LoadingConfig) -> tuple[Any, Any]:
        """A frozen model and its tokenizer.

        Raises:
            ModelError: If it cannot be loaded.
        """
        # By what makes the weights; how they are read is each agent's own affair.
        own = LoadingConfig()
        key = (
            name,
            replace(
                config,
                token_budget=own.token_budget,
                path=own.path,
                attention=own.attention,
                probe_again=own.probe_again,
                recompute=own.recompute,
                memory_megabytes=own.memory_megabytes,
            ),
        )
        if key not in self._loaded:
            model, tokenizer = load_base(name, config)
            self._loaded[key] = model, tokenizer, Weights(model)
        model, tokenizer, _ = self._loaded[key]
        return on_the_same_weights(model), copy.deepcopy(tokenizer)

    def check(self, agent: str) -> None:
        """Refuse an agent whose adapter changed a base that others stand on.

        Raises:
            ModelError: If it did.
        """
        for (name, _), (_, _, weights) in self._loaded.items():
            if weights.changed():
                raise ModelError(
                    f"the adapter of {agent} changes the weights of {name!r} themselves, on which other agents stand; "
                    "serve it by itself, in a server of its own"
                )

    def __len__(self) -> int:
        """How many were loaded."""
        return len(self._loaded)


def on_the_same_weights(model: Any) -> Any:
    """Modules of its own over the same parameters and buffers."""
    tensors = [*model.parameters(), *model.buffers()]
    return copy.deepcopy(model, {id(tensor): tensor for tensor in tensors})
