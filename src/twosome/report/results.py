"""What was learned, on every task: where it began, where it ended, and after how many decisions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from twosome.report import curves
from twosome.report.drawing import Axes, Line, Mark, line_chart, swatch, track
from twosome.report.grouping import TRAINED_AGENTS, Group, agent_label, agent_order
from twosome.report.measures import Cell, Key, own_task
from twosome.report.reading import number
from twosome.report.statistics import Interval


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


def results(groups: Sequence[Group], cells: Mapping[Key, Cell], best: Mapping[str, float]) -> list[Result]:
    """Rows by task and agent. Where a trained agent was measured, that counts; else the end of its training."""
    own = own_task(cells)
    rows = [_trained(group, own, best.get(group.task)) for group in groups]
    shown = {_key(group) for group in groups if not group.variant}
    rows += [_measured(key, cell) for key, cell in own.items() if key not in shown and key.agent != "optimum"]
    found = [row for row in rows if row is not None]
    return sorted(found, key=lambda row: (row.task, agent_order(row.agent), row.label))


def headlines(groups: Sequence[Group], cells: Mapping[Key, Cell], best: Mapping[str, float]) -> list[Headline]:
    """One for every group of a language model that was trained."""
    own = own_task(cells)
    found = []
    for group in groups:
        row = _trained(group, own, best.get(group.task)) if group.agent in TRAINED_AGENTS else None
        before = own.get(Key("zero-shot", group.normalization, None, group.task, None, False))
        began = [curves.first_performance(group, name) for name in (curves.RETURN, curves.SUCCESS)]
        if row is None or (before is None and None in began):
            continue
        pair = (before.discounted_return, before.success) if before is not None else (began[0], began[1])
        found.append(
            Headline(
                task=group.task,
                label=group.label,
                before=pair,  # type: ignore[arg-type]
                before_source="untrained" if before is not None else f"first {curves.WINDOW} episodes",
                after=(row.discounted_return, row.success),
                after_source=row.method,
                learned_after=row.learned_after,
                optimum=best.get(group.task),
                runs=row.runs,
            )
        )
    return found


def learning_panels(groups: Sequence[Group], best: Mapping[str, float]) -> list[Panel]:
    """For every task, return and success over decisions, a line for every group."""
    panels = []
    for task in dict.fromkeys(group.task for group in groups):
        siblings = [group for group in groups if group.task == task]
        panels += [
            _panel(siblings, task, curves.RETURN, "mean discounted return", best.get(task)),
            _panel(siblings, task, curves.SUCCESS, "success", None),
        ]
    return [panel for panel in panels if panel is not None]


def _panel(groups: Sequence[Group], task: str, name: str, what: str, optimum: float | None) -> Panel | None:
    lines = []
    for style, group in enumerate(groups):
        points = curves.group_curve(group, name)
        drawn = [(float(point.decisions), point.score.value, point.score.low, point.score.high) for point in points]
        if drawn:
            lines.append(Line(f"{group.label}, {_runs(len(group.runs))}", style, drawn))
    if not lines:
        return None
    marks = [] if optimum is None else [Mark(optimum, f"optimum {optimum:.3g}")]
    heights = [y for line in lines for _, *ys in line.points for y in ys if y is not None]
    heights += [0.0, 1.0] if name == curves.SUCCESS else [0.0, *(mark.y * 1.06 for mark in marks)]
    end = max(line.points[-1][0] for line in lines)
    axes = Axes("decisions", (0.0, end), (min(heights), max(heights)), percent=name == curves.SUCCESS)
    spoken = "; ".join(
        f"{line.label}: from {line.points[0][1]:.2f} to {line.points[-1][1]:.2f} after {line.points[-1][0]:.0f}"
        for line in lines
    )
    figure = line_chart(axes, lines, marks, f"{task}: {what} over decisions", spoken)
    return Panel(f"{task}: {what}", figure, [(swatch(line.style), line.label) for line in lines])


def _trained(group: Group, own: Mapping[Key, Cell], optimum: float | None) -> Result | None:
    cell = own.get(_key(group)) if not group.variant else None
    discounted_return = cell.discounted_return if cell else curves.last_performance(group, curves.RETURN)
    success = cell.success if cell else curves.last_performance(group, curves.SUCCESS)
    if discounted_return is None or success is None:
        return None
    return Result(
        task=group.task,
        agent=group.agent,
        label=group.label,
        discounted_return=discounted_return,
        success=success,
        of_optimum=discounted_return.value / optimum if optimum and optimum > 0 else None,
        learned_after=None if optimum is None else curves.learned_after(group, optimum),
        decisions=max(run.decisions for run in group.runs),
        runs=discounted_return.runs,
        method=cell.method if cell else f"last {curves.LAST} episodes of training",
    )


def _measured(key: Key, cell: Cell) -> Result:
    return Result(
        task=key.task,
        agent=key.agent,
        label=agent_label(key.agent, key.normalization),
        discounted_return=cell.discounted_return,
        success=cell.success,
        of_optimum=cell.of_optimum,
        learned_after=None,
        decisions=None,
        runs=cell.discounted_return.runs,
        method=cell.method,
    )


def _key(group: Group) -> Key:
    return Key(group.agent, group.normalization, group.task, group.task, None, False)


def _runs(count: int) -> str:
    return "1 run" if count == 1 else f"{count} runs"
