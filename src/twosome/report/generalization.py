"""Trained on one task, tested untouched on all: the matrix, with the untrained model beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from twosome.report.grouping import TRAINED_AGENTS, agent_label
from twosome.report.measures import MEASURES, SUCCESS, Cell, Key, apart
from twosome.report.statistics import Interval

LEVELS = 10
"""Shades of the heat map, from 0 to this."""


@dataclass(frozen=True)
class Tested:
    """A field of the matrix.

    Attributes:
        number: What is shown.
        level: Its shade.
        against_untrained: 1 better, -1 worse, 0 not apart from the untrained model on this task; None if not compared.
        own: Whether the agent was trained on this very task.
    """

    number: Interval
    level: int
    against_untrained: int | None
    own: bool


@dataclass(frozen=True)
class Matrix:
    """A heat map: a row for every task tested on, a column for the untrained model and for every task trained on.

    Attributes:
        agent: Whose.
        measure: success or discounted_return.
        columns: Headings.
        rows: Task, its optimal return, and fields, None where nothing was measured.
        methods: How the fields were measured.
    """

    agent: str
    measure: str
    columns: Sequence[str]
    rows: Sequence[tuple[str, float | None, Sequence[Tested | None]]]
    methods: Sequence[str]


@dataclass(frozen=True)
class Control:
    """The untrained model on a task, and the same with its phrases exchanged."""

    task: str
    label: str
    control: str
    plain: Cell
    changed: Cell


def matrices(cells: Mapping[Key, Cell]) -> list[Matrix]:
    """Both measures of every agent that was tested on a task it was not trained on."""
    found = []
    pairs = dict.fromkeys((key.agent, key.normalization) for key in cells if key.agent in TRAINED_AGENTS)
    for agent, normalization in pairs:
        tested = {
            (key.trained_on, key.task): cell
            for key, cell in cells.items()
            if (key.agent, key.normalization) == (agent, normalization) and _plain(key) and key.trained_on is not None
        }
        if any(trained_on != task for trained_on, task in tested):
            untrained = {
                key.task: cell
                for key, cell in cells.items()
                if (key.agent, key.normalization) == ("zero-shot", normalization) and _plain(key)
            }
            found += [_matrix(agent_label(agent, normalization), name, tested, untrained) for name in MEASURES]
    return found


def controls(cells: Mapping[Key, Cell]) -> list[Control]:
    """Every control beside what it controls for, both sampled."""
    found = []
    for key, cell in cells.items():
        plain = cells.get(key._replace(control=None))
        if key.control is not None and plain is not None and not key.greedy:
            found.append(Control(key.task, agent_label(key.agent, key.normalization), key.control, plain, cell))
    return sorted(found, key=lambda control: (control.label, control.task))


def _plain(key: Key) -> bool:
    return key.control is None and not key.greedy


def _matrix(agent: str, measure: str, tested: Mapping[tuple[str, str], Cell], untrained: Mapping[str, Cell]) -> Matrix:
    trained_on = list(dict.fromkeys(on for on, _ in tested))
    tasks = [*trained_on, *sorted({task for _, task in tested} - set(trained_on))]
    rows = []
    for task in tasks:
        base = untrained.get(task)
        fields = [_tested(base, None, measure, own=False)]
        fields += [_tested(tested.get((on, task)), base, measure, own=on == task) for on in trained_on]
        optimum = next((cell.optimum for (_, name), cell in tested.items() if name == task and cell.optimum), None)
        rows.append((task, optimum, fields))
    methods = list(dict.fromkeys(cell.method for cell in tested.values()))
    return Matrix(agent, measure, ["untrained", *trained_on], rows, methods)


def _tested(cell: Cell | None, base: Cell | None, measure: str, *, own: bool) -> Tested | None:
    if cell is None:
        return None
    number: Interval = getattr(cell, measure)
    share = number.value if measure == SUCCESS else (cell.of_optimum or 0.0)
    against = None if base is None else apart(number, getattr(base, measure))
    return Tested(number, round(LEVELS * min(1.0, max(0.0, share))), against, own)
