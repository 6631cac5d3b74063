"""What a run leaves behind, as bytes to compare."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

FILES = ("metrics.jsonl", "episodes.jsonl", "critic.safetensors", "adapter/adapter_model.safetensors")


def outcome(run: Path, files: Sequence[str] = FILES) -> dict[str, bytes]:
    """The bytes of every file that the same run writes the same."""
    return {name: (run / name).read_bytes() for name in files}
