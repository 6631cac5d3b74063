"""Trained on one task, tested untouched on all: the matrix, with the untrained model beside it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from twosome.report.grouping import TRAINED_AGENTS, agent_label
from twosome.report.measures import MEASURES, SUCCESS, Cell, Key, apart
from twosome.report.statistics import Interval

LEVELS = 10
"""Shades of the heat map, from 0 to this."""


VISIBLE = 1e-3
"""Less is no difference here: no table shows it, and exact measurements may leave out that share of the episodes."""


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
    """Both measures of every agent that was tested on a task it was not trained on.

    Where an agent's normalization differs from task to task, as presets may have it, one matrix holds them all.
    """
    found = []
    for agent in dict.fromkeys(key.agent for key in cells if key.agent in TRAINED_AGENTS):
        for columns in _columns(cells, agent):
            found += [_matrix(agent, name, columns, cells) for name in MEASURES]
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


_Columns = dict[tuple[str, str | None], dict[str, Cell]]
"""By what an agent was trained on and its normalization: the tasks it was tested on."""


def _columns(cells: Mapping[Key, Cell], agent: str) -> list[_Columns]:
    """The columns of each matrix of an agent: in one no task was trained on twice."""
    by_normalization: dict[str | None, _Columns] = {}
    for key, cell in cells.items():
        if key.agent == agent and _plain(key) and key.trained_on is not None:
            columns = by_normalization.setdefault(key.normalization, {})
            columns.setdefault((key.trained_on, key.normalization), {})[key.task] = cell
    found: list[_Columns] = []
    for columns in sorted(by_normalization.values(), key=len, reverse=True):
        if not any(task != trained_on for (trained_on, _), tested in columns.items() for task in tested):
            continue
        names = {trained_on for trained_on, _ in columns}
        for other in found:
            if names.isdisjoint(trained_on for trained_on, _ in other):
                other.update(columns)
                break
        else:
            found.append(columns)
    return found


def _matrix(agent: str, measure: str, columns: _Columns, cells: Mapping[Key, Cell]) -> Matrix:
    """A matrix whose first column is the untrained model under the normalization that most others have."""
    usual = Counter(normalization for _, normalization in columns).most_common(1)[0][0]
    trained_on = [task for task, _ in columns]
    tested = {task for column in columns.values() for task in column}
    rows = []
    for task in [*trained_on, *sorted(tested - set(trained_on))]:
        here = [column[task] for column in columns.values() if task in column]
        fields = [_tested(_untrained(cells, usual, task), None, measure, own=False)]
        for (on, normalization), column in columns.items():
            base = _untrained(cells, normalization, task)
            fields.append(_tested(column.get(task), base, measure, own=on == task))
        rows.append((task, next((cell.optimum for cell in here if cell.optimum), None), fields))
    headings = [task if normalization == usual else f"{task} ({normalization})" for task, normalization in columns]
    methods = list(dict.fromkeys(cell.method for column in columns.values() for cell in column.values()))
    return Matrix(agent_label(agent, usual), measure, ["untrained", *headings], rows, methods)


def _untrained(cells: Mapping[Key, Cell], normalization: str | None, task: str) -> Cell | None:
    return cells.get(Key("zero-shot", normalization, None, task))


def _tested(cell: Cell | None, base: Cell | None, measure: str, *, own: bool) -> Tested | None:
    if cell is None:
        return None
    number: Interval = getattr(cell, measure)
    share = number.value if measure == SUCCESS else (cell.of_optimum or 0.0)
    against = None if base is None else _against(number, getattr(base, measure))
    return Tested(number, round(LEVELS * min(1.0, max(0.0, share))), against, own)


def _against(number: Interval, base: Interval) -> int:
    return apart(number, base) if abs(number.value - base.value) >= VISIBLE else 0
