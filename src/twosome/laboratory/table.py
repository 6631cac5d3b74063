"""What a comparison found as a Markdown table, the losers included."""

from __future__ import annotations

import math
from collections.abc import Sequence

from twosome.laboratory.results import Result, by_task
from twosome.report.formatting import MISSING, count, percent, score
from twosome.report.measures import apart
from twosome.report.statistics import Interval

HEAD = (
    "| task (optimum) | variant | decisions to 95 % | of the first | CPU seconds to 95 % | of the first | return | "
    "success | learned |"
)
NOTE = (
    "Decisions and CPU seconds until the mean return of the last 20 training episodes is 95 % of the optimum: median "
    "over the seeds with 95 % interval. Return and success of the trained policy at its end: interquartile mean with "
    "95 % interval. Bold: intervals apart from the first variant's, for the better; (!): for the worse."
)


def table(found: Sequence[Result]) -> str:
    """The table with its note, as Markdown."""
    lines = [HEAD, "|---|---|---:|---:|---:|---:|---:|---:|---:|"]
    for task, results in by_task(found):
        first = results[0]
        for result in results:
            decisions, seconds = (
                (interval, _marked(interval, other, kind))
                for interval, other, kind in (
                    (result.decisions, first.decisions, "count"),
                    (result.seconds, first.seconds, "seconds"),
                )
            )
            cells = (
                f"{task} ({score(result.optimum)})",
                result.variant,
                decisions[1],
                _part(decisions[0], first.decisions),
                seconds[1],
                _part(seconds[0], first.seconds),
                _plain(result.final, "score"),
                _plain(result.success, "percent"),
                f"{result.learned} of {result.decisions.runs}",
            )
            lines.append("| " + " | ".join(cells) + " |")
    return "\n".join([*lines, "", NOTE, ""])


def _marked(interval: Interval, first: Interval, kind: str) -> str:
    """An interval, marked where it is apart from the first's."""
    text = _plain(interval, kind)
    if interval is first or math.isnan(interval.value) or not (interval.known and first.known):
        return text
    side = apart(interval, first)
    return f"**{text}**" if side < 0 else f"{text} (!)" if side > 0 else text


def _part(interval: Interval, first: Interval) -> str:
    """The median as a part of the first's."""
    if not all(math.isfinite(each.value) and each.value for each in (interval, first)):
        return MISSING
    return f"{interval.value / first.value:.2f}"


def _plain(interval: Interval | None, kind: str) -> str:
    if interval is None or math.isnan(interval.value):
        return MISSING
    ends = ""
    if interval.low is not None and interval.high is not None and math.isfinite(interval.low):
        ends = f" [{_KINDS[kind](interval.low)}, {_KINDS[kind](interval.high)}]"
    return f"{_KINDS[kind](interval.value)}{ends}"


def _seconds(value: float | None) -> str:
    return count(value) if value is None or math.isinf(value) or value >= 100 else f"{value:.1f}"


_KINDS = {"count": count, "seconds": _seconds, "score": score, "percent": percent}
