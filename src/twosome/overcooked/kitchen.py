"""The rules of the kitchen, one tick at a time: pure functions of an immutable state.

Positions, states and outcomes only; rewards are in :mod:`~twosome.overcooked.transitions`, macro-actions in
:mod:`~twosome.overcooked.macros`.
"""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

from twosome.overcooked.floor_plan import STAY, Cell, floor_plan, neighbour
from twosome.overcooked.tasks import BOWL, CHOPS, Macro, Task, macro_actions

IN_HAND: Cell = (-1, -1)
IN_BOWL: Cell = (-2, -2)
"""Places that move with their holder."""

BOWL_ID = -1
"""What :meth:`Kitchen.held` and :meth:`Kitchen.thing_at` call the bowl; foods are called by their index."""


class Event(Enum):
    """What happened in a tick, as far as a reward depends on it."""

    NOTHING = 0
    CHOPPED = 1
    """A food that the dish needs received its last chop."""
    SERVED = 2
    """The dish was served: the episode is over."""
    WASTED = 3
    """Anything else was served: it goes back where it came from, whole and empty."""


class Food(NamedTuple):
    """A food: the cell it lies on, or :data:`IN_HAND`, or :data:`IN_BOWL`; and its chops, 0 to 3."""

    place: Cell
    chops: int = 0

    @property
    def chopped(self) -> bool:
        """Whether it is chopped all the way; a food with fewer chops counts as whole."""
        return self.chops == CHOPS


class State(NamedTuple):
    """Everything that can change in a kitchen; immutable and hashable.

    Attributes:
        agent: The floor cell the cook stands on.
        bowl: The cell the bowl stands on, or :data:`IN_HAND`.
        foods: In the order of the kitchen's foods.
    """

    agent: Cell
    bowl: Cell
    foods: tuple[Food, ...]


class Kitchen:
    """The rules of one kitchen for one task.

    Args:
        task: Decides which dish ends the episode and which chops count.
        layout: A, B or C.
        foods: One of :data:`~twosome.overcooked.tasks.FOOD_SETS`.
        view_radius: How far the cook sees, in cells, diagonals included; 0 means everywhere.

    Attributes:
        plan: The fixed geometry.
        macros: The macro-actions in the order of their indices.
        initial_state: The one state every episode starts in.
    """

    def __init__(self, task: Task, layout: str, foods: tuple[str, ...], view_radius: int) -> None:
        self.task = task
        self.foods = foods
        self.view_radius = view_radius
        self.plan = floor_plan(layout, foods)
        self.macros: tuple[Macro, ...] = macro_actions(layout, foods)
        homes = self.plan.homes
        self.initial_state = State(self.plan.start, homes[BOWL], tuple(Food(homes[food]) for food in foods))
        self._dish = frozenset(foods.index(food) for food in task.dish)

    def sees(self, agent: Cell, cell: Cell) -> bool:
        """Return whether a cook at ``agent`` sees ``cell``."""
        reach = max(abs(agent[0] - cell[0]), abs(agent[1] - cell[1]))
        return self.view_radius == 0 or reach <= self.view_radius

    def held(self, state: State) -> int | None:
        """Return what is in the cook's hands: a food's index, :data:`BOWL_ID` or None."""
        return self.thing_at(state, IN_HAND)

    def thing_at(self, state: State, place: Cell) -> int | None:
        """Return what is in a place: a food's index, :data:`BOWL_ID` or None; food in a bowl does not count."""
        if state.bowl == place:
            return BOWL_ID
        return next((index for index, food in enumerate(state.foods) if food.place == place), None)

    def food_cell(self, state: State, index: int) -> Cell:
        """Return the cell a food is on; a held food is where the cook is, a food in a bowl where the bowl is."""
        place = state.foods[index].place
        if place == IN_BOWL:
            place = state.bowl
        return state.agent if place == IN_HAND else place

    def bowl_cell(self, state: State) -> Cell:
        """Return the cell the bowl is on; a held bowl is where the cook is."""
        return state.agent if state.bowl == IN_HAND else state.bowl

    def contents(self, state: State) -> frozenset[int]:
        """Return the indices of the foods in the bowl."""
        return frozenset(index for index, food in enumerate(state.foods) if food.place == IN_BOWL)

    def served(self, state: State) -> bool:
        """Return whether the dish has been served, which ends the episode."""
        return state.bowl == self.plan.delivery

    def tick(self, state: State, move: str) -> tuple[State, Event]:
        """Return what one primitive move leads to; moving into a counter uses it."""
        if move == STAY:
            return state, Event.NOTHING
        target = neighbour(state.agent, move)
        if target in self.plan.floor:
            return state._replace(agent=target), Event.NOTHING
        if target == self.plan.delivery:
            return self._deliver(state)
        held = self.held(state)
        if held is None:
            return self._use_empty_hands(state, target)
        if held == BOWL_ID:
            return self._use_bowl(state, target), Event.NOTHING
        return self._use_food(state, held, target), Event.NOTHING

    def _deliver(self, state: State) -> tuple[State, Event]:
        held, contents = self.held(state), self.contents(state)
        if held is None:
            return state, Event.NOTHING
        if held == BOWL_ID and contents == self._dish:
            return state._replace(bowl=self.plan.delivery), Event.SERVED
        returned = contents if held == BOWL_ID else {held}
        homes = self.plan.homes
        for index in returned:
            state = _with_food(state, index, Food(homes[self.foods[index]]))
        if held == BOWL_ID:
            state = state._replace(bowl=homes[BOWL])
        return state, Event.WASTED

    def _use_empty_hands(self, state: State, cell: Cell) -> tuple[State, Event]:
        """Pick up what is there, but chop whole food on a board."""
        thing = self.thing_at(state, cell)
        if thing is None:
            return state, Event.NOTHING
        if thing == BOWL_ID:
            return state._replace(bowl=IN_HAND), Event.NOTHING
        food = state.foods[thing]
        if cell not in self.plan.boards or food.chopped:
            return _with_food(state, thing, food._replace(place=IN_HAND)), Event.NOTHING
        food = food._replace(chops=food.chops + 1)
        counts = food.chopped and thing in self._dish
        return _with_food(state, thing, food), Event.CHOPPED if counts else Event.NOTHING

    def _use_food(self, state: State, held: int, cell: Cell) -> State:
        """Put the held food down, or, if it is chopped, into a bowl; from a board the bowl comes along."""
        thing, food = self.thing_at(state, cell), state.foods[held]
        if thing is None:
            return _with_food(state, held, food._replace(place=cell))
        if thing != BOWL_ID or not food.chopped:
            return state
        state = _with_food(state, held, food._replace(place=IN_BOWL))
        return state._replace(bowl=IN_HAND) if cell in self.plan.boards else state

    def _use_bowl(self, state: State, cell: Cell) -> State:
        """Put the held bowl down, or collect chopped food with it."""
        thing = self.thing_at(state, cell)
        if thing is None:
            return state._replace(bowl=cell)
        food = state.foods[thing]
        return _with_food(state, thing, food._replace(place=IN_BOWL)) if food.chopped else state


def _with_food(state: State, index: int, food: Food) -> State:
    return state._replace(foods=(*state.foods[:index], food, *state.foods[index + 1 :]))
