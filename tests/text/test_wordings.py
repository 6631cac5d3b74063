"""Wordings are data: named ones, and others made of them; a mistake in a template is told before anything is read."""

from __future__ import annotations

from typing import Any

import pytest

from twosome.errors import ConfigError
from twosome.text.tasks import open_task
from twosome.wordings.choosing import FIRST, find_wording
from twosome.wordings.household import HOUSEHOLD
from twosome.wordings.kitchen import KITCHEN


def shown(task: str, wording: Any) -> tuple[str, tuple[str, ...]]:
    """Prompt and phrases at the start of an episode."""
    with open_task(task, wording=wording) as env:
        observation, _ = env.reset(seed=0)
    return observation["prompt"], tuple(observation["actions"])


def test_a_task_that_does_not_say_is_told_in_the_first_words() -> None:
    with open_task("tomato-salad") as env:
        observation, _ = env.reset(seed=0)
    assert (observation["prompt"], tuple(observation["actions"])) == shown("tomato-salad", FIRST)


def test_templates_are_put_into_a_wording() -> None:
    changed = {"walk_item": "reach for {target}", "prompt": "{facts} To {goal}, you need to"}
    prompt, actions = shown("pizza", changed)
    first, usual = shown("pizza", FIRST)
    assert prompt == first.replace("you should now", "you need to")
    assert actions == tuple(action.replace("walk to the pizza", "reach for the pizza") for action in usual)


def test_kitchen_phrases_may_tell_what_a_thing_is_like() -> None:
    wording = {"serve_food": "serve {described}", "also": "a hatch", "serve_nothing": "walk to the hatch"}
    with open_task("tomato-salad", wording=wording) as env:
        first, _ = env.reset(seed=0)
        assert "a bowl, a tomato and a hatch." in first["prompt"]
        assert "walk to the hatch" in first["actions"]
        held, *_ = env.step(0)
    assert "serve the whole tomato" in held["actions"]


def test_what_is_held_is_carried_and_what_lies_inside_is_taken_out() -> None:
    wording = {"carry_furniture": "bring {held} to {target}", "take_out": "take {target} out of {place}"}
    with open_task("pizza", wording=wording) as env:
        offered = [env.reset(seed=0)[0]["actions"]]
        for action in ("walk to the pizza", "grab the pizza"):
            offered.append(env.step(offered[-1].index(action))[0]["actions"])
        assert "bring the pizza to the microwave" in offered[-1]
        for action in ("bring the pizza to the microwave", "open the microwave", "put the pizza in the microwave"):
            offered.append(env.step(offered[-1].index(action))[0]["actions"])
    assert "take the pizza out of the microwave" in offered[-1]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("best", r"unknown wording 'best': expected one of first"),
        ({"base": "best"}, "unknown wording 'best'"),
        ({"walks": "go"}, "a wording has no template 'walks': expected one of prompt, rooms"),
        (
            {"grab": "grab {thing}"},
            r"the template 'grab' has the slot 'thing', which nothing fills there: expected target",
        ),
        ({"nothing": "You see {things}."}, "nothing fills there: expected no slot"),
        ({"grab": "grab {target"}, r"cannot be read: .* write \{\{ for a brace"),
        ({"grab": 3}, "the template 'grab' must be a text, got 3"),
        (7, r"a wording is a name \(first.*\) or templates by name, got 7"),
    ],
)
def test_a_mistake_in_a_wording_is_named(given: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        find_wording(HOUSEHOLD, given)


@pytest.mark.parametrize("known", [HOUSEHOLD, KITCHEN])
def test_every_slot_that_may_be_used_belongs_to_a_template(known: dict[str, Any]) -> None:
    wording = known[FIRST]
    assert set(wording.further_slots) <= set(vars(wording))
