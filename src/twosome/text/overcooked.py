"""The Overcooked kitchens in words.

A prompt tells, each fact once: what the kitchen has; what is seen where it belongs; what lies on the boards and on the
middle counter; where the cook stands, if at a board, and what it holds; and the dish to serve. It ends where an action
phrase carries on. Like the observation, it says nothing of what is out of view, and nothing is remembered.

The facts are those of the published text view, and so are the states that look alike; the sentences are our own. The
published view knows two tasks on layout A. Beyond it, all tasks and layouts are covered, things on the middle counter
are told, and a phrase never promises what its macro-action cannot do (chopping chopped food, picking up what cannot be
picked up), as far as the cook can see.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import gymnasium

from twosome.overcooked.floor_plan import STEPS, Cell, floor_plan, neighbour
from twosome.overcooked.kitchen import Kitchen
from twosome.overcooked.observation import UNSEEN, Observation, View, read
from twosome.overcooked.tasks import BOWL, CHOPS, Kind, Macro, find_foods, find_layout, find_task, macro_actions
from twosome.text.environment import Option

ORDINALS = ("first", "second")


@dataclass(frozen=True)
class Thing:
    """Something that lies or is held somewhere: a food, or the bowl with the foods in it.

    Attributes:
        name: The food's name, or "bowl".
        chopped: Whether the food is chopped; False for the bowl.
        contents: The chopped foods in the bowl.
    """

    name: str
    chopped: bool = False
    contents: tuple[str, ...] = ()

    @property
    def is_bowl(self) -> bool:
        """Whether it is the bowl."""
        return self.name == BOWL


@dataclass(frozen=True)
class Scene:
    """What an observation tells a cook who knows the kitchen; the facts of a prompt.

    Attributes:
        at_home: Names of the things seen where they belong, foods first.
        boards: What is seen on each board; None for nothing or out of view.
        counters: What is seen on the middle counter.
        hands: What the cook holds.
        front: Index of the board the cook stands at, if any.
        served: Whether the bowl is seen in the serving hatch.
    """

    at_home: tuple[str, ...]
    boards: tuple[Thing | None, ...]
    counters: tuple[Thing, ...]
    hands: Thing | None
    front: int | None
    served: bool


class OvercookedNarrator:
    """Puts the observations of one kitchen into words; see :class:`twosome.text.environment.Narrator`.

    Args:
        task: Name of the task.
        layout: A, B or C.
        foods: The kitchen's foods; None takes what is natural for the task.

    Raises:
        ConfigError: If task, layout or foods are unknown or contradict each other.
    """

    def __init__(self, task: str = "tomato-salad", layout: str = "A", foods: Iterable[str] | None = None) -> None:
        find_layout(layout)
        self.task = find_task(task)
        self.foods = find_foods(self.task, foods)
        self._plan = floor_plan(layout, self.foods)
        self._macros = macro_actions(layout, self.foods)
        self._fronts = {
            neighbour(board, move): index for index, board in enumerate(self._plan.boards) for move in STEPS
        }
        self._opening = self._describe_kitchen()
        dish = f"the dish, a bowl with only chopped {_join(self.task.dish)}"
        self._closing = f"To serve {dish}, you should now"
        self._end = f"You have served {dish}, and could now"

    @classmethod
    def of(cls, env: gymnasium.Env[Any, Any]) -> OvercookedNarrator:
        """Return the narrator of an Overcooked environment, wrapped or not."""
        kitchen: Kitchen = env.get_wrapper_attr("kitchen")
        return cls(kitchen.task.name, kitchen.plan.layout, kitchen.foods)

    def narrate(self, observation: Observation, info: dict[str, Any]) -> tuple[str, tuple[Option, ...]]:
        """Return the prompt and one option per macro-action, all of which are always admissible."""
        scene = self.look(observation)
        options = tuple(Option(self._phrase(macro, scene), index) for index, macro in enumerate(self._macros))
        return self._prompt(scene), options

    def look(self, observation: Observation) -> Scene:
        """Return the facts that an observation holds.

        Raises:
            ValueError: If the observation comes from a kitchen with other foods.
        """
        view = read(observation, len(self.foods), len(self._plan.boards))
        homes = self._plan.homes
        places = [*zip(self.foods, (cell for cell, _ in view.foods), strict=True), (BOWL, view.bowl)]
        on_counters = (self._thing_at(view, cell) for cell in self._plan.counters)
        return Scene(
            at_home=tuple(name for name, cell in places if cell == homes[name]),
            boards=tuple(self._thing_at(view, cell) for cell in self._plan.boards),
            counters=tuple(thing for thing in on_counters if thing is not None),
            hands=self._thing_at(view, view.agent),
            front=self._fronts.get(view.agent),
            served=view.bowl == self._plan.delivery,
        )

    def _thing_at(self, view: View, cell: Cell) -> Thing | None:
        """Return what is seen at a cell; foods that share it with the bowl are in the bowl."""
        foods = [(name, chops) for name, (where, chops) in zip(self.foods, view.foods, strict=True) if where == cell]
        if view.bowl == cell != UNSEEN:
            return Thing(BOWL, contents=tuple(name for name, _ in foods))
        return Thing(foods[0][0], foods[0][1] == CHOPS) if foods else None

    def _describe_kitchen(self) -> str:
        """Return the sentence that names, in the singular, whatever a phrase of this kitchen may speak of."""
        boards = "a cutting board" if len(self._plan.boards) == 1 else f"a {' and a '.join(ORDINALS)} cutting board"
        counter = ["a middle counter"] if self._plan.counters else []
        return f"The kitchen has {_join([boards, *counter, 'a bowl', *map(_a, self.foods)])}."

    def _prompt(self, scene: Scene) -> str:
        sentences = [self._opening]
        if scene.at_home:
            tables = "on the table" if len(scene.at_home) == 1 else "on the tables"
            sentences.append(f"You see {_join(_the(name) for name in scene.at_home)} {tables}.")
        for board, thing in enumerate(scene.boards):
            if thing is not None:
                sentences.append(f"{_capital(_describe(thing))} is on {self._board(board)}.")
        if scene.counters:
            verb = "is" if len(scene.counters) == 1 else "are"
            things = _join(_describe(thing) for thing in scene.counters)
            sentences.append(f"{_capital(things)} {verb} on the middle counter.")
        closing = self._end if scene.served else self._closing
        return " ".join([*sentences, self._describe_cook(scene), closing])

    def _describe_cook(self, scene: Scene) -> str:
        """Return where the cook is, if at a board, and what it holds.

        Not "holding nothing": a word of the prompt makes the phrases that repeat it likelier, here "serve nothing".
        """
        at = None if scene.front is None else f"at {self._board(scene.front)}"
        if scene.hands is None:
            return f"You are {at} with empty hands." if at else "Your hands are empty."
        return f"You are {f'{at}, ' if at else ''}holding {_describe(scene.hands)}."

    def _board(self, board: int) -> str:
        return "the cutting board" if len(self._plan.boards) == 1 else f"the {ORDINALS[board]} cutting board"

    def _phrase(self, macro: Macro, scene: Scene) -> str:
        """Return what a macro-action amounts to in this scene, as far as the cook can see."""
        match macro.kind:
            case Kind.GET_FOOD:
                return _phrase_food(self.foods[macro.target], scene)
            case Kind.GET_BOWL:
                return _phrase_bowl(scene.hands)
            case Kind.GO_TO_BOARD:
                return self._phrase_board(macro.target, scene)
            case Kind.DELIVER:
                return _phrase_serving(scene.hands)
            case Kind.CHOP:
                return _phrase_chopping(scene)
            case Kind.GO_TO_COUNTER:
                return (
                    f"put {_the(scene.hands.name)} on the middle counter"
                    if scene.hands
                    else "walk to the middle counter"
                )

    def _phrase_board(self, index: int, scene: Scene) -> str:
        board, there, hands = self._board(index), scene.boards[index], scene.hands
        go = f"stay at {board}" if scene.front == index else f"walk to {board}"
        if hands is None:
            return go
        if there is None:
            return f"put {_the(hands.name)} on {board}"
        if there.is_bowl:
            return f"put {_the(hands.name)} in the bowl on {board}" if hands.chopped else go
        return f"bring the bowl to {board}" if hands.is_bowl and there.chopped else go


def _phrase_food(food: str, scene: Scene) -> str:
    hands, the = scene.hands, _the(food)
    if hands is not None and hands.name == food:
        return f"keep holding {the}"
    if hands is not None and food in hands.contents:
        return f"leave {the} in the bowl"
    boards = [thing for thing in scene.boards if thing is not None]
    if any(food in thing.contents for thing in (*boards, *scene.counters)):
        return f"look at {the}"
    whole_on_board = Thing(food) in boards
    whole = whole_on_board or Thing(food) in scene.counters or food in scene.at_home
    if hands is None:
        return f"walk to {the}" if whole_on_board else f"pick up {the}"
    return f"put {the} in the bowl" if hands.is_bowl and not whole else f"walk to {the}"


def _phrase_bowl(hands: Thing | None) -> str:
    if hands is None:
        return "take the bowl"
    if hands.is_bowl:
        return "keep holding the bowl"
    return f"put {_the(hands.name)} in the bowl" if hands.chopped else "walk to the bowl"


def _phrase_serving(hands: Thing | None) -> str:
    if hands is None:
        return "serve nothing"
    if hands.contents:
        return "serve the dish"
    return "serve the empty bowl" if hands.is_bowl else f"serve {_the(hands.name)}"


def _phrase_chopping(scene: Scene) -> str:
    there = None if scene.front is None else scene.boards[scene.front]
    choppable = there is not None and not there.is_bowl and not there.chopped and scene.hands is None
    return f"chop {_the(there.name)}" if there is not None and choppable else "chop nothing"


def _describe(thing: Thing) -> str:
    """Return "the whole onion", "the empty bowl", "the bowl with chopped tomato and lettuce" and the like."""
    if not thing.is_bowl:
        return f"the {'chopped' if thing.chopped else 'whole'} {thing.name}"
    return f"the bowl with chopped {_join(thing.contents)}" if thing.contents else "the empty bowl"


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]


def _the(name: str) -> str:
    return f"the {name}"


def _a(name: str) -> str:
    return f"an {name}" if name[0] in "aeiou" else f"a {name}"


def _join(words: Iterable[str]) -> str:
    """Return "one", "one and two" or "one, two and three"."""
    *start, last = words
    return f"{', '.join(start)} and {last}" if start else last
