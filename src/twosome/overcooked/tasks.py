"""The data of the Overcooked worlds: tasks, floor plans, food sets and the order of the macro-actions.

Positions are cells ``(row, column)``, counted from the top left corner of the 7x7 grid, both from 0.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import NamedTuple

from twosome.errors import ConfigError

FOODS = ("tomato", "lettuce", "onion")
BOWL = "bowl"
CHOPS = 3
"""Chops that turn a whole food into a chopped one."""

FOOD_SETS: tuple[tuple[str, ...], ...] = (("tomato",), FOODS)
"""The two kitchens of the paper: one with nothing but a tomato and one board, one with three foods and two boards."""


class Task(NamedTuple):
    """One salad.

    Attributes:
        name: As it is given to the environment.
        number: Position in the observation's one-hot code.
        dish: The foods that the served bowl must hold, chopped, and no others; in the order of :data:`FOODS`.
    """

    name: str
    number: int
    dish: tuple[str, ...]


TASKS: dict[str, Task] = {
    name: Task(name, number, dish)
    for number, (name, dish) in enumerate(
        {
            "tomato-salad": ("tomato",),
            "lettuce-salad": ("lettuce",),
            "onion-salad": ("onion",),
            "tomato-lettuce-salad": ("tomato", "lettuce"),
            "onion-tomato-salad": ("tomato", "onion"),
            "lettuce-onion-salad": ("lettuce", "onion"),
            "lettuce-onion-tomato-salad": FOODS,
        }.items()
    )
}

LAYOUTS: dict[str, tuple[str, ...]] = {
    "A": (
        "#####T#",
        "K...A.L",
        "K.....O",
        "D.....#",
        "#.....#",
        "#.....#",
        "#####P#",
    ),
    "B": (
        "#####T#",
        "K.A#..L",
        "K..#..O",
        "D..#..#",
        "#..#..#",
        "#..#..#",
        "#####P#",
    ),
    "C": (
        "#####T#",
        "K.A#..L",
        "K..#..O",
        "D..#..#",
        "#..#..#",
        "#.....#",
        "#####P#",
    ),
}
"""``#`` counter, ``.`` floor, ``A`` cook, ``T`` ``L`` ``O`` foods, ``P`` bowl, ``K`` board, ``D`` serving hatch.

Drawn for the three foods; the tomato kitchen has plain counters instead of ``L``, ``O`` and the second ``K``.
"""

FOOD_LETTERS = {"T": "tomato", "L": "lettuce", "O": "onion"}
MIDDLE_COLUMN = 3
COUNTER_ROWS = (3, 2, 4, 1, 5)
"""Rows of the middle counter (layouts B and C) in the order in which a free one is looked for."""


class Kind(StrEnum):
    """What a macro-action does."""

    GET_FOOD = "get food"
    GET_BOWL = "get bowl"
    GO_TO_BOARD = "go to board"
    DELIVER = "deliver"
    CHOP = "chop"
    GO_TO_COUNTER = "go to counter"


class Macro(NamedTuple):
    """A macro-action: its kind and, for foods and boards, which one (index into the kitchen's foods or boards)."""

    kind: Kind
    target: int = 0


def macro_name(macro: Macro, foods: tuple[str, ...]) -> str:
    """Return a short name such as "get tomato" or "go to board 1"."""
    if macro.kind is Kind.GET_FOOD:
        return f"get {foods[macro.target]}"
    return f"{macro.kind} {macro.target + 1}" if macro.kind is Kind.GO_TO_BOARD else str(macro.kind)


def find_task(name: str) -> Task:
    """Return the task of this name.

    Raises:
        ConfigError: If there is no such task.
    """
    if name not in TASKS:
        raise ConfigError(f"unknown Overcooked task {name!r}; choose one of {', '.join(TASKS)}")
    return TASKS[name]


def find_layout(name: str) -> tuple[str, ...]:
    """Return the drawing of the layout of this name.

    Raises:
        ConfigError: If there is no such layout.
    """
    if name not in LAYOUTS:
        raise ConfigError(f"unknown Overcooked layout {name!r}; choose one of {', '.join(LAYOUTS)}")
    return LAYOUTS[name]


def find_foods(task: Task, foods: Iterable[str] | None) -> tuple[str, ...]:
    """Return the kitchen's foods in canonical order; None stands for the task's natural kitchen.

    Raises:
        ConfigError: If there is no kitchen with these foods, or the dish needs a food it does not have.
    """
    if foods is None:
        return FOOD_SETS[0] if task.dish == FOOD_SETS[0] else FOOD_SETS[1]
    if isinstance(foods, str):
        raise ConfigError(f"foods must be a sequence of names, got the text {foods!r}; write ({foods!r},)")
    given = tuple(foods)
    chosen = next((kitchen for kitchen in FOOD_SETS if sorted(kitchen) == sorted(given)), None)
    if chosen is None:
        choices = " or ".join(str(kitchen) for kitchen in FOOD_SETS)
        raise ConfigError(f"there is no kitchen with the foods {given!r}; choose {choices}")
    missing = [food for food in task.dish if food not in chosen]
    if missing:
        raise ConfigError(
            f"the task {task.name!r} needs {' and '.join(missing)}, but foods={chosen!r}; choose foods={FOODS!r}"
        )
    return chosen


def macro_actions(layout: str, foods: tuple[str, ...]) -> tuple[Macro, ...]:
    """Return the macro-actions of a kitchen; the position in the tuple is the environment's action index.

    The published tomato kitchen lists a second board on layouts B and C that it does not have, which shifts the
    targets of what follows: its "go to knife 2" serves and its "deliver" idles. Here that entry is left out, so that
    every action does what it says.
    """
    boards = 1 if foods == FOOD_SETS[0] else 2
    return (
        *(Macro(Kind.GET_FOOD, food) for food in range(len(foods))),
        Macro(Kind.GET_BOWL),
        *(Macro(Kind.GO_TO_BOARD, board) for board in range(boards)),
        Macro(Kind.DELIVER),
        Macro(Kind.CHOP),
        *([Macro(Kind.GO_TO_COUNTER)] if layout != "A" else []),
    )
