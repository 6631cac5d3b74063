"""The everyday words tell the same facts as the first ones, by the same principles; golden texts for reading.

After a change of wording, write the golden texts anew with

    python tests/text/test_everyday.py

and read the difference.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import pytest

from twosome.envs.exploring import explore
from twosome.principles.checking import check
from twosome.principles.walking import Seen, all_states, walk
from twosome.text.states import TextWorld, text_world
from twosome.text.tasks import open_task
from twosome.wordings.choosing import EVERYDAY, FIRST

GOLDEN = Path(__file__).parent.parent / "data" / "text"

PLAYS: dict[str, tuple[int, ...]] = {
    "food-preparation": (4, 6, 5, 8, 7, 9),
    "entertainment": (4, 9, 5, 10, 0, 6, 12, 11, 9, 7, 13, 8, 15),
    "laundry-placed": (3, 4, 6, 2, 5, 8, 7, 9),
    "tomato-salad": (0, 2, 4, 0, 1, 3),
    "tomato-lettuce-salad": (0, 4, 7, 1, 5, 7, 3, 5, 4, 6),
}
"""A play of each kind of task, told in the golden texts, by the environment's own actions."""

WORLDS: list[tuple[str, dict[str, Any]]] = [
    ("tomato-salad", {}),
    ("tomato-salad", {"layout": "C"}),
    ("tomato-lettuce-salad", {}),
    ("food-preparation", {"faithful": True}),
    ("laundry", {}),
    ("laundry-placed", {}),
    ("washing-plate", {}),
    ("entertainment", {}),
    ("entertainment", {"faithful": True}),
]


def shown(task: str, wording: str, arguments: dict[str, Any]) -> TextWorld:
    with open_task(task, wording=wording, **arguments) as env:
        world = text_world(env)
    assert world is not None
    return world


@cache
def _seen(task: str, wording: str, arguments: tuple[tuple[str, Any], ...]) -> list[Seen]:
    world = shown(task, wording, dict(arguments))
    return all_states(world, explore(world.world), 0.99)


def told(task: str) -> str:
    """A play: each prompt, its options, and a mark at the one taken."""
    world, lines = shown(task, EVERYDAY, {}), []
    state = world.world.initial_state
    for action in PLAYS[task]:
        prompt, options = world.narrate(state)
        lines += ["", prompt, *(f"  {'>' if option.env_action == action else '-'} {option.text}" for option in options)]
        after = world.world.transition(state, action)
        state = after.state
        if after.terminated:
            lines += ["", "(the task is done)"]
    return "\n".join(lines).strip() + "\n"


def golden(task: str) -> Path:
    return GOLDEN / f"everyday_{task}.txt"


@pytest.mark.parametrize("task", PLAYS)
def test_golden_text(task: str) -> None:
    assert told(task) == golden(task).read_text(encoding="utf-8")


@pytest.mark.parametrize(("task", "arguments"), WORLDS)
def test_what_reads_alike_in_one_wording_reads_alike_in_the_other(task: str, arguments: dict[str, Any]) -> None:
    first, everyday = (_seen(task, wording, tuple(arguments.items())) for wording in (FIRST, EVERYDAY))
    pairs = {(one.prompt, other.prompt) for one, other in zip(first, everyday, strict=True)}
    assert len(pairs) == len({one.prompt for one in first}) == len({one.prompt for one in everyday})


@pytest.mark.parametrize(("task", "arguments"), WORLDS)
def test_the_principles_hold(task: str, arguments: dict[str, Any]) -> None:
    with open_task(task, wording=EVERYDAY, **arguments) as env:
        faults = check(walk(env, decisions=200))
    assert {fault.check for fault in faults} <= {"told-apart"}  # the world's own doing


if __name__ == "__main__":
    for name in PLAYS:
        golden(name).write_text(told(name), encoding="utf-8")
