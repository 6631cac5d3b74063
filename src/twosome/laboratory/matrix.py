"""The generalisation matrix as one picture, for pages that cannot show a report."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from twosome.errors import RunError
from twosome.report.generalization import LEVELS, Matrix, Tested, matrices
from twosome.report.measures import SUCCESS, cells
from twosome.report.reading import read
from twosome.runs.files import replacing

_DARK = 0.6  # of the colour scale, from where white letters are easier to read


def write_matrix(directories: Sequence[Path], path: Path) -> Path:
    """Draw, for every agent that was tested on other tasks, how often it succeeds: ``path``, a PNG.

    Args:
        directories: Run directories, or directories that hold runs and measurements.
        path: Where it goes.

    Raises:
        RunError: If no agent was tested on a task that it was not trained on.
    """
    found = [each for each in matrices(cells(read(directories).measurements)) if each.measure == SUCCESS]
    if not found:
        names = ", ".join(repr(str(directory)) for directory in directories)
        raise RunError(
            f"no agent in {names} was measured on tasks that it was not trained on, so there is no matrix to draw; "
            "`twosome reproduce --only twosome untrained generalization` measures that"
        )
    _draw(found, path)
    return path


def _draw(found: Sequence[Matrix], path: Path) -> None:
    """A panel for every matrix, below each other."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    heights = [1.6 + 0.34 * len(matrix.rows) for matrix in found]
    width = 3.2 + 1.25 * max(len(matrix.columns) for matrix in found)
    figure = Figure(figsize=(width, sum(heights)), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(len(found), 1, squeeze=False, height_ratios=heights)
    for matrix, (axes,) in zip(found, panels, strict=True):
        _panel(axes, matrix)
    with replacing(path) as partial:
        figure.savefig(partial, format="png", dpi=110)


def _panel(axes: Any, matrix: Matrix) -> None:
    """One matrix: a shaded field with its rate of success, a frame around tasks that were practised."""
    from matplotlib.patches import Rectangle

    shades = [[math.nan if field is None else field.level / LEVELS for field in fields] for _, _, fields in matrix.rows]
    axes.imshow(shades, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    for row, (_, _, fields) in enumerate(matrix.rows):
        for column, field in enumerate(fields):
            axes.text(column, row, _words(field), ha="center", va="center", fontsize=9, color=_ink(field))
            if field is not None and field.own:
                frame = (column - 0.5, row - 0.5)
                axes.add_patch(Rectangle(frame, 1, 1, fill=False, edgecolor="tab:orange", linewidth=2.5))
    headings = [matrix.columns[0], *(f"practised\n{column}" for column in matrix.columns[1:])]
    axes.set_xticks(range(len(headings)), headings, fontsize=8)
    axes.set_yticks(range(len(matrix.rows)), [task for task, _, _ in matrix.rows], fontsize=9)
    axes.xaxis.tick_top()
    axes.tick_params(length=0)
    axes.set_title(f"{matrix.agent}: success on each task (framed: practised)", fontsize=10, loc="left")
    for side in axes.spines.values():
        side.set_visible(False)


def _words(field: Tested | None) -> str:
    """The rate, and whether it is apart from the untrained model's."""
    if field is None or math.isnan(field.number.value):
        return ""
    mark = {1: " ▲", -1: " ▼"}.get(field.against_untrained or 0, "")
    return f"{100 * field.number.value:.1f} %{mark}"


def _ink(field: Tested | None) -> str:
    return "white" if field is not None and field.level > _DARK * LEVELS else "black"
