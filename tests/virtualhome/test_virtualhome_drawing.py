"""The household in pictures."""

from __future__ import annotations

import itertools
from dataclasses import replace

import gymnasium
import numpy as np
import pytest

from twosome.envs.exploring import explore
from twosome.virtualhome import TASKS, Household, Rules, VirtualHomeEnv, World, find_task
from twosome.virtualhome.drawing import as_picture, as_text
from twosome.virtualhome.tasks import ROOMS

SIZE = (590, 820, 3)


def after(task: str, *actions: str) -> Household:
    rules = Rules(find_task(task))
    state = rules.start()
    for action in actions:
        state = rules.act(state, rules.task.actions[rules.task.action_id[action]])
        assert state is not None, action
    return state


def test_text() -> None:
    state = after(
        "entertainment",
        *("walk chips", "grab chips", "walk milk", "grab milk", "walk livingroom", "walk table", "putback chips table"),
    )
    assert as_text(find_task("entertainment"), state).splitlines() == [
        "+-- bathroom ------------------+-- bedroom -------------------+",
        *["|                              |                              |"] * 6,
        "+-- kitchen -------------------+-- livingroom ----------------+",
        "|                              | @ you, standing              |",
        "|                              |     holding milk             |",
        "|                              | > coffeetable                |",
        "|                              |     > chips                  |",
        "|                              | - tv (off)                   |",
        "|                              | - sofa                       |",
        "+------------------------------+------------------------------+",
    ]


@pytest.mark.parametrize("task", TASKS)
def test_every_step_of_a_solution_changes_the_picture(task: str) -> None:
    world = World(Rules(find_task(task)))
    situation, pictures = world.initial, []
    way = {"entertainment": (4, 9, 5, 10, 0, 6, 11, 7, 13, 8, 15), "laundry-placed": (3, 4, 6, 2, 5, 8, 7, 9)}
    for action in (*way.get(task, (4, 6, 5, 8, 7, 9)), 0):
        pictures.append(as_picture(world.task, situation.state))
        assert pictures[-1].shape == SIZE
        assert pictures[-1].dtype == np.uint8
        situation = world.outcome(situation, action).situation
    assert all((before != now).any() for before, now in itertools.pairwise(pictures))


def test_every_situation_has_a_text() -> None:
    for task in TASKS.values():
        for state in explore(World(Rules(task, faithful=True))).states:
            drawn = as_text(task, state)
            assert len({len(line) for line in drawn.splitlines()}) == 1
            assert drawn.count("@ you") == 1
            for thing in task.things:
                assert thing.class_name in drawn


@pytest.mark.parametrize("room", ROOMS)
def test_things_can_be_drawn_in_any_room(room: str) -> None:
    for task in TASKS.values():
        state = Rules(task).start()
        moved = replace(state, room=room, rooms=(room,) * len(state.rooms), near=frozenset(task.thing))
        assert (as_picture(task, moved) != as_picture(task, state)).any()


def test_the_same_household_looks_the_same() -> None:
    task = find_task("laundry")
    one, other = (as_picture(task, Rules(task).start()) for _ in range(2))
    assert (one == other).all()
    one[:] = 0
    assert as_picture(task, Rules(task).start()).any()


def test_the_environment_renders() -> None:
    env = VirtualHomeEnv(render_mode="rgb_array", step_limit=1)
    with pytest.raises(gymnasium.error.ResetNeeded, match="nothing to show"):
        env.render()
    env.reset()
    assert env.render().shape == SIZE
    env.step(4)
    assert env.render().shape == SIZE, "the last frame of an episode can be shown"
    with pytest.raises(gymnasium.error.Error, match="render_mode"):
        VirtualHomeEnv().render()
