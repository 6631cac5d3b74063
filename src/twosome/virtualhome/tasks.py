"""The household tasks, as data: which things matter, what is observed, what can be done, what counts as success.

A *storage* task puts an item into an appliance and closes it (heat the pancake, wash the plate). The *entertainment*
task ends on the sofa, before the running TV, with chips and milk at hand. Things are called by the part they play
("item", "appliance"), so that tasks which differ in their nouns only share observation, actions and numbers.

Source: Tan et al., "True Knowledge Comes from Practice", ICLR 2024, section 5; the tasks the paper calls unseen are
our own design where the paper leaves them open.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from functools import cached_property
from typing import NamedTuple

from twosome.errors import ConfigError

ROOMS = ("kitchen", "bathroom", "bedroom", "livingroom")
"""Class names of the rooms, in the order of the observation."""

STEP_LIMIT = 50
"""Steps after which an episode is cut."""


class Kind(Enum):
    """What a thing is good for."""

    PORTABLE = "can be grabbed"
    CONTAINER = "opens, closes and holds portable things inside"
    SURFACE = "holds portable things on top"
    SCREEN = "is switched on and off"
    SEAT = "faces the screen and can be sat on"


class Goal(Enum):
    """What ends an episode with reward 1."""

    STORED = "every portable thing is inside a closed container"
    WATCHING = "seated before the running screen, every portable thing near or on the surface"


class Thing(NamedTuple):
    """One thing a task is about.

    Attributes:
        name: The part it plays in the task.
        class_name: Its class in VirtualHome's vocabulary.
        kind: What it is good for.
        room: The room it is in when an episode starts.
        support: Class name of the furniture it is set down on when an episode starts; empty keeps the scene's own.
    """

    name: str
    class_name: str
    kind: Kind
    room: str
    support: str = ""


class Action(NamedTuple):
    """One thing the agent can do, in VirtualHome's words: a verb and what it is done to.

    Attributes:
        verb: walk, grab, putin, putback, open, close, switchon, switchoff, sit or standup.
        target: A thing or a room.
        receptacle: Where the target is put; empty unless the verb is putin or putback.
    """

    verb: str
    target: str
    receptacle: str = ""

    def __str__(self) -> str:
        """The words in a row, for example "putin item appliance"."""
        return " ".join(word for word in self if word)


class Fact(NamedTuple):
    """One bit of the observation: a relation that holds now, as far as the agent can see.

    Attributes:
        relation: in, sees, near, holds, placed, open, on, faces or sits.
        subject: A room ("in") or a thing.
        receptacle: What the subject was put into or onto ("placed"); else empty.
    """

    relation: str
    subject: str
    receptacle: str = ""

    def __str__(self) -> str:
        """The words in a row, for example "near item"."""
        return " ".join(word for word in self if word)


@dataclass(frozen=True)
class Task:
    """A household task.

    Attributes:
        name: What ``gymnasium.make(..., task=...)`` calls it.
        things: The things it is about; everything else in the flat is scenery.
        facts: What each bit of the observation says.
        actions: What each action id does.
        goal: What counts as success.
        published: Whether the paper's environment has it (up to the nouns), so that there is something to be
            faithful to.
    """

    name: str
    things: tuple[Thing, ...]
    facts: tuple[Fact, ...] = field(repr=False)
    actions: tuple[Action, ...] = field(repr=False)
    goal: Goal
    published: bool = True

    @cached_property
    def thing(self) -> dict[str, Thing]:
        """Things by name."""
        return {thing.name: thing for thing in self.things}

    @cached_property
    def position(self) -> dict[str, int]:
        """Position in :attr:`things` by name."""
        return {thing.name: i for i, thing in enumerate(self.things)}

    @cached_property
    def action_id(self) -> dict[str, int]:
        """Action id by the action's text, for example ``"walk kitchen"``."""
        return {str(action): i for i, action in enumerate(self.actions)}

    def of_kind(self, kind: Kind) -> tuple[str, ...]:
        """Names of the things of one kind."""
        return tuple(thing.name for thing in self.things if thing.kind is kind)


_WALKS = tuple(Action("walk", room) for room in ("livingroom", "kitchen", "bathroom", "bedroom"))
_IN_ROOMS = tuple(Fact("in", room) for room in ROOMS)


def _storage(
    name: str,
    item_class: str,
    appliance_class: str,
    *,
    item_room: str = "kitchen",
    item_support: str = "kitchentable",
    appliance_room: str = "kitchen",
    published: bool = True,
) -> Task:
    """A task that ends when the item is inside the closed appliance."""
    return Task(
        name=name,
        things=(
            Thing("item", item_class, Kind.PORTABLE, item_room, item_support),
            Thing("appliance", appliance_class, Kind.CONTAINER, appliance_room),
        ),
        facts=(
            *_IN_ROOMS,
            Fact("sees", "item"),
            Fact("near", "item"),
            Fact("holds", "item"),
            Fact("sees", "appliance"),
            Fact("near", "appliance"),
            Fact("open", "appliance"),
            Fact("placed", "item", "appliance"),
        ),
        actions=(
            *_WALKS,
            Action("walk", "item"),
            Action("walk", "appliance"),
            Action("grab", "item"),
            Action("putin", "item", "appliance"),
            Action("open", "appliance"),
            Action("close", "appliance"),
        ),
        goal=Goal.STORED,
        published=published,
    )


def _snack(name: str) -> tuple[Fact, ...]:
    return (Fact("sees", name), Fact("near", name), Fact("holds", name), Fact("placed", name, "table"))


_ENTERTAINMENT = Task(
    name="entertainment",
    things=(
        Thing("chips", "chips", Kind.PORTABLE, "kitchen"),
        Thing("milk", "milk", Kind.PORTABLE, "kitchen"),
        Thing("table", "coffeetable", Kind.SURFACE, "livingroom"),
        Thing("tv", "tv", Kind.SCREEN, "livingroom"),
        Thing("sofa", "sofa", Kind.SEAT, "livingroom"),
    ),
    facts=(
        *_IN_ROOMS,
        *_snack("chips"),
        *_snack("milk"),
        Fact("sees", "tv"),
        Fact("near", "tv"),
        Fact("faces", "tv"),
        Fact("on", "tv"),
        Fact("sees", "sofa"),
        Fact("near", "sofa"),
        Fact("sits", "sofa"),
        Fact("sees", "table"),
        Fact("near", "table"),
    ),
    actions=(
        *_WALKS,
        Action("walk", "chips"),
        Action("walk", "milk"),
        Action("walk", "table"),
        Action("walk", "tv"),
        Action("walk", "sofa"),
        Action("grab", "chips"),
        Action("grab", "milk"),
        Action("putback", "chips", "table"),
        Action("putback", "milk", "table"),
        Action("switchon", "tv"),
        Action("switchoff", "tv"),
        Action("sit", "sofa"),
        Action("standup", "sofa"),
    ),
    goal=Goal.WATCHING,
)

_ALL = (
    _storage("food-preparation", "pancake", "microwave"),
    _ENTERTAINMENT,
    _storage("cheese", "food_cheese", "microwave"),
    _storage("hamburger", "food_hamburger", "microwave"),
    _storage("apple-pie", "pie", "microwave"),
    _storage("pizza", "food_pizza", "microwave"),
    _storage("washing-plate", "plate", "dishwasher"),
    _storage("laundry", "clothespile", "washingmachine"),
    _storage(
        "laundry-placed",
        "clothespile",
        "washingmachine",
        item_room="bedroom",
        item_support="bed",
        appliance_room="bathroom",
        published=False,
    ),
)

TASKS: dict[str, Task] = {task.name: task for task in _ALL}
"""Every household task by name."""


def find_task(name: str) -> Task:
    """Return the task of that name.

    Raises:
        ConfigError: If there is none.
    """
    if name not in TASKS:
        raise ConfigError(f"there is no household task {name!r}; choose one of: {', '.join(TASKS)}")
    return TASKS[name]
