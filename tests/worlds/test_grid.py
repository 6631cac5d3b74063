"""What is seen in a grid, in words, from pictures made by hand. Needs no extra."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from twosome.errors import ConfigError
from twosome.worlds.grid import COLOURS, DOORS, DROP, FORWARD, LEFT, OBJECTS, PICK_UP, RIGHT, TOGGLE, GridNarrator

MOVES = {"turn left": LEFT, "turn right": RIGHT, "go forward": FORWARD}


def seen(*things: tuple[str, str, int, int], mission: str = "go to the red ball") -> dict[str, Any]:
    """An observation: each thing with its colour (and state), steps to the right and ahead."""
    image = np.zeros((7, 7, 3), dtype=np.uint8)
    image[..., 0] = OBJECTS.index("empty")
    for kind, colour, right, ahead in things:
        state, _, shade = colour.rpartition(" ")
        image[3 + right, 6 - ahead] = (
            OBJECTS.index(kind), COLOURS.index(shade), DOORS.index(state) if state else 0,
        )  # fmt: skip
    return {"image": image, "mission": mission, "direction": 0}


def told(
    *things: tuple[str, str, int, int], mission: str = "go to the red ball", **how: Any
) -> tuple[str, dict[str, int]]:
    prompt, options = GridNarrator(**how).narrate(seen(*things, mission=mission), {})
    return prompt, {option.text: option.env_action for option in options}


def test_what_is_nearest_is_named_first_with_the_way_to_it() -> None:
    prompt, phrases = told(("ball", "red", 2, 3), ("key", "grey", -1, 0), ("box", "blue", 0, 1), ("wall", "grey", 0, 5))
    assert prompt == (
        "You see a grey key one step to the left, a blue box right in front of you, and a red ball three steps ahead "
        "and two steps to the right. There is a wall five steps ahead. To go to the red ball, you should now"
    )
    assert phrases == {**MOVES, "pick up the blue box": PICK_UP, "open the blue box": TOGGLE}


def test_nothing_seen_is_said() -> None:
    prompt, phrases = told()
    assert prompt == "You see nothing but the floor. To go to the red ball, you should now"
    assert phrases == MOVES


@pytest.mark.parametrize(
    ("state", "carried", "phrase"),
    [
        ("closed", None, "open the red door"),
        ("open", None, "close the red door"),
        ("locked", None, None),
        ("locked", "blue", None),
        ("locked", "red", "unlock the red door"),
    ],
)
def test_a_door_is_offered_what_it_can_be_made_to_do(state: str, carried: str | None, phrase: str | None) -> None:
    key = [("key", carried, 0, 0)] if carried else []
    prompt, phrases = told(("door", f"{state} red", 0, 1), *key)
    assert f"a{'n' if state == 'open' else ''} {state} red door right in front of you" in prompt
    assert phrases == {**MOVES, **({phrase: TOGGLE} if phrase else {})}


def test_what_is_carried_can_be_dropped_where_the_floor_is_free() -> None:
    prompt, phrases = told(("key", "grey", 0, 0))
    assert "You are carrying the grey key." in prompt
    assert phrases == {**MOVES, "drop the grey key": DROP}
    _, phrases = told(("key", "grey", 0, 0), ("ball", "red", 0, 1))
    assert phrases == MOVES


def test_all_six_actions_can_be_asked_for() -> None:
    _, phrases = told(all_actions=True)
    assert phrases == {**MOVES, "pick up nothing": PICK_UP, "drop nothing": DROP, "open nothing": TOGGLE}


def test_places_of_a_mission_are_those_of_the_start() -> None:
    prompt, _ = told(mission="pick up the ball on your left")
    assert prompt.endswith("To pick up the ball that was on your left at the start, you should now")


@pytest.mark.parametrize(
    ("things", "mission", "said"),
    [
        (
            [("ball", "red", 2, 3), ("key", "grey", -2, 0), ("key", "blue", -1, 0), ("wall", "grey", 0, 5)],
            "go to the red ball",
            "You see a red ball three steps ahead and two steps to the right. The way is blocked to the left.",
        ),
        (
            [("ball", "red", 2, 3), ("ball", "red", -3, 5), ("wall", "grey", 0, 1), ("wall", "grey", 1, 0)],
            "go to a ball",
            "You see a red ball three steps ahead and two steps to the right. "
            "The way is blocked ahead, and to the right.",
        ),
        (
            [("ball", "blue", 0, 1), ("key", "red", 1, 1), ("wall", "grey", 0, 2)],
            "go to the red ball",
            "You see no red ball. The way is blocked ahead.",
        ),
        ([("wall", "grey", 0, 2)], "go to the red ball", "You see no red ball."),
        (
            [("ball", "red", 0, 3), ("key", "blue", 2, 0), ("box", "grey", 1, 3)],
            "put a ball next to the blue key",
            "You see a blue key two steps to the right, and a red ball three steps ahead.",
        ),
        (
            [("door", "closed blue", 1, 2), ("lava", "red", 1, 0)],
            "pick up the object",
            "You see no object. You see a pool of lava one step to the right, and a closed blue door two steps ahead "
            "and one step to the right.",
        ),
        ([("ball", "blue", 0, 1)], "get to the green goal square", "You see a blue ball right in front of you."),
    ],
)
def test_a_view_can_be_told_as_far_as_the_mission_is_about_it(things: Any, mission: str, said: str) -> None:
    """And on which sides something stands in the way."""
    prompt, _ = told(*things, mission=mission, told="mission")
    assert prompt.startswith(said)
    assert prompt.removeprefix(said)[:1] == " "
    assert GridNarrator(told="mission").recall(seen(*things, mission=mission), {}) == prompt.rpartition(" To ")[0]


def test_what_no_mission_names_has_no_name_in_phrases_either() -> None:
    """So the prompt before a box is the one before a key, and they are offered the same."""
    key, ball = (told((kind, "grey", 0, 1), told="mission") for kind in ("key", "ball"))
    assert key == ball
    assert tuple(key[1])[3:] == ("pick up what is in the way",)
    _, phrases = told(("box", "grey", 0, 1), told="mission")
    assert tuple(phrases)[3:] == ("pick up what is in the way", "open what is in the way")
    prompt, phrases = told(("key", "grey", 0, 0), ("empty", "red", 0, 1), told="mission")
    assert "You are carrying something. To" in prompt
    assert tuple(phrases)[3:] == ("drop what you are carrying",)
    prompt, phrases = told(("ball", "red", 0, 0), ("empty", "red", 0, 1), told="mission")
    assert "You are carrying the red ball. To" in prompt
    assert tuple(phrases)[3:] == ("drop the red ball",)
    assert told(("ball", "red", 0, 1), told="mission")[1].keys() - MOVES.keys() == {"pick up the red ball"}
    assert told(("door", "closed blue", 0, 1), told="mission")[1].keys() - MOVES.keys() == {"open the blue door"}


def test_of_two_as_far_away_the_one_ahead_is_the_nearest() -> None:
    """Seen from before and after a turn towards it, the nearest is the same thing: else two turns undo each other."""
    prompt, _ = told(("ball", "red", -2, 0), ("ball", "red", 0, 2), told="mission")
    assert prompt.startswith("You see a red ball two steps ahead. To")
    prompt, _ = told(("ball", "red", 0, 2), ("ball", "red", 2, 0), told="mission")
    assert prompt.startswith("You see a red ball two steps ahead. To")


def test_what_else_it_should_tell_is_refused() -> None:
    with pytest.raises(ConfigError, match="told must be all or mission, got 'some'"):
        GridNarrator(told="some")  # type: ignore[arg-type]
