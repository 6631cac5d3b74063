"""The learning curve of a run as a picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from twosome.runs.files import replacing


def draw_learning_curve(metrics: Sequence[dict[str, Any]], title: str, path: Path) -> None:
    """Draw return and success over decisions; episodes are averaged over the last tenth of the run so far.

    Success is left out where the world does not say what it is.

    Args:
        metrics: Lines of ``metrics.jsonl``.
        title: Shown above.
        path: The PNG to write.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.set(title=title, xlabel="decisions", ylabel="of the episodes that ended")
    axes.axhline(0, color="0.8", linewidth=0.8)
    for name, label, colour in (
        ("discounted_return", "mean discounted return", "tab:blue"),
        ("success", "success rate", "tab:green"),
    ):
        points = _points(metrics, name)
        if not points:
            continue
        axes.plot([x for x, _, _ in points], [y for _, y, _ in points], color=colour, alpha=0.25, linewidth=1)
        axes.plot(*smooth(points, window=max(1, len(points) // 10)), color=colour, label=label, linewidth=2)
    axes.set_ylim(-0.3, 1.05)
    axes.grid(alpha=0.25)
    if axes.get_legend_handles_labels()[0]:
        axes.legend(loc="lower right", frameon=False)
    with replacing(path) as partial:
        figure.savefig(partial, format="png", dpi=120)


def _points(metrics: Sequence[dict[str, Any]], name: str) -> list[tuple[float, float, int]]:
    """Decisions, a mean and its weight for every update with episodes; none if the last mean is unknown.

    A mean that was unknown and is known later was one of episodes without a success.
    """
    lines = [line for line in metrics if line["episodes"]]
    if not lines or lines[-1][name] is None:
        return []
    return [(line["decisions"], line[name] or 0.0, line["episodes"]) for line in lines]


def smooth(points: Sequence[tuple[float, float, int]], window: int) -> tuple[list[float], list[float]]:
    """Means over the last ``window`` points, weighted by how many episodes each stands for.

    Args:
        points: ``(x, y, weight)``.
        window: How many points.
    """
    xs, ys = [], []
    for end in range(1, len(points) + 1):
        part = points[max(0, end - window) : end]
        xs.append(part[-1][0])
        ys.append(sum(y * n for _, y, n in part) / sum(n for _, _, n in part))
    return xs, ys
