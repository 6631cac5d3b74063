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

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import gymnasium

from twosome.overcooked.floor_plan import STEPS, Cell, floor_plan, neighbour
from twosome.overcooked.kitchen import Kitchen
from twosome.overcooked.observation import UNSEEN, Observation, View, read
from twosome.overcooked.tasks import BOWL, CHOPS, Kind, Macro, find_foods, find_layout, find_task, macro_actions
from twosome.text.environment import Option
from twosome.wordings.choosing import FIRST, find_wording
from twosome.wordings.kitchen import KITCHEN

ORDINALS = ("first", "second")
MOST_TOLD = 4096
"""Observations whose words are remembered; a kitchen of three foods has about 800 prompts on layout A."""


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
        wording: The name of a wording, or templates; see :func:`~twosome.wordings.choosing.find_wording`.

    Raises:
        ConfigError: If task, layout, foods or wording are unknown or contradict each other.
    """

    def __init__(
        self,
        task: str = "tomato-salad",
        layout: str = "A",
        foods: Iterable[str] | None = None,
        wording: str | Mapping[str, str] = FIRST,
    ) -> None:
        find_layout(layout)
        self.task = find_task(task)
        self.foods = find_foods(self.task, foods)
        self._plan = floor_plan(layout, self.foods)
        self._macros = macro_actions(layout, self.foods)
        self._fronts = {
            neighbour(board, move): index for index, board in enumerate(self._plan.boards) for move in STEPS
        }
        self.wording = find_wording(KITCHEN, wording)
        self._told: dict[bytes, tuple[str, tuple[Option, ...]]] = {}
        self._opening = self._describe_kitchen()
        self._dish = self.wording.dish.format(foods=_join(self.task.dish))

    @property
    def names(self) -> tuple[str, ...]:
        """The nouns that what can be carried goes by: the foods and the bowl."""
        return (*self.foods, BOWL)

    @classmethod
    def of(cls, env: gymnasium.Env[Any, Any], wording: str | Mapping[str, str] = FIRST) -> OvercookedNarrator:
        """Return the narrator of an Overcooked environment, wrapped or not."""
        kitchen: Kitchen = env.get_wrapper_attr("kitchen")
        return cls(kitchen.task.name, kitchen.plan.layout, kitchen.foods, wording)

    def narrate(self, observation: Observation, info: dict[str, Any]) -> tuple[str, tuple[Option, ...]]:
        """Return the prompt and one option per macro-action, all of which are always admissible."""
        key = observation.tobytes()
        told = self._told.get(key)
        if told is None:
            scene = self.look(observation)
            options = tuple(Option(self._phrase(macro, scene), index) for index, macro in enumerate(self._macros))
            if len(self._told) >= MOST_TOLD:
                self._told.clear()
            told = self._told[key] = self._prompt(scene), options
        return told

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
        also = [self.wording.also] if self.wording.also else []
        return self.wording.kitchen.format(things=_join([boards, *counter, "a bowl", *map(_a, self.foods), *also]))

    def _prompt(self, scene: Scene) -> str:
        words, sentences = self.wording, [self._opening]
        if scene.at_home:
            tables = words.table if len(scene.at_home) == 1 else words.tables
            sentences.append(words.sight.format(things=_join(map(_the, scene.at_home)), tables=tables))
        for board, thing in enumerate(scene.boards):
            if thing is not None:
                sentences.append(self._lying([thing], self._board(board)))
        if scene.counters:
            sentences.append(self._lying(scene.counters, "the middle counter"))
        facts = " ".join([*sentences, self._describe_cook(scene)])
        return (words.end if scene.served else words.prompt).format(
            facts=facts, dish=self._dish, foods=_join(self.task.dish)
        )

    def _lying(self, things: Sequence[Thing], place: str) -> str:
        template = self.wording.lies if len(things) == 1 else self.wording.lie
        return template.format(Things=_capital(_join(map(self._describe, things))), place=place)

    def _describe_cook(self, scene: Scene) -> str:
        """Return where the cook is, if at a board, and what it holds.

        Not "holding nothing": a word of the prompt makes the phrases that repeat it likelier, here "serve nothing".
        """
        at, hands, words = scene.front, scene.hands, self.wording
        if hands is None:
            return words.empty if at is None else words.empty_there.format(place=self._board(at))
        template = words.holding if at is None else words.holding_there
        return template.format(thing=self._describe(hands), place="" if at is None else self._board(at))

    def _describe(self, thing: Thing) -> str:
        """Return "the whole onion", "the empty bowl", "the bowl with chopped tomato and lettuce" and the like."""
        if not thing.is_bowl:
            return (self.wording.chopped if thing.chopped else self.wording.whole).format(food=thing.name)
        return self.wording.full_bowl.format(foods=_join(thing.contents)) if thing.contents else self.wording.empty_bowl

    def _board(self, board: int) -> str:
        return "the cutting board" if len(self._plan.boards) == 1 else f"the {ORDINALS[board]} cutting board"

    def _phrase(self, macro: Macro, scene: Scene) -> str:
        """Return what a macro-action amounts to in this scene, as far as the cook can see."""
        words, hands = self.wording, scene.hands
        match macro.kind:
            case Kind.GET_FOOD:
                return self._phrase_food(self.foods[macro.target], scene)
            case Kind.GET_BOWL:
                return self._phrase_bowl(hands)
            case Kind.GO_TO_BOARD:
                return self._phrase_board(macro.target, scene)
            case Kind.DELIVER:
                return self._phrase_serving(hands)
            case Kind.CHOP:
                return self._phrase_chopping(scene)
            case Kind.GO_TO_COUNTER:
                return words.onto_counter.format(**self._slots(hands)) if hands else words.walk_counter

    def _slots(self, thing: Thing) -> dict[str, str]:
        """What a phrase may call a thing: by its name, and as it is."""
        described = _the(thing.name) if thing.contents else self._describe(thing)
        return {"food": _the(thing.name), "thing": _the(thing.name), "described": described}

    def _phrase_board(self, index: int, scene: Scene) -> str:
        words, board, there, hands = self.wording, self._board(index), scene.boards[index], scene.hands
        go = (words.stay_board if scene.front == index else words.walk_board).format(place=board)
        if hands is None:
            return go
        if there is None:
            return words.onto_board.format(**self._slots(hands), place=board)
        if there.is_bowl:
            return words.into_bowl_there.format(**self._slots(hands), place=board) if hands.chopped else go
        bring = hands.is_bowl and there.chopped
        return words.bring_bowl.format(**self._slots(there), place=board) if bring else go

    def _phrase_food(self, food: str, scene: Scene) -> str:
        words, hands = self.wording, scene.hands
        if hands is not None and hands.name == food:
            template = words.keep_food
        elif hands is not None and food in hands.contents:
            template = words.leave_food
        elif any(food in thing.contents for thing in (*scene.boards, *scene.counters) if thing is not None):
            template = words.look_food
        else:
            whole_on_board = Thing(food) in scene.boards
            whole = whole_on_board or Thing(food) in scene.counters or food in scene.at_home
            if hands is None:
                template = words.walk_food if whole_on_board else words.pick_up
            else:
                template = words.into_bowl if hands.is_bowl and not whole else words.walk_food
        seen = Thing(food, chopped=True)
        described = self._describe(seen) if seen in (*scene.boards, *scene.counters) else _the(food)
        return template.format(food=_the(food), described=described)

    def _phrase_bowl(self, hands: Thing | None) -> str:
        if hands is None:
            return self.wording.take_bowl
        if hands.is_bowl:
            return self.wording.keep_bowl
        return self.wording.into_bowl.format(**self._slots(hands)) if hands.chopped else self.wording.walk_bowl

    def _phrase_serving(self, hands: Thing | None) -> str:
        if hands is None:
            return self.wording.serve_nothing
        if hands.contents:
            return self.wording.serve_dish.format(foods=_join(map(_the, hands.contents)))
        return self.wording.serve_bowl if hands.is_bowl else self.wording.serve_food.format(**self._slots(hands))

    def _phrase_chopping(self, scene: Scene) -> str:
        there = None if scene.front is None else scene.boards[scene.front]
        choppable = there is not None and not there.is_bowl and not there.chopped and scene.hands is None
        if scene.front is None or there is None or not choppable:
            return self.wording.chop_nothing
        return self.wording.chop.format(food=_the(there.name), place=self._board(scene.front))


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
