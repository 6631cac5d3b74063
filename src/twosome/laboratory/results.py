"""What a comparison found: when each run had learned its task, and what it was worth in the end."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from twosome.errors import RunError
from twosome.laboratory.plan import Settings
from twosome.report.curves import RETURN, SUFFICIENT, WINDOW, run_curve
from twosome.report.reading import Measured, Run, number, read
from twosome.report.statistics import Interval, bootstrap, decisions_to_threshold, iqm, median
from twosome.runs.journal import read_lines
from twosome.runs.recorder import TIMING_FILE


@dataclass(frozen=True)
class Result:
    """What the runs of a variant did on a task.

    Attributes:
        task: The task.
        variant: The variant.
        decisions: Until the mean return of the last 20 training episodes was 95 % of the optimum: median over the
            seeds; infinite where half of the runs or more never did.
        seconds: The same in seconds of processor time.
        final: Mean return of the trained policy: interquartile mean over the seeds.
        success: Its rate of success.
        optimum: The best possible return.
        learned: How many of the runs got to 95 % of the optimum at all.
        trained_for: Decisions that each run took.
    """

    task: str
    variant: str
    decisions: Interval
    seconds: Interval
    final: Interval | None
    success: Interval | None
    optimum: float
    learned: int
    trained_for: int


def results(settings: Settings) -> list[Result]:
    """Everything that the directory of a comparison holds of it, task by task, in the order of the variants.

    Raises:
        RunError: If there is nothing, or no optimum of a task is known.
    """
    material = read([settings.out])
    optima = {one.task: one.discounted_return for one in material.measurements if one.agent == "optimum"}
    found = []
    for task in settings.tasks:
        if task not in optima:
            raise RunError(f"no optimum of {task} is known, so nothing says when it was learned; choose other --tasks")
        for variant in settings.variants:
            runs = [run for run in material.runs if (run.agent, run.task) == (variant, task) and run.finished]
            measured = [one for one in material.measurements if _is_of(one, variant, task)]
            runs = [run for run in runs if run.seed < settings.seeds]
            if runs:
                found.append(_result(task, variant, runs, measured, optima[task]))
    return found


def processor_seconds(timing: Sequence[Mapping[str, Any]]) -> dict[int, float]:
    """Seconds of processor time until the end of each update.

    A process counts its own; a run that was taken up again counts from 0 then, and makes some updates anew. The later
    line of an update counts, with what it took since the update before it.

    Args:
        timing: Lines of timing.jsonl.
    """
    taken: dict[int, float] = {}
    before, last = 0.0, None
    for line in timing:
        update, seconds = number(line.get("update")), number(line.get("cpu_seconds"))
        if update is None or seconds is None:
            continue
        going_on = last is not None and update == last + 1 and seconds >= before
        taken[int(update)] = seconds - before if going_on else seconds
        before, last = seconds, update
    totals, total = {}, 0.0
    for update in sorted(taken):
        total += taken[update]
        totals[update] = total
    return totals


def _result(task: str, variant: str, runs: Sequence[Run], measured: Sequence[Measured], optimum: float) -> Result:
    reached = [_reached(run, SUFFICIENT * optimum) for run in runs]
    returns, success = [one.discounted_return for one in measured], [one.success for one in measured]
    known = [rate for rate in success if rate is not None]
    return Result(
        task,
        variant,
        decisions=bootstrap([[decisions for decisions, _ in reached]], median),
        seconds=bootstrap([[seconds for _, seconds in reached]], median),
        final=bootstrap([returns], iqm) if returns else None,
        success=bootstrap([known], iqm) if known else None,
        optimum=optimum,
        learned=sum(math.isfinite(decisions) for decisions, _ in reached),
        trained_for=max(run.decisions for run in runs),
    )


def _reached(run: Run, threshold: float) -> tuple[float, float]:
    """Decisions and seconds of processor time until a run's last episodes returned that much; infinite if never."""
    curve = run_curve(run, RETURN)
    if curve is None:
        return math.inf, math.inf
    scores = [score if n >= WINDOW else None for score, n in zip(curve.scores, curve.episodes, strict=True)]
    decisions = decisions_to_threshold(curve.decisions, scores, threshold)
    if math.isinf(decisions):
        return math.inf, math.inf
    update = next(int(line["update"]) for line in run.metrics if line["decisions"] == decisions)
    return decisions, processor_seconds(_timing(run.path)).get(update, math.nan)


def _timing(run: Path) -> list[dict[str, Any]]:
    file = run / TIMING_FILE
    return read_lines(file) if file.is_file() else []


def _is_of(one: Measured, variant: str, task: str) -> bool:
    return (one.agent, one.trained_on, one.task, one.greedy) == (variant, task, task, False)


def by_task(found: Sequence[Result]) -> Iterator[tuple[str, list[Result]]]:
    """The results of each task together."""
    for task in dict.fromkeys(result.task for result in found):
        yield task, [result for result in found if result.task == task]
