"""Where things stand in a kitchen and how the cook walks between them."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache

from twosome.overcooked.tasks import BOWL, COUNTER_ROWS, FOOD_LETTERS, MIDDLE_COLUMN, find_layout

Cell = tuple[int, int]

RIGHT, DOWN, LEFT, UP, STAY = "01234"
"""The primitive moves; each takes one tick."""
STEPS: dict[str, Cell] = {RIGHT: (0, 1), DOWN: (1, 0), LEFT: (0, -1), UP: (-1, 0)}


def neighbour(cell: Cell, move: str) -> Cell:
    """Return the cell that ``move`` leads to from ``cell``."""
    return cell[0] + STEPS[move][0], cell[1] + STEPS[move][1]


@dataclass(frozen=True, eq=False)
class FloorPlan:
    """The fixed geometry of one kitchen.

    Attributes:
        layout: Name of the layout, A, B or C.
        rows: The drawing, with plain counters where this kitchen lacks a food or a board.
        floor: Cells the cook can stand on.
        homes: Where the foods and the bowl belong.
        boards: The cutting boards, from the top.
        delivery: The serving hatch.
        start: Where the cook starts.
        counters: The middle counter, in the order in which a free cell is looked for; empty on layout A.
    """

    layout: str
    rows: tuple[str, ...]
    floor: frozenset[Cell]
    homes: dict[str, Cell]
    boards: tuple[Cell, ...]
    delivery: Cell
    start: Cell
    counters: tuple[Cell, ...]
    _routes: dict[tuple[Cell, Cell], str | None] = field(default_factory=dict, repr=False)

    def route(self, start: Cell, target: Cell) -> str | None:
        """Return the moves of a shortest walk from a floor cell to a counter cell, the last one being the bump into it.

        Which shortest walk: see :func:`_first_move`. None if there is no way.
        """
        key = start, target
        if key not in self._routes:
            self._routes[key] = self._find_route(start, target)
        return self._routes[key]

    def _find_route(self, start: Cell, target: Cell) -> str | None:
        distances = self._distances(target)
        if start not in distances:
            return None
        moves, cell = "", start
        while cell != target:
            moves += _first_move(self.layout, cell, target, distances)
            cell = neighbour(cell, moves[-1])
        return moves

    def _distances(self, target: Cell) -> dict[Cell, int]:
        """Return the number of moves from every floor cell to ``target``, where there is a way."""
        distances, queue = {target: 0}, deque([target])
        while queue:
            cell = queue.popleft()
            for move in STEPS:
                beside = neighbour(cell, move)
                if beside in self.floor and beside not in distances:
                    distances[beside] = distances[cell] + 1
                    queue.append(beside)
        return distances


def _first_move(layout: str, cell: Cell, target: Cell, distances: dict[Cell, int]) -> str:
    """Return the first move of the shortest walk that the published path search would take.

    Vertical moves come first. Where the way leads around the middle counter of layout C, horizontal moves come first,
    but for one freak of the search's tie-breaking, kept because it decides where the cook comes to see a bowl.
    """
    shortest = [move for move in STEPS if distances.get(neighbour(cell, move)) == distances[cell] - 1]
    detour = distances[cell] > abs(cell[0] - target[0]) + abs(cell[1] - target[1])
    if layout == "C" and detour:
        across = (cell[1], target[1]) in {(1, 6), (5, 0)} and target[0] > cell[0]
        order = DOWN + UP + LEFT + RIGHT if across else LEFT + RIGHT + DOWN + UP
    else:
        order = DOWN + UP + LEFT + RIGHT
    return min(shortest, key=order.index)


@cache
def floor_plan(layout: str, foods: tuple[str, ...]) -> FloorPlan:
    """Return the floor plan of a layout furnished for these foods; one board per kitchen of one food, else two.

    Raises:
        ConfigError: If there is no such layout.
    """
    rows = tuple(_furnish(find_layout(layout), foods))
    places = {(x, y): letter for x, row in enumerate(rows) for y, letter in enumerate(row)}
    where = {letter: cell for cell, letter in places.items()}
    middle = [(row, MIDDLE_COLUMN) for row in COUNTER_ROWS]
    return FloorPlan(
        layout=layout,
        rows=rows,
        floor=frozenset(cell for cell, letter in places.items() if letter in ".A"),
        homes={food: where[letter] for letter, food in FOOD_LETTERS.items() if food in foods} | {BOWL: where["P"]},
        boards=tuple(cell for cell, letter in places.items() if letter == "K"),
        delivery=where["D"],
        start=where["A"],
        counters=tuple(cell for cell in middle if places[cell] == "#"),
    )


def _furnish(rows: tuple[str, ...], foods: tuple[str, ...]) -> Iterator[str]:
    """Yield the rows without the foods, and with one food without the second board, that the kitchen lacks."""
    missing = {letter for letter, food in FOOD_LETTERS.items() if food not in foods}
    boards_left = 1 if len(foods) == 1 else 2
    for row in rows:
        furnished = ""
        for letter in row:
            absent = letter in missing or (letter == "K" and not boards_left)
            boards_left -= letter == "K" and not absent
            furnished += "#" if absent else letter
        yield furnished
