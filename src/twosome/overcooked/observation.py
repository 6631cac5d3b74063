"""The observation vector: what the cook sees, as integers, and how to read it back.

In this order, row before column::

    per food (tomato, lettuce, onion)   row, column, chops
    bowl, each board, serving hatch     row, column
    cook                                row, column; always present
    task                                one-hot, 7 entries

Whatever is out of view is all zeros; nothing is remembered. Cell (0, 0) is a corner where nothing can be.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from twosome.overcooked.floor_plan import Cell
from twosome.overcooked.kitchen import Kitchen, State
from twosome.overcooked.tasks import CHOPS, TASKS

Observation = NDArray[np.int64]
UNSEEN: Cell = (0, 0)


class View(NamedTuple):
    """An observation taken apart; a cell is :data:`UNSEEN` if the thing is out of view.

    Attributes:
        foods: Cell and chops of each food, in the order of the kitchen's foods.
        bowl: The bowl's cell.
        boards: The boards' cells.
        delivery: The serving hatch's cell.
        agent: The cook's cell.
        task: Number of the task.
    """

    foods: tuple[tuple[Cell, int], ...]
    bowl: Cell
    boards: tuple[Cell, ...]
    delivery: Cell
    agent: Cell
    task: int


def observe(kitchen: Kitchen, state: State) -> Observation:
    """Return the observation of a state: int64 [18] in the tomato kitchen, int64 [26] in the other."""
    numbers: list[int] = []

    def seen(cell: Cell) -> bool:
        visible = kitchen.sees(state.agent, cell)
        numbers.extend(cell if visible else UNSEEN)
        return visible

    for index, food in enumerate(state.foods):
        numbers.append(food.chops if seen(kitchen.food_cell(state, index)) else 0)
    for cell in (kitchen.bowl_cell(state), *kitchen.plan.boards, kitchen.plan.delivery, state.agent):
        seen(cell)
    numbers.extend(int(task.number == kitchen.task.number) for task in TASKS.values())
    return np.array(numbers, dtype=np.int64)


def bounds(food_count: int, board_count: int) -> tuple[Observation, Observation]:
    """Return the smallest and the largest observation, entry by entry."""
    food, cell = [6, 6, CHOPS], [6, 6]
    high = food * food_count + cell * (1 + board_count + 2) + [1] * len(TASKS)
    return np.zeros(len(high), dtype=np.int64), np.array(high, dtype=np.int64)


def read(observation: Sequence[int] | Observation, food_count: int, board_count: int) -> View:
    """Take an observation apart.

    Raises:
        ValueError: If the observation does not have the length that foods and boards require.
    """
    numbers = [int(number) for number in observation]
    expected = 3 * food_count + 2 * (board_count + 3) + len(TASKS)
    if len(numbers) != expected:
        raise ValueError(
            f"an observation of {food_count} foods and {board_count} boards has {expected} entries, got "
            f"{len(numbers)}; read it with the foods its kitchen was built with"
        )
    rest = numbers[3 * food_count : -len(TASKS)]
    cells = [(rest[i], rest[i + 1]) for i in range(0, len(rest), 2)]
    return View(
        foods=tuple(((numbers[3 * i], numbers[3 * i + 1]), numbers[3 * i + 2]) for i in range(food_count)),
        bowl=cells[0],
        boards=tuple(cells[1:-2]),
        delivery=cells[-2],
        agent=cells[-1],
        task=numbers[-len(TASKS) :].index(1),
    )
