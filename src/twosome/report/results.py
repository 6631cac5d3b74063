"""What was learned, on every task: where it began, where it ended, and after how many decisions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from twosome.report import curves
from twosome.report.drawing import Axes, Line, Mark, line_chart, swatch, track
from twosome.report.formatting import runs
from twosome.report.grouping import Group, agent_order
from twosome.report.measures import UNKNOWN, Cell, Key, cell_of, own_task
from twosome.report.reading import Measured, Run, number
from twosome.report.statistics import Interval

_FAR = 5
"""Curves of which one is this many times as long as another are drawn over the logarithm of their decisions."""


@dataclass(frozen=True)
class Result:
    """A row of the table of results.

    Attributes:
        task: The task.
        agent: The agent's key.
        label: What the agent is called.
        discounted_return: Mean return.
        success: Rate of success.
        of_optimum: Return as a part of the best possible.
        learned_after: Decisions until 95 % of the optimum; None where there is no curve or no optimum.
        decisions: Decisions of training, or None where there was none.
        runs: Replicates.
        method: How return and success were measured.
        calibration_error: Of the probabilities of what it does, or None where that is not known.
    """

    task: str
    agent: str
    label: str
    discounted_return: Interval
    success: Interval
    of_optimum: float | None
    learned_after: Interval | None
    decisions: int | None
    runs: int
    method: str
    calibration_error: Interval | None


@dataclass(frozen=True)
class Headline:
    """What the report says first about a task.

    Attributes:
        task: The task.
        label: The agent.
        before: Return and success before training, or at its beginning.
        before_source: Which of the two.
        after: Return and success now.
        after_source: How that was measured.
        learned_after: Decisions until 95 % of the optimum, or None where that is not known.
        optimum: The best possible return, or None where it is not known.
        runs: Seeds.
    """

    task: str
    label: str
    before: tuple[Interval, Interval]
    before_source: str
    after: tuple[Interval, Interval]
    after_source: str
    learned_after: Interval | None
    optimum: float | None
    runs: int

    @property
    def figure(self) -> Markup:
        """The way from before to after."""
        return track(self.before[0].value, self.after[0].value, self.optimum)


@dataclass(frozen=True)
class Panel:
    """A plot with its legend.

    Attributes:
        title: Above it.
        figure: The plot.
        legend: Swatch and label of every line.
    """

    title: str
    figure: Markup
    legend: Sequence[tuple[Markup, str]]


def optima(groups: Sequence[Group], cells: Mapping[Key, Cell]) -> dict[str, float]:
    """The best possible return of every task of which a file says it."""
    known = {key.task: cell.optimum for key, cell in cells.items() if cell.optimum is not None}
    for group in groups:
        for run in group.runs:
            best = number((run.replay or {}).get("optimum"))
            if best is not None:
                known.setdefault(group.task, best)
    return known


def with_training(groups: Sequence[Group], measured: Mapping[Key, Cell], best: Mapping[str, float]) -> dict[Key, Cell]:
    """The measured cells, and the end of training of those groups that were not measured."""
    together = dict(measured)
    for group in groups:
        ends = [_end_of_training(group, run, best.get(group.task)) for run in group.runs]
        replicates = [end for end in ends if end is not None]
        if replicates:
            together.setdefault(_key(group), cell_of(replicates))
    return together


def results(groups: Sequence[Group], cells: Mapping[Key, Cell], best: Mapping[str, float]) -> list[Result]:
    """Rows by task and agent.

    Where something was trained, tasks that nothing was trained on are left to the matrix of generalisation.

    Args:
        groups: All groups.
        cells: Of :func:`with_training`.
        best: Of :func:`optima`.
    """
    own = own_task(cells)
    tasks = {key.task for key in own if key.trained_on is not None}
    trained = {_key(group): group for group in groups}
    rows = [
        _result(key, cell, trained.get(key), best.get(key.task))
        for key, cell in own.items()
        if key.agent != "optimum" and (key.task in tasks or not tasks)
    ]
    return sorted(rows, key=lambda row: (row.task, agent_order(row.agent), row.label))


def headlines(groups: Sequence[Group], cells: Mapping[Key, Cell], best: Mapping[str, float]) -> list[Headline]:
    """One for each of the main groups (:func:`twosome.report.grouping.main_groups`)."""
    own = own_task(cells)
    found = []
    for group in groups:
        cell, before = own.get(_key(group)), _before(group, own)
        if cell is not None and before is not None:
            row = _result(_key(group), cell, group, best.get(group.task))
            found.append(
                Headline(
                    task=row.task,
                    label=row.label,
                    before=before[:2],
                    before_source=before[2],
                    after=(row.discounted_return, row.success),
                    after_source=row.method,
                    learned_after=row.learned_after,
                    optimum=best.get(row.task),
                    runs=row.runs,
                )
            )
    return found


def styles(cells: Mapping[Key, Cell]) -> dict[str, int]:
    """A line style for everything that is drawn, by its label, the same in all plots."""
    ordered = sorted(cells, key=lambda key: (agent_order(key.agent), key.label))
    return {label: style for style, label in enumerate(dict.fromkeys(key.label for key in ordered))}


def learning_panels(groups: Sequence[Group], best: Mapping[str, float], style: Mapping[str, int]) -> list[Panel]:
    """For every task, return and success over decisions, a line for every group."""
    panels = []
    for task in dict.fromkeys(group.task for group in groups):
        siblings = [group for group in groups if group.task == task]
        panels += [
            _panel(siblings, curves.RETURN, "mean discounted return", best.get(task), style),
            _panel(siblings, curves.SUCCESS, "success", None, style),
        ]
    return [panel for panel in panels if panel is not None]


def _panel(
    groups: Sequence[Group], name: str, what: str, optimum: float | None, style: Mapping[str, int]
) -> Panel | None:
    task, lines = groups[0].task, []
    for group in groups:
        points = curves.group_curve(group, name)
        drawn = [(float(point.decisions), point.score.value, point.score.low, point.score.high) for point in points]
        if drawn:
            lines.append(Line(f"{group.label}, {runs(len(group.runs))}", style.get(group.label, len(style)), drawn))
    if not lines:
        return None
    marks = [] if optimum is None else [Mark(optimum, f"optimum {optimum:.3g}")]
    heights = [y for line in lines for _, *ys in line.points for y in ys if y is not None]
    heights += [0.0, 1.0] if name == curves.SUCCESS else [0.0, *(mark.y * 1.06 for mark in marks)]
    begin, ends = min(line.points[0][0] for line in lines), [line.points[-1][0] for line in lines]
    far_apart = begin > 0 and max(ends) >= _FAR * min(ends)
    axes = Axes(
        "decisions (log scale)" if far_apart else "decisions",
        (begin if far_apart else 0.0, max(ends)),
        (min(heights), max(heights)),
        percent=name == curves.SUCCESS,
        logarithmic=far_apart,
    )
    spoken = "; ".join(
        f"{line.label}: from {line.points[0][1]:.2f} to {line.points[-1][1]:.2f} after {line.points[-1][0]:.0f}"
        for line in lines
    )
    figure = line_chart(axes, lines, marks, f"{task}: {what} over decisions", spoken)
    return Panel(f"{task}: {what}", figure, [(swatch(line.style), line.label) for line in lines])


def _end_of_training(group: Group, run: Run, optimum: float | None) -> Measured | None:
    discounted_return = curves.last_performance(run, curves.RETURN)
    success = curves.last_performance(run, curves.SUCCESS)
    if discounted_return is None:
        return None
    return Measured(
        group.agent,
        group.task,
        success,
        discounted_return,
        trained_on=group.task,
        normalization=group.normalization,
        seed=run.seed,
        method=f"last {curves.LAST} episodes of training",
        optimum=optimum,
    )


def _result(key: Key, cell: Cell, group: Group | None, optimum: float | None) -> Result:
    """A row; ``group`` are the runs behind it, if there are any."""
    return Result(
        task=key.task,
        agent=key.agent,
        label=key.label,
        discounted_return=cell.discounted_return,
        success=cell.success,
        of_optimum=cell.of_optimum,
        learned_after=None if group is None or optimum is None else curves.learned_after(group, optimum),
        decisions=None if group is None else max(run.decisions for run in group.runs),
        runs=cell.discounted_return.runs,
        method=cell.method,
        calibration_error=cell.calibration_error,
    )


def _before(group: Group, own: Mapping[Key, Cell]) -> tuple[Interval, Interval, str] | None:
    """Return and success before training, else at its beginning, and which of the two."""
    cell = own.get(Key("zero-shot", group.normalization, None, group.task))
    if cell is not None:
        return cell.discounted_return, cell.success, f"untrained, {cell.method}"
    discounted_return = curves.first_performance(group, curves.RETURN)
    success = curves.first_performance(group, curves.SUCCESS)
    if discounted_return is None:
        return None
    return discounted_return, success or UNKNOWN, f"first {curves.WINDOW} episodes"


def _key(group: Group) -> Key:
    return Key(group.agent, group.normalization, group.task, group.task, variant=group.variant)
