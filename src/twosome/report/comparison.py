"""Agents compared over all tasks they share: aggregate scores, performance profiles, probability of improvement."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from twosome.report.drawing import Axes, Line, line_chart, swatch
from twosome.report.formatting import runs
from twosome.report.grouping import agent_order
from twosome.report.measures import Cell, Key, own_task, principal, scores
from twosome.report.results import Panel
from twosome.report.statistics import Interval, bootstrap, iqm, performance_profile, probability_of_improvement

NOT_COMPARED = ("optimum",)
THRESHOLDS = [round(0.025 * index, 3) for index in range(-4, 41)]

UNIFORM = "uniform"

Strata = list[list[float]]


@dataclass(frozen=True)
class Duel:
    """How likely a run of one agent is better than a run of another."""

    first: str
    second: str
    probability: Interval


@dataclass(frozen=True)
class Comparison:
    """Agents on the tasks of one of them, the reference: the trained language model that was measured most.

    Attributes:
        tasks: These tasks.
        left_out: Agents that were not measured on all of them.
        methods: How the agents were measured.
        from_uniform: Whether a score of 0 is uniform play; else it is a return of 0. 1 is the optimum.
        aggregate: Agent and interquartile mean of the scores of its runs.
        profile: Fraction of runs above every score.
        duels: The reference against each other agent.
    """

    tasks: Sequence[str]
    left_out: Sequence[str]
    methods: Sequence[str]
    from_uniform: bool
    aggregate: Sequence[tuple[str, Interval]]
    profile: Panel
    duels: Sequence[Duel]


def compare(cells: Mapping[Key, Cell], style: Mapping[str, int]) -> Comparison | None:
    """The comparison, or None where no other agent was measured on all tasks of the reference."""
    by_agent: dict[Key, dict[str, Cell]] = defaultdict(dict)
    for key, cell in own_task(cells).items():
        if key.agent not in NOT_COMPARED and cell.optimum is not None and cell.optimum > 0:
            by_agent[key._replace(trained_on=None, task="")][key.task] = cell
    everyone = sorted(by_agent, key=lambda agent: (agent_order(agent.agent), agent.label))
    if not everyone:
        return None
    reference = _reference(by_agent, everyone, principal(cells))
    tasks = sorted(by_agent[reference])
    agents = [reference, *(a for a in everyone if a != reference and set(tasks) <= set(by_agent[a]))]
    if len(agents) < 2:
        return None
    uniform = next((by_agent[agent] for agent in agents if agent.agent == UNIFORM), {})
    strata = {agent: [_normalised(by_agent[agent][task], uniform.get(task)) for task in tasks] for agent in agents}
    return Comparison(
        tasks=tasks,
        left_out=[agent.label for agent in everyone if agent not in agents],
        methods=list(dict.fromkeys(by_agent[agent][task].method for agent in agents for task in tasks)),
        from_uniform=bool(uniform),
        aggregate=[(agent.label, bootstrap(strata[agent], iqm)) for agent in agents],
        profile=_profile([(agent.label, strata[agent]) for agent in agents], style),
        duels=[
            Duel(reference.label, other.label, probability_of_improvement(strata[reference], strata[other]))
            for other in agents[1:]
        ],
    )


def _reference(
    by_agent: Mapping[Key, Mapping[str, Cell]], everyone: Sequence[Key], principal: tuple[str, str | None] | None
) -> Key:
    """The principal agent if it was measured; else who was measured on most tasks."""
    return max(everyone, key=lambda agent: ((agent.agent, agent.normalization) == principal, len(by_agent[agent])))


def _normalised(cell: Cell, uniform: Cell | None) -> list[float]:
    """Scores in which 1 is the optimum, and 0 uniform play where it was measured, else a return of 0."""
    assert cell.optimum is not None
    zero = uniform.discounted_return.value if uniform is not None else 0.0
    return [(value - zero) / (cell.optimum - zero) for value in scores(cell, lambda one: one.discounted_return)]


def _profile(agents: Sequence[tuple[str, Strata]], style: Mapping[str, int]) -> Panel:
    lines = []
    for label, strata in agents:
        fractions = performance_profile(strata, THRESHOLDS)
        points = [(at, part.value, part.low, part.high) for at, part in zip(THRESHOLDS, fractions, strict=True)]
        lines.append(Line(f"{label}, {runs(sum(map(len, strata)))}", style[label], points))
    axes = Axes("normalised score", (THRESHOLDS[0], THRESHOLDS[-1]), (0.0, 1.0), percent=True)
    spoken = "; ".join(f"{line.label}: {_at(line, 0.9):.0%} of runs score above 0.9" for line in lines)
    figure = line_chart(axes, lines, [], "Performance profile", spoken)
    return Panel(
        "Performance profile: runs that score higher than", figure, [(swatch(line.style), line.label) for line in lines]
    )


def _at(line: Line, x: float) -> float:
    return next(y for at, y, _, _ in line.points if at >= x)
