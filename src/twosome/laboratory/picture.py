"""What a comparison found as a picture: a row for each task, variants below each other, shorter is better."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from twosome.laboratory.results import Result, by_task
from twosome.report.statistics import Interval
from twosome.runs.files import replacing


def draw(found: Sequence[Result], path: Path) -> None:
    """Write the picture: medians with 95 % intervals of decisions and CPU seconds to 95 % of the optimum.

    Args:
        found: At least one result.
        path: The PNG to write.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    tasks = list(by_task(found))
    heights = [1.2 + 0.3 * len(results) for _, results in tasks]
    figure = Figure(figsize=(10, sum(heights)), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(len(tasks), 2, squeeze=False, height_ratios=heights)
    for (task, results), (left, right) in zip(tasks, panels, strict=True):
        _panel(left, results, [result.decisions for result in results], f"{task}: decisions to 95 %")
        _panel(right, results, [result.seconds for result in results], "CPU seconds to 95 %")
        right.set_yticklabels([])
    with replacing(path) as partial:
        figure.savefig(partial, format="png", dpi=110)


def _panel(axes: Any, results: Sequence[Result], intervals: Sequence[Interval], title: str) -> None:
    """Medians and intervals of one measure on one task; what was never reached ends at an arrow."""
    finite = [end for each in intervals for end in (each.value, each.low, each.high) if end and math.isfinite(end)]
    edge = 1.3 * max(finite, default=1.0)
    for row, each in enumerate(intervals):
        colour = "tab:blue" if row else "black"
        if math.isnan(each.value):
            continue
        low, high = (min(edge, each.value if end is None else end) for end in (each.low, each.high))
        axes.plot([low, high], [row, row], color=colour, linewidth=2, solid_capstyle="butt")
        never = math.isinf(each.value)
        axes.plot([min(edge, each.value)], [row], marker=">" if never else "o", color=colour, markersize=6)
    axes.set_yticks(range(len(results)), [result.variant for result in results])
    axes.set_ylim(len(results) - 0.5, -0.5)
    axes.set_xlim(0, 1.05 * edge)
    axes.set_title(title, fontsize=10, loc="left")
    axes.grid(axis="x", alpha=0.25)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
