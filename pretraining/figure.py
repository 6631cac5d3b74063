"""The picture of what was measured: above, return over pre-training tokens; below, the controls, each value a dot."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pretraining import results
from pretraining.controls import AS_IT_IS, PAPER_TASKS, PHRASES, PROMPTS, RANDOM, REWORDED, UNIFORM
from pretraining.results import Sample, Spread, find

CONDITIONS = {
    AS_IT_IS: "as it is",
    "nouns known": "nouns: known",
    "nouns held out": "nouns: held out",
    "nouns absent": "nouns: absent",
    "nouns invented": "nouns: invented",
    REWORDED: "reworded",
    PROMPTS: "prompts permuted",
    PHRASES: "phrases permuted",
    RANDOM: "random weights",
}
COLOURS = {"sum": "tab:blue", "word": "tab:orange"}
CONTROLS = {"standard": ("s", "tab:green"), "distant": ("D", "tab:purple"), "swapped": ("X", "tab:red")}
BELOW, ABOVE = -0.5, 1.05


def draw(path: Path, directory: Path = results.DIRECTORY) -> None:
    """Draw the results of a directory."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    measured, trained = results.load("zero-shot", directory), results.load("trainings", directory)
    rows, models = results.to_rows(measured["rows"]), trained["models"]
    figure = Figure(figsize=(13, 7.2), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(2, len(PAPER_TASKS), sharey="row")
    for column, task in enumerate(PAPER_TASKS):
        optimum = measured["tasks"][task]["optimum"]
        _draw_tokens(axes[0, column], task, models, results.to_rows(trained["rows"]), rows, optimum)
        _draw_controls(axes[1, column], task, rows, optimum)
    axes[0, 0].set_ylabel("mean discounted return, untuned")
    axes[1, 0].set_yticks(range(len(CONDITIONS)), CONDITIONS.values())
    axes[1, 0].invert_yaxis()
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), frameon=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, format="png", dpi=110)


def _draw_tokens(
    axes: Any, task: str, models: Sequence[dict[str, Any]], trained: list[Sample], rows: list[Sample], optimum: float
) -> None:
    axes.set(title=task, xlabel="pre-training tokens, millions", ylim=(BELOW, ABOVE))
    axes.grid(alpha=0.25)
    uniform = find(rows, task, UNIFORM, None)
    assert uniform is not None
    axes.axhline(optimum, color="0.6", linewidth=1, linestyle=":", label="optimum")
    axes.axhline(uniform.mean_return[0], color="0.3", linewidth=1, linestyle="--", label="uniform play")
    on_the_way = [model for model in models if model["model"].startswith("shipped")]
    for name, colour in COLOURS.items():
        points = [(model, _value(trained, task, model["model"], name)) for model in on_the_way]
        start = find(rows, task, RANDOM, name)
        xs, ys = [model["tokens"] / 1e6 for model, _ in points], [value for _, value in points]
        if start is not None:
            xs, ys = [0.0, *xs], [start.spread("mean_return").mean, *ys]
        axes.plot(xs, ys, color=colour, linewidth=1.5, label=f"shipped run, {name}")
        for model, value in points:
            fill = colour if model["fallen"] == 1 else "white"
            axes.plot(model["tokens"] / 1e6, value, "o", color=colour, markerfacecolor=fill, markersize=5)
    for name, (marker, colour) in CONTROLS.items():
        found = next((model for model in models if model["model"] == name), None)
        if found is not None:
            value = _value(trained, task, name, "sum")
            style = {"marker": marker, "color": colour, "markersize": 8, "linestyle": ""}
            axes.plot(found["tokens"] / 1e6, value, label=f"control: {name}, sum", **style)


def _value(rows: list[Sample], task: str, model: str, normalization: str) -> float:
    row = find(rows, task, f"{model}, {AS_IT_IS}", normalization)
    assert row is not None, f"{model} was not measured in {task}"
    return row.mean_return[0]


def _draw_controls(axes: Any, task: str, rows: list[Sample], optimum: float) -> None:
    axes.set(xlabel="mean discounted return", xlim=(BELOW, ABOVE))
    axes.grid(alpha=0.25, axis="x")
    uniform = find(rows, task, UNIFORM, None)
    assert uniform is not None
    axes.axvline(optimum, color="0.6", linewidth=1, linestyle=":")
    axes.axvline(uniform.mean_return[0], color="0.3", linewidth=1, linestyle="--")
    for place, condition in enumerate(CONDITIONS):
        for shift, (name, colour) in zip((-0.16, 0.16), COLOURS.items(), strict=True):
            row = find(rows, task, condition, name)
            if row is not None:
                _draw_spread(axes, row.mean_return, place + shift, colour)


def _draw_spread(axes: Any, values: Sequence[float], height: float, colour: str) -> None:
    spread = Spread.of(values)
    axes.plot(values, [height] * len(values), ".", color=colour, alpha=0.35, markersize=6)
    axes.plot(spread.mean, height, "|", color=colour, markersize=11, markeredgewidth=2)
    if spread.low is not None:
        axes.plot([spread.low, spread.high], [height, height], color=colour, linewidth=1.5)
