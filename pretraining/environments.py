"""All prompts that the package's environments can show, each joined to each of its action phrases.

The audit needs them; making a corpus does not, so that it needs nothing of the package.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing, suppress
from typing import Any

from twosome.envs.exploring import explore
from twosome.errors import TwosomeError
from twosome.text.states import TextWorld, text_world
from twosome.text.tasks import TASKS, make_task

# Layout C with several foods has more than 60,000 states in the same words as layouts A and B: it adds nothing here.
MAX_STATES = 20_000
VARIANTS: dict[str, tuple[dict[str, Any], ...]] = {
    "overcooked": tuple({"layout": layout} for layout in "ABC"),
    "virtualhome": ({"faithful": False}, {"faithful": True}),
}
"""Arguments of the environments that change what is told, by world."""


def open_task(task: str, arguments: Mapping[str, Any] | None = None) -> TextWorld:
    """Return a task of the package from the inside."""
    with closing(make_task(task, **(arguments or {}))) as env:
        shown = text_world(env)
    assert shown is not None, f"{task} does not show its states"
    return shown


def decisions(task: str, arguments: Mapping[str, Any] | None = None) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield (prompt, action phrases) of every reachable state of a task, the last ones of an episode included."""
    shown = open_task(task, arguments)
    for state in explore(shown.world, MAX_STATES).states:
        prompt, options = shown.narrator.narrate(*shown.world.view(state))
        yield prompt, tuple(option.text for option in options)


def all_prompts() -> list[str]:
    """Return all different "prompt action" sentences, sorted."""
    sentences: set[str] = set()
    for name, task in TASKS.items():
        for arguments in VARIANTS[task.world]:
            with suppress(TwosomeError):  # a layout that a task does not have, or more states than are needed
                found = list(decisions(name, arguments))
                sentences |= {f"{prompt} {action}" for prompt, actions in found for action in actions}
    return sorted(sentences)
