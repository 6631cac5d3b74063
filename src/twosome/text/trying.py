"""A task made once, to see whether it can be."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from twosome.text.states import joiner
from twosome.text.tasks import open_task


def check_task(task: str, environment: Mapping[str, Any] | None = None) -> str | None:
    """Make the task once, so that a mistyped one is told before a model is loaded.

    Returns:
        What it says that its phrases are joined with, if it says so.

    Raises:
        ConfigError: If it cannot be made.
    """
    with open_task(task, **(environment or {})) as env:
        return joiner(env)
