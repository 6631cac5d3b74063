"""Agents compared over all tasks they share: aggregate scores, performance profiles, probability of improvement."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from twosome.report.drawing import Axes, Line, line_chart, swatch
from twosome.report.grouping import agent_label, agent_order
from twosome.report.measures import Cell, Key, own_task, scores
from twosome.report.results import Panel
from twosome.report.statistics import Interval, bootstrap, iqm, performance_profile, probability_of_improvement

NOT_COMPARED = ("optimum",)
THRESHOLDS = [round(0.025 * index, 3) for index in range(-4, 41)]

Agent = tuple[str, str | None]
Strata = list[list[float]]


@dataclass(frozen=True)
class Duel:
    """How likely a run of one agent is better than a run of another."""

    first: str
    second: str
    probability: Interval


@dataclass(frozen=True)
class Comparison:
    """Agents on the tasks that all of them were measured on.

    Attributes:
        tasks: These tasks.
        from_uniform: Whether a score of 0 is uniform play; else it is a return of 0. 1 is the optimum.
        aggregate: Agent and interquartile mean of the scores of its runs.
        profile: Fraction of runs above every score.
        duels: The first agent against each other one.
    """

    tasks: Sequence[str]
    from_uniform: bool
    aggregate: Sequence[tuple[str, Interval]]
    profile: Panel
    duels: Sequence[Duel]


def compare(cells: Mapping[Key, Cell]) -> Comparison | None:
    """The comparison, or None where fewer than two agents were measured on a common task."""
    by_agent: dict[Agent, dict[str, Cell]] = defaultdict(dict)
    for key, cell in own_task(cells).items():
        if key.agent not in NOT_COMPARED and cell.optimum is not None and cell.optimum > 0:
            by_agent[key.agent, key.normalization][key.task] = cell
    agents = sorted(by_agent, key=lambda agent: (agent_order(agent[0]), agent[1] or ""))
    tasks = sorted(set.intersection(*(set(found) for found in by_agent.values()))) if agents else []
    if len(agents) < 2 or not tasks:
        return None
    uniform = by_agent.get(("uniform", None), {})
    strata = {agent: [_normalised(by_agent[agent][task], uniform.get(task)) for task in tasks] for agent in agents}
    labels = {agent: agent_label(*agent) for agent in agents}
    first = agents[0]
    return Comparison(
        tasks=tasks,
        from_uniform=bool(uniform),
        aggregate=[(labels[agent], bootstrap(strata[agent], iqm)) for agent in agents],
        profile=_profile([(labels[agent], strata[agent]) for agent in agents]),
        duels=[
            Duel(labels[first], labels[other], probability_of_improvement(strata[first], strata[other]))
            for other in agents[1:]
        ],
    )


def _normalised(cell: Cell, uniform: Cell | None) -> list[float]:
    """Scores in which 1 is the optimum, and 0 uniform play where it was measured, else a return of 0."""
    assert cell.optimum is not None
    zero = uniform.discounted_return.value if uniform is not None else 0.0
    return [(value - zero) / (cell.optimum - zero) for value in scores(cell, lambda one: one.discounted_return)]


def _profile(agents: Sequence[tuple[str, Strata]]) -> Panel:
    lines = []
    for style, (label, strata) in enumerate(agents):
        fractions = performance_profile(strata, THRESHOLDS)
        points = [(at, part.value, part.low, part.high) for at, part in zip(THRESHOLDS, fractions, strict=True)]
        lines.append(Line(f"{label}, {sum(map(len, strata))} runs", style, points))
    axes = Axes("normalised score", (THRESHOLDS[0], THRESHOLDS[-1]), (0.0, 1.0), percent=True)
    spoken = "; ".join(f"{line.label}: {_at(line, 0.9):.0%} of runs score above 0.9" for line in lines)
    figure = line_chart(axes, lines, [], "Performance profile", spoken)
    return Panel(
        "Performance profile: runs that score higher than", figure, [(swatch(line.style), line.label) for line in lines]
    )


def _at(line: Line, x: float) -> float:
    return next(y for at, y, _, _ in line.points if at >= x)
