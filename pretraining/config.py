"""The configuration of a training; apart from it so that commands can name its settings without loading torch."""

from __future__ import annotations

import json
from dataclasses import dataclass, fields
from pathlib import Path


@dataclass(frozen=True)
class TrainConfig:
    """All that decides the weights, apart from the corpus."""

    hidden: int = 192
    layers: int = 4
    head_size: int = 32
    feed_forward: int = 512
    positions: int = 1024
    vocabulary: int = 1536
    row_length: int = 256
    rows_per_step: int = 8
    tokens: int = 20_000_000
    """Tokens to train on, padding excluded; the packed corpus is repeated if it is shorter."""
    optimizer: str = "muon"
    """"adamw", or "muon" (for the matrices inside the blocks, AdamW for the rest)."""
    learning_rate: float = 3e-3
    muon_learning_rate: float = 2e-2
    warm_up_steps: int = 200
    decay_fraction: float = 0.625
    weight_decay: float = 0.05
    clip: float = 1.0
    seed: int = 0


def read_config(run: Path) -> TrainConfig:
    """Return the configuration a run was prepared with."""
    stored = json.loads((run / "config.json").read_text())
    return TrainConfig(**{field.name: stored[field.name] for field in fields(TrainConfig) if field.name in stored})
