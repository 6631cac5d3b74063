"""The tables of the model card, as Markdown, from the samples in ``results/zero-shot.json``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from pretraining.controls import AS_IT_IS, PAPER_TASKS, PHRASES, PROMPTS, RANDOM, UNIFORM, UNSEEN_TASKS
from pretraining.results import Sample, Spread, find
from pretraining.zero_shot import NORMALIZATIONS

OWN_NOUNS = {
    "tomato-salad": "a noun held out of procedures",
    "tomato-lettuce-salad": "nouns held out of procedures",
    "food-preparation": "pancake is nowhere in the corpus",
    "entertainment": "chips and milk, nouns of the corpus's procedures",
}
NEW_NOUNS = {
    "tomato-salad": "nouns held out",
    "tomato-lettuce-salad": "nouns held out",
    "food-preparation": "nouns absent",
    "entertainment": "nouns absent",
}
"""For each task of the paper, nouns that the corpus has nowhere, or never where anything is handled."""

Rows = Sequence[Sample]


def untuned(rows: Rows) -> str:
    """Return the table of what the model can do in the paper's tasks as they are."""
    return table(["task", "its nouns", "uniform", *NORMALIZATIONS, "accuracy"], _untuned_lines(rows))


def controls(rows: Rows) -> str:
    """Return the tables of the controls, each under its title."""
    sections = []
    for column, name in (("mean_return", "return"), ("accuracy", "accuracy of the likeliest action")):
        header = ["task", "scores", "uniform play", "random weights", "new nouns", "intervals apart"]
        sections.append(
            (f"New nouns against uniform play and random weights: {name}", header, _apart_lines(rows, column))
        )
    header = ["task", "scores", AS_IT_IS, PROMPTS, PHRASES, RANDOM, UNIFORM]
    sections.append(("Controls: return (success)", header, _control_lines(rows)))
    header = ["task", "nouns", "how many", *NORMALIZATIONS, "accuracy, sum"]
    sections.append(("Nouns: return", header, _noun_lines(rows)))
    header = ["task", "uniform", "random weights, sum", *NORMALIZATIONS, "accuracy, sum (uniform)"]
    sections.append(("Unseen tasks: return (success)", header, _unseen_lines(rows)))
    return "\n\n".join(f"### {title}\n\n{table(header, lines)}" for title, header, lines in sections)


def table(header: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table."""
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (header, ["---"] * len(header), *lines))


def interval(spread: Spread, digits: int = 3) -> str:
    """Return a mean with its interval, if it has one."""
    if spread.low is None or spread.high is None:
        return f"{spread.mean:.{digits}f}"
    return f"{spread.mean:.{digits}f} [{spread.low:.{digits}f}, {spread.high:.{digits}f}]"


def is_apart(new: Sample, random: Sample, uniform: Sample, column: str) -> bool:
    """Whether new nouns are above both uniform play and random weights, intervals apart."""
    return all(new.spread(column).above(other.spread(column)) for other in (random, uniform))


def _taken(rows: Rows, task: str, condition: str) -> list[Sample]:
    """The samples of a condition, by normalisation; none if it was not measured."""
    return [row for name in NORMALIZATIONS if (row := find(rows, task, condition, name))]


def _untuned_lines(rows: Rows) -> Iterator[list[str]]:
    for task in PAPER_TASKS:
        uniform, found = find(rows, task, UNIFORM, None), _taken(rows, task, AS_IT_IS)
        if uniform and found:
            cells = [f"{row.mean_return[0]:.3f} ({row.success[0]:.3f})" for row in (uniform, *found)]
            yield [task, OWN_NOUNS[task], *cells, f"{found[-1].accuracy[0]:.2f} ({uniform.accuracy[0]:.2f})"]


def _apart_lines(rows: Rows, column: str) -> Iterator[list[str]]:
    for task in PAPER_TASKS:
        uniform = find(rows, task, UNIFORM, None)
        pairs = zip(_taken(rows, task, NEW_NOUNS[task]), _taken(rows, task, RANDOM), strict=False)
        for new, random in pairs if uniform else ():
            apart = "yes" if is_apart(new, random, uniform, column) else "**no**"
            spreads = [row.spread(column) for row in (random, new)]
            cells = [f"{interval(spread)}, n = {spread.count}" for spread in spreads]
            yield [task, str(new.normalization), f"{uniform.spread(column).mean:.3f}", *cells, apart]


def _control_lines(rows: Rows) -> Iterator[list[str]]:
    for task in PAPER_TASKS:
        for name in NORMALIZATIONS if _taken(rows, task, PHRASES) else ():
            found = [find(rows, task, condition, name) for condition in (AS_IT_IS, PROMPTS, PHRASES, RANDOM)]
            found.append(find(rows, task, UNIFORM, None))
            yield [task, name, *(_return_and_success(row) for row in found)]


def _return_and_success(row: Sample | None) -> str:
    return "" if row is None else f"{interval(row.spread('mean_return'))} ({row.spread('success').mean:.2f})"


def _noun_lines(rows: Rows) -> Iterator[list[str]]:
    for task in PAPER_TASKS:
        for group in ("known", "held out", "absent", "invented"):
            if found := _taken(rows, task, f"nouns {group}"):
                cells = [interval(row.spread("mean_return")) for row in found]
                yield [task, group, str(len(found[0].members)), *cells, interval(found[0].spread("accuracy"), 2)]


def _unseen_lines(rows: Rows) -> Iterator[list[str]]:
    for task in UNSEEN_TASKS:
        uniform, random = find(rows, task, UNIFORM, None), find(rows, task, RANDOM, "sum")
        found = _taken(rows, task, AS_IT_IS)
        if uniform and random and found:
            cells = [f"{row.mean_return[0]:.3f} ({row.success[0]:.2f})" for row in found]
            accuracy = f"{found[0].accuracy[0]:.2f} ({uniform.accuracy[0]:.2f})"
            yield [task, f"{uniform.mean_return[0]:.3f}", interval(random.spread("mean_return")), *cells, accuracy]
