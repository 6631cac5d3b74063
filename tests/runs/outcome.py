"""What a run leaves behind, as bytes to compare."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from twosome.settings.config import RunConfig

FILES = ("metrics.jsonl", "episodes.jsonl", "critic.safetensors", "adapter/adapter_model.safetensors")


def outcome(run: Path, files: Sequence[str] = FILES) -> dict[str, bytes]:
    """The bytes of every file that the same run writes the same."""
    return {name: (run / name).read_bytes() for name in files}


def files_of(config: RunConfig) -> list[str]:
    """The files that the same run of a language model writes the same, its best policy's among them."""
    own = [name for name in FILES if config.has_critic or "critic" not in name]
    return [*own, "best/best.json", "best/adapter/adapter_model.safetensors"]
