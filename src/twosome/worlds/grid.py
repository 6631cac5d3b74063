"""What an agent in a grid sees, in words.

Minigrid shows a picture of seven by seven cells, with the agent in the middle of its last row, looking up. The prompt
names what lies in it, the nearest first, with the steps it takes to get there; how far the walls are; what is carried;
and the mission. It says nothing of what is out of view, and nothing is remembered (a history does that).

Where the mission alone is told of (``told="mission"``), a prompt names the nearest of each thing that the mission names
and doors. Of all else it says where it is in the way of the next step, and not what it is: whoever goes to a ball turns
off before a box as before a wall. Fewer words, and prompts that come again.

Only what does something is offered, as far as the agent can see: nothing is picked up where nothing lies. The three
moves are offered always, also where a wall or a thing is in the way.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Literal, NamedTuple, get_args

from twosome.errors import ConfigError
from twosome.text.environment import Option

OBJECTS = ("unseen", "empty", "wall", "floor", "door", "key", "ball", "box", "goal", "lava", "agent")
COLOURS = ("red", "green", "blue", "purple", "yellow", "grey")
DOORS = ("open", "closed", "locked")
NUMBERS = ("no", "one", "two", "three", "four", "five", "six")
Told = Literal["all", "mission"]
"""What of a view is put into words: everything, or what the mission is about."""
IN_THE_WAY = "what is in the way"
CARRIED = "what you are carrying"
"""What phrases call things that the mission does not name, where it alone is told of."""
_NAMED = re.compile(rf"\b(?:an?|the) (?:({'|'.join(COLOURS)}) )?(ball|box|key|door|object)\b")
LEFT, RIGHT, FORWARD, PICK_UP, DROP, TOGGLE = range(6)
"""Minigrid's numbers; the seventh action, "done", does nothing in any of its levels."""
_START = {
    "in front of you": "that was in front of you at the start",
    "behind you": "that was behind you at the start",
    "on your left": "that was on your left at the start",
    "on your right": "that was on your right at the start",
}
"""What a mission says of places is meant of where the episode began."""


class Thing(NamedTuple):
    """Something that is seen.

    Attributes:
        kind: A word of :data:`OBJECTS`.
        colour: A word of :data:`COLOURS`.
        state: Of a door, a word of :data:`DOORS`.
        right: Steps to the right; negative to the left.
        ahead: Steps ahead.
    """

    kind: str
    colour: str
    state: str
    right: int
    ahead: int

    @property
    def noun(self) -> str:
        """What it is called, without an article."""
        if self.kind in ("goal", "lava"):
            return {"goal": "green goal square", "lava": "pool of lava"}[self.kind]
        return f"{self.state} {self.colour} door" if self.kind == "door" else f"{self.colour} {self.kind}"

    @property
    def name(self) -> str:
        """What it is called in a phrase: a door without its state."""
        return f"the {self.colour} door" if self.kind == "door" else f"the {self.noun}"

    @property
    def where(self) -> str:
        """Where it is, seen from the agent."""
        if (self.right, self.ahead) == (0, 1):
            return "right in front of you"
        side = "to the right" if self.right > 0 else "to the left"
        parts = [f"{_steps(self.ahead)} ahead"] if self.ahead else []
        parts += [f"{_steps(abs(self.right))} {side}"] if self.right else []
        return " and ".join(parts)


class GridNarrator:
    """Puts Minigrid's observations into words; see :class:`twosome.text.environment.Narrator`.

    Args:
        all_actions: Offer all six actions everywhere, also those that would do nothing.
        told: What of a view is put into words. With ``"mission"`` it is the nearest of each thing that the mission
            names, doors, goals and lava one step away, and on which sides something else is in the way; where a mission
            names no thing, everything.

    Raises:
        ConfigError: If ``told`` is something else.
    """

    def __init__(self, *, all_actions: bool = False, told: Told = "all") -> None:
        if told not in get_args(Told):
            raise ConfigError(f"told must be {' or '.join(get_args(Told))}, got {told!r}")
        self.all_actions = all_actions
        self.told = told

    def narrate(self, observation: Any, info: dict[str, Any]) -> tuple[str, tuple[Option, ...]]:
        """Return what is seen, and the actions that do something."""
        cells = _cells(observation["image"])
        carried = next((thing for thing in cells if (thing.right, thing.ahead) == (0, 0) and _is_thing(thing)), None)
        front = next((thing for thing in cells if (thing.right, thing.ahead) == (0, 1)), None)
        mission = _mission(observation["mission"])
        asked = self._asked(mission)
        sentences = self._seen(cells, mission)
        if carried is not None:
            sentences.append(f"You are carrying {_called(carried, asked, 'something')}.")
        prompt = f"{' '.join(sentences)} To {mission}, you should now"
        return prompt, tuple(self._options(front, carried, asked))

    def recall(self, observation: Any, info: dict[str, Any]) -> str:
        """What is seen; the mission stays the same."""
        return " ".join(self._seen(_cells(observation["image"]), _mission(observation["mission"])))

    def _asked(self, mission: str) -> list[tuple[str, str]]:
        """Colours and kinds of the things that alone are told of; none where everything is."""
        return _NAMED.findall(mission) if self.told == "mission" else []

    def _seen(self, cells: list[Thing], mission: str) -> list[str]:
        """What is in view, in sentences."""
        seen = [thing for thing in cells if _is_thing(thing) and (thing.right, thing.ahead) != (0, 0)]
        seen.sort(key=lambda thing: (abs(thing.right) + thing.ahead, thing.ahead, thing.right))
        asked = self._asked(mission)
        if not asked:
            return [_see(seen) if seen else "You see nothing but the floor.", *_walls(cells)]
        nearest = [_nearest([thing for thing in seen if _fits(thing, *each)]) for each in asked]
        kept = [thing for thing in seen if thing in nearest or _is_told_always(thing)]
        sentences = [_see(kept)] if kept else []
        if not any(nearest):
            colour, kind = asked[0]
            sentences.insert(0, f"You see no {colour} {kind}.".replace("  ", " "))
        return [*sentences, *_blocked([thing for thing in cells if thing not in kept])]

    def _options(self, front: Thing | None, carried: Thing | None, asked: list[tuple[str, str]]) -> Iterator[Option]:
        yield Option("turn left", LEFT)
        yield Option("turn right", RIGHT)
        yield Option("go forward", FORWARD)
        if front is not None and carried is None and front.kind in ("key", "ball", "box"):
            yield Option(f"pick up {_called(front, asked, IN_THE_WAY)}", PICK_UP)
        elif self.all_actions:
            yield Option("pick up nothing", PICK_UP)
        if carried is not None and front is not None and front.kind in ("empty", "floor"):
            yield Option(f"drop {_called(carried, asked, CARRIED)}", DROP)
        elif self.all_actions:
            yield Option("drop nothing", DROP)
        verb = _toggling(front, carried)
        if verb is not None and front is not None:
            yield Option(f"{verb} {_called(front, asked, IN_THE_WAY)}", TOGGLE)
        elif self.all_actions:
            yield Option("open nothing", TOGGLE)


def _see(things: list[Thing]) -> str:
    return f"You see {_join([f'{_a(thing.noun)} {thing.where}' for thing in things])}."


def _fits(thing: Thing, colour: str, kind: str) -> bool:
    """Whether a mission's words, of which the colour may be missing, are said of a thing."""
    is_kind = kind == thing.kind or (kind == "object" and thing.kind in ("ball", "box", "key"))
    return is_kind and colour in ("", thing.colour)


def _called(thing: Thing, asked: list[tuple[str, str]], otherwise: str) -> str:
    """Its name, or ``otherwise`` where something else is told of."""
    return thing.name if not asked or thing.kind == "door" or any(_fits(thing, *each) for each in asked) else otherwise


def _nearest(things: list[Thing]) -> Thing | None:
    """The one that takes the fewest steps, a turn among them; of two, the one further ahead.

    Whoever turns to the nearest then has it nearest again. Of two as far away, one ahead and one beside, each turn
    would else make the other the nearest, and an agent without memory turned to and fro for ever.
    """

    def cost(thing: Thing) -> tuple[int, int, int]:
        return abs(thing.right) + thing.ahead + (thing.right != 0), -thing.ahead, thing.right

    return min(things, key=cost, default=None)


def _is_told_always(thing: Thing) -> bool:
    """Whether it is told of though no mission names it: doors, and what can be stepped upon and ends an episode."""
    near = abs(thing.right) + thing.ahead == 1
    return thing.kind == "door" or (near and thing.kind in ("goal", "lava"))


def _blocked(things: list[Thing]) -> Iterator[str]:
    """On which sides one of these is in the way of a step, or would be after a turn."""
    kinds = ("wall", "key", "ball", "box")
    taken = {(thing.right, thing.ahead) for thing in things if thing.kind in kinds}
    places = [((0, 1), "ahead"), ((-1, 0), "to the left"), ((1, 0), "to the right")]
    told = [words for place, words in places if place in taken]
    if told:
        yield f"The way is blocked {_join(told)}."


def _toggling(front: Thing | None, carried: Thing | None) -> str | None:
    """What toggling the thing in front amounts to; None for nothing."""
    if front is None or front.kind not in ("door", "box"):
        return None
    if front.kind == "box" or front.state == "closed":
        return "open"
    if front.state == "open":
        return "close"
    fits = carried is not None and carried.kind == "key" and carried.colour == front.colour
    return "unlock" if fits else None


def _cells(image: Any) -> list[Thing]:
    """The cells of the picture that are seen, in a fixed order."""
    width, height, _ = image.shape
    found = []
    for column in range(width):
        for row in range(height):
            kind, colour, state = (int(number) for number in image[column, row])
            if OBJECTS[kind] != "unseen":
                door = DOORS[state] if OBJECTS[kind] == "door" else ""
                found.append(Thing(OBJECTS[kind], COLOURS[colour], door, column - width // 2, height - 1 - row))
    return found


def _is_thing(thing: Thing) -> bool:
    return thing.kind not in ("empty", "wall", "floor", "agent")


def _walls(cells: list[Thing]) -> Iterator[str]:
    """How far the nearest wall is ahead, and to the sides, where it is seen."""
    walls = [thing for thing in cells if thing.kind == "wall"]
    ahead = min((thing.ahead for thing in walls if thing.right == 0 and thing.ahead > 0), default=None)
    left = min((-thing.right for thing in walls if thing.ahead == 0 and thing.right < 0), default=None)
    right = min((thing.right for thing in walls if thing.ahead == 0 and thing.right > 0), default=None)
    places = [(ahead, "ahead"), (left, "to the left"), (right, "to the right")]
    told = [f"{_steps(distance)} {place}" for distance, place in places if distance is not None]
    if told:
        yield f"There is a wall {_join(told)}."


def _mission(mission: str) -> str:
    """The mission, with its places told as they are meant."""
    for here, start in _START.items():
        mission = mission.replace(here, start)
    return re.sub(r"[\s,.]+$", "", " ".join(mission.split()))


def _steps(number: int) -> str:
    word = NUMBERS[number] if number < len(NUMBERS) else str(number)
    return f"{word} step{'' if number == 1 else 's'}"


def _a(noun: str) -> str:
    return f"an {noun}" if noun[0] in "aeiou" else f"a {noun}"


def _join(words: list[str]) -> str:
    """Return "one", "one and two" or "one; two; and three" where parts have an "and" of their own."""
    *start, last = words
    return f"{', '.join(start)}, and {last}" if start else last
