"""Macro-actions: whole errands such as "get the tomato", made of primitive moves.

Only the cook moves things, so an errand can be planned when it starts. It takes at least one tick, and nothing
interrupts it. One that makes no sense costs its ticks and leaves things as they are.
"""

from __future__ import annotations

from typing import NamedTuple

from twosome.overcooked.floor_plan import STAY, STEPS, Cell, neighbour
from twosome.overcooked.kitchen import BOWL_ID, IN_BOWL, IN_HAND, Event, Kitchen, State
from twosome.overcooked.tasks import CHOPS, Kind, Macro


class Outcome(NamedTuple):
    """What a macro-action leads to.

    Attributes:
        state: The state afterwards.
        moves: The primitive moves, one per tick.
        event: What happened in the last tick; earlier ticks have no events.
    """

    state: State
    moves: str
    event: Event


def play(kitchen: Kitchen, state: State, macro: Macro) -> Outcome:
    """Return what a macro-action leads to."""
    moves, event = plan_moves(kitchen, state, macro), Event.NOTHING
    for move in moves:
        state, event = kitchen.tick(state, move)
    return Outcome(state, moves, event)


def plan_moves(kitchen: Kitchen, state: State, macro: Macro) -> str:
    """Return the primitive moves of a macro-action, one digit per tick."""
    plan = kitchen.plan
    match macro.kind:
        case Kind.GET_FOOD:
            return _get_food(kitchen, state, macro.target)
        case Kind.GET_BOWL:
            return _get_bowl(kitchen, state)
        case Kind.GO_TO_BOARD:
            return _visit(kitchen, state, plan.boards[macro.target])
        case Kind.DELIVER:
            return _deliver(kitchen, state)
        case Kind.CHOP:
            return _chop(kitchen, state)
        case Kind.GO_TO_COUNTER:
            free = (cell for cell in plan.counters if kitchen.thing_at(state, cell) is None)
            return _route(kitchen, state, next(free, None))


def _route(kitchen: Kitchen, state: State, target: Cell | None) -> str:
    """Return the walk to a target and the bump into it, or one idle tick if it cannot be reached."""
    route = None if target is None else kitchen.plan.route(state.agent, target)
    return route or STAY


def _walk_only(route: str) -> str:
    """Return the walk without the bump; at least one tick."""
    return route[:-1] or STAY


def _get_food(kitchen: Kitchen, state: State, index: int) -> str:
    food = state.foods[index]
    if food.place == IN_HAND or (food.place == IN_BOWL and state.bowl == IN_HAND):
        return STAY
    target = kitchen.food_cell(state, index)
    if food.place == IN_BOWL:
        return _walk_until_seen(kitchen, state.agent, target)
    route = _route(kitchen, state, target)
    whole_on_board = target in kitchen.plan.boards and not food.chopped
    return _walk_only(route) if whole_on_board else route


def _walk_until_seen(kitchen: Kitchen, cell: Cell, target: Cell) -> str:
    """Return the walk towards a target up to the first cell it is seen from, and one idle tick."""
    moves = ""
    for move in kitchen.plan.route(cell, target) or "":
        if kitchen.sees(cell, target):
            break
        moves += move
        cell = neighbour(cell, move)
    return moves + STAY


def _get_bowl(kitchen: Kitchen, state: State) -> str:
    held = kitchen.held(state)
    route = kitchen.plan.route(state.agent, state.bowl)
    if held == BOWL_ID or route is None:
        return STAY
    if held is None:
        return route
    if not state.foods[held].chopped:
        return route[:-1] + STAY
    # The first bump puts the food into the bowl. From a board the bowl then is in hand already.
    return route + (STAY if state.bowl in kitchen.plan.boards else route[-1])


def _visit(kitchen: Kitchen, state: State, target: Cell) -> str:
    """Return the walk to a station, and the bump into it with something in hand."""
    route = _route(kitchen, state, target)
    return _walk_only(route) if kitchen.held(state) is None else route


def _deliver(kitchen: Kitchen, state: State) -> str:
    """Return the walk to the hatch and the bump into it; a cook who is there with nothing to serve bumps as well."""
    moves = _visit(kitchen, state, kitchen.plan.delivery)
    return _route(kitchen, state, kitchen.plan.delivery) if moves == STAY else moves


def _chop(kitchen: Kitchen, state: State) -> str:
    """Return three chops at the board beside the cook that has whole food on it; full hands make them idle."""
    for move in STEPS:
        cell = neighbour(state.agent, move)
        thing = kitchen.thing_at(state, cell) if cell in kitchen.plan.boards else None
        if thing is not None and thing != BOWL_ID and not state.foods[thing].chopped:
            return move * CHOPS
    return STAY
