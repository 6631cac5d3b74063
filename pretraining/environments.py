"""All prompts that the package's environments can show, each joined to each of its action phrases.

The only module here that imports the package; the audit needs it, making a corpus does not.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from twosome.envs.exploring import explore
from twosome.overcooked.environment import Rewards
from twosome.overcooked.tasks import TASKS as KITCHEN_TASKS
from twosome.overcooked.tasks import find_foods, find_task
from twosome.overcooked.transitions import shared_table
from twosome.text.overcooked import OvercookedNarrator
from twosome.text.virtualhome import VirtualHomeNarrator
from twosome.virtualhome.tasks import TASKS as HOUSEHOLD_TASKS
from twosome.virtualhome.world import shared_world

# Layout C with several foods has more than 60,000 states in the same words as layouts A and B: it adds nothing here.
MAX_STATES = 20_000


def kitchen_decisions(task: str, layout: str = "A") -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield (prompt, action phrases) of every reachable state of a kitchen task."""
    foods = find_foods(find_task(task), None)
    table = shared_table(task, layout, foods, 2, Rewards(), 0.99)
    narrator = OvercookedNarrator(task, layout, foods)
    for state in explore(table, MAX_STATES).states:
        yield _words(narrator.narrate(table.node(state).observation, {}))


def household_decisions(task: str, faithful: bool = False) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield (prompt, action phrases) of every reachable state of a household task."""
    world, narrator = shared_world(task, faithful), VirtualHomeNarrator(task)
    for state in explore(world).states:
        situation = world.situation(state)
        yield _words(narrator.narrate(situation.observation, {"action_mask": situation.action_mask}))


def _words(narrated: tuple[str, tuple[Any, ...]]) -> tuple[str, tuple[str, ...]]:
    prompt, options = narrated
    return prompt, tuple(option.text for option in options)


def all_prompts() -> list[str]:
    """Return all different "prompt action" sentences, sorted."""
    from twosome.errors import TwosomeError

    sentences: set[str] = set()
    for task in KITCHEN_TASKS:
        for layout in "ABC":
            try:
                decisions = list(kitchen_decisions(task, layout))
            except TwosomeError:
                continue
            sentences |= {f"{prompt} {action}" for prompt, actions in decisions for action in actions}
    for task in HOUSEHOLD_TASKS:
        for faithful in (False, True):
            sentences |= {
                f"{prompt} {action}" for prompt, actions in household_decisions(task, faithful) for action in actions
            }
    return sorted(sentences)
