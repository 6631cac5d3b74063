"""Adapters whose effect is known."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from twosome.models.loading import add_adapter


def adapt(model: Any, scale: float, targets: str = "all-linear") -> Any:
    """The model with an adapter of random weights; with scale 0 it changes nothing, with a large one it destroys."""
    adapted = add_adapter(model, rank=2, alpha=4.0, targets=targets)
    generator = torch.Generator().manual_seed(0)
    for name, parameter in adapted.named_parameters():
        if "lora_B" in name:
            parameter.data.copy_(torch.randn(parameter.shape, generator=generator) * scale)
    return adapted


def save_adapter(model: Any, scale: float, directory: Path) -> Path:
    """The directory of such an adapter."""
    adapt(model, scale).save_pretrained(str(directory))
    return directory
