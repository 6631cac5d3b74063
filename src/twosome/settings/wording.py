"""Which words a run uses: those that its configuration names, or those that its model knows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from twosome.settings.config import RunConfig
from twosome.text.tasks import TASKS
from twosome.wordings.choosing import EVERYDAY, FIRST


def wording_for(model: str) -> str:
    """The wording that a model is met with where nobody names one.

    The embedded model learned the dialect of the first wording; every other model learned English.
    """
    return FIRST if model == "embedded" else EVERYDAY


def worded(task: str, environment: Mapping[str, Any], model: str) -> dict[str, Any]:
    """Arguments of the environment with a wording: the one they name, or the one that ``model`` knows.

    A task that brings its own words has none to choose from; and the first wording goes without saying, as in
    every run that was made before there was another.
    """
    given = dict(environment)
    if task in TASKS and "wording" not in given and (wording := wording_for(model)) != FIRST:
        given["wording"] = wording
    return given


def with_words(config: RunConfig) -> RunConfig:
    """``config`` with the wording that its model knows, where it names none and reads words."""
    if config.policy != "language":
        return config
    return replace(config, environment=worded(config.task, config.environment, config.model))


def carried(environment: Mapping[str, Any], task: str) -> dict[str, Any]:
    """What of the arguments of a run's environment goes along to another task: its words."""
    return {"wording": environment["wording"]} if task in TASKS and "wording" in environment else {}
