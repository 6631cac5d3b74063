"""The results as Markdown for the model card.

Tables are made from ``pretraining/results/`` alone; what is read out of them is written by hand, in ``reading.md``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from pretraining import results
from pretraining.controls import (
    AS_IT_IS,
    IN_PART,
    PAPER_TASKS,
    PHRASES,
    PROMPTS,
    RANDOM,
    REWORDED,
    UNIFORM,
    UNSEEN_TASKS,
)
from pretraining.practice import PRETRAINED, SHARES
from pretraining.results import Sample, Spread, find
from pretraining.trainings import REVERSED, TRAININGS
from pretraining.zero_shot import NORMALIZATIONS

NEW_NOUNS = {
    "tomato-salad": "nouns held out",
    "tomato-lettuce-salad": "nouns held out",
    "food-preparation": "nouns absent",
    "entertainment": "nouns absent",
}
"""For each task of the paper, nouns that the corpus has nowhere, or never where anything is handled."""
SHIPPED = "shipped"
TWO = ("sum", "word")

Titled = tuple[str, str]
Rows = Sequence[Sample]


def evidence(weights: str, directory: Path = results.DIRECTORY) -> str:
    """Return the sections on what was measured for these weights (their SHA-256)."""
    measured = results.load("zero-shot", directory)
    if measured.get("weights") != weights:
        return "Not measured for these weights yet: `python -m pretraining controls`.\n"
    reading = (directory / "reading.md").read_text(encoding="utf-8").strip()
    sections = [
        *_zero_shot_tables(results.to_rows(measured["rows"])),
        *_training_tables(results.load("trainings", directory)),
        *_practice_tables(results.load("practice", directory)),
        *_cost_tables(results.load("cost", directory)),
    ]
    return "\n\n".join([reading, *(f"### {title}\n\n{text}" for title, text in sections)]) + "\n"


def table(header: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table."""
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (header, ["---"] * len(header), *lines))


def interval(spread: Spread, digits: int = 3) -> str:
    """Return a mean with its interval, if it has one."""
    if spread.low is None or spread.high is None:
        return f"{spread.mean:.{digits}f}"
    return f"{spread.mean:.{digits}f} [{spread.low:.{digits}f}, {spread.high:.{digits}f}]"


# ---- the shipped weights ----


def _zero_shot_tables(rows: Rows) -> Iterator[Titled]:
    for column, name in (("mean_return", "return"), ("accuracy", "accuracy of the likeliest action")):
        header = ["task", "scores", "uniform play", "random weights", "new nouns", "intervals apart"]
        yield f"New nouns against uniform play and random weights: {name}", table(header, _apart_lines(rows, column))
    header = ["task", "scores", AS_IT_IS, PROMPTS, PHRASES, RANDOM, UNIFORM]
    yield "Controls: return (success)", table(header, _control_lines(rows))
    yield "Nouns: return", table(["task", "nouns", "how many", *NORMALIZATIONS, "accuracy, sum"], _noun_lines(rows))
    header = ["task", "wording", *NORMALIZATIONS, "accuracy, sum"]
    yield "Other words: return (success)", table(header, _reworded_lines(rows))
    header = ["task", "uniform", "random weights, sum", *NORMALIZATIONS, "accuracy, sum (uniform)"]
    yield "Unseen tasks: return (success)", table(header, _unseen_lines(rows))


def is_apart(new: Sample, random: Sample, uniform: Sample, column: str) -> bool:
    """Whether new nouns are above both uniform play and random weights, intervals apart."""
    return all(new.spread(column).above(other.spread(column)) for other in (random, uniform))


def _apart_lines(rows: Rows, column: str) -> Iterator[list[str]]:
    for task, name in _each(rows, UNIFORM):
        new, random = find(rows, task, NEW_NOUNS[task], name), find(rows, task, RANDOM, name)
        uniform = find(rows, task, UNIFORM, None)
        if new and random and uniform:
            apart = "yes" if is_apart(new, random, uniform, column) else "**no**"
            spreads = [row.spread(column) for row in (random, new)]
            cells = [f"{interval(spread)}, n = {spread.count}" for spread in spreads]
            yield [task, name, f"{uniform.spread(column).mean:.3f}", *cells, apart]


def _each(rows: Rows, condition: str) -> Iterator[tuple[str, str]]:
    """Each task of the paper for which a condition was measured, with each normalisation."""
    for task in PAPER_TASKS:
        if any((row.task, row.condition) == (task, condition) for row in rows):
            yield from ((task, name) for name in NORMALIZATIONS)


def _control_lines(rows: Rows) -> Iterator[list[str]]:
    for task, name in _each(rows, PHRASES):
        found = [find(rows, task, condition, name) for condition in (AS_IT_IS, PROMPTS, PHRASES, RANDOM)]
        found.append(find(rows, task, UNIFORM, None))
        yield [task, name, *(_return_and_success(row) for row in found)]


def _return_and_success(row: Sample | None) -> str:
    return "" if row is None else f"{interval(row.spread('mean_return'))} ({row.spread('success').mean:.2f})"


def _noun_lines(rows: Rows) -> Iterator[list[str]]:
    for task in PAPER_TASKS:
        for group in ("known", "held out", "absent", "invented"):
            found = [row for name in NORMALIZATIONS if (row := find(rows, task, f"nouns {group}", name))]
            if found:
                cells = [interval(row.spread("mean_return")) for row in found]
                yield [task, group, str(len(found[0].members)), *cells, interval(found[0].spread("accuracy"), 2)]


def _reworded_lines(rows: Rows) -> Iterator[list[str]]:
    for task in PAPER_TASKS:
        for condition in (REWORDED, IN_PART):
            found = [row for name in NORMALIZATIONS if (row := find(rows, task, condition, name))]
            for index, member in enumerate(found[0].members if found else ()):
                cells = [f"{row.mean_return[index]:.3f} ({row.success[index]:.2f})" for row in found]
                yield [task, member, *cells, f"{found[0].accuracy[index]:.2f}"]


def _unseen_lines(rows: Rows) -> Iterator[list[str]]:
    for task in UNSEEN_TASKS:
        uniform, random = find(rows, task, UNIFORM, None), find(rows, task, RANDOM, "sum")
        found = [row for name in NORMALIZATIONS if (row := find(rows, task, AS_IT_IS, name))]
        if uniform and random and found:
            cells = [f"{row.mean_return[0]:.3f} ({row.success[0]:.2f})" for row in found]
            accuracy = f"{found[0].accuracy[0]:.2f} ({uniform.accuracy[0]:.2f})"
            yield [task, f"{uniform.mean_return[0]:.3f}", interval(random.spread("mean_return")), *cells, accuracy]


# ---- other trainings ----


def _training_tables(trained: dict[str, Any]) -> Iterator[Titled]:
    rows, models = results.to_rows(trained.get("rows", [])), trained.get("models", [])
    order = [training.name for training in TRAININGS]
    controls = [model for name in order for model in models if model["model"] == name]
    shipped = [model for model in models if model["model"].startswith(SHIPPED)]
    titles = [f"{task}: {', '.join(TWO)}" for task in PAPER_TASKS]
    if controls:
        header = ["training", "corpus", "weights", "tokens", "loss", *titles]
        yield (
            "Trained on other text, in other sizes, with another seed: return",
            table(header, [_control_training(rows, model) for model in controls]),
        )
        header = ["corpus", "task", "words as they are: sum", "word", "words reversed: sum", "word"]
        header += ["nats for cutting where it is due", "where serving is due"]
        lines = _swapped_lines(rows, [model["model"] for model in controls], trained["contrasts"])
        yield "A corpus in which cutting and serving trade places: return", table(header, lines)
    if shipped:
        header = ["tokens", "fall done", "loss", *titles]
        yield "Along the shipped training: return", table(header, [_on_the_way(rows, model) for model in shipped])


def _control_training(rows: Rows, model: dict[str, Any]) -> list[str]:
    facts = [model["model"], model["corpus"], f"{model['parameters']:,}", f"{model['tokens'] / 1e6:.1f} M"]
    return [*facts, f"{model['validation_loss']:.3f}", *_returns(rows, model["model"])]


def _on_the_way(rows: Rows, model: dict[str, Any]) -> list[str]:
    facts = [f"{model['tokens'] / 1e6:.1f} M", f"{model['fallen']:.0%}", f"{model['validation_loss']:.3f}"]
    return [*facts, *_returns(rows, model["model"])]


def _returns(rows: Rows, model: str) -> list[str]:
    """One cell per task of the paper."""
    cells = []
    for task in PAPER_TASKS:
        found = [row for name in TWO if (row := find(rows, task, f"{model}, {AS_IT_IS}", name))]
        cells.append(", ".join(f"{row.mean_return[0]:.3f}" for row in found))
    return cells


def _swapped_lines(rows: Rows, models: Sequence[str], contrasts: Sequence[dict[str, Any]]) -> Iterator[list[str]]:
    for model in (name for name in ("standard", "swapped") if name in models):
        for task in PAPER_TASKS[:2]:
            wanted = [(words, name) for words in (AS_IT_IS, REVERSED) for name in TWO]
            found = [row for words, name in wanted if (row := find(rows, task, f"{model}, {words}", name))]
            nats = [
                f"{row['cutting_over_serving_nats']:+.2f}"
                for due in ("cutting", "serving")
                for row in contrasts
                if (row["model"], row["task"], row["due"]) == (model, task, due)
            ]
            yield [model, task, *(f"{row.mean_return[0]:.3f}" for row in found), *nats]


# ---- practice ----


def _practice_tables(practice: dict[str, Any]) -> Iterator[Titled]:
    groups: dict[tuple[str, int, bool, str], list[dict[str, Any]]] = {}
    for row in practice.get("rows", []):
        key = row["task"], row["decisions"], row["model"] != PRETRAINED, row["model"]
        groups.setdefault(key, []).append(row)
    if groups:
        header = ["task", "decisions", "weights", *(f"decisions to {share:.0%} of the optimum" for share in SHARES)]
        header += ["return at the end", "success"]
        yield "Practice", table(header, [_practice_line(key, groups[key]) for key in sorted(groups)])


def _practice_line(key: tuple[str, int, bool, str], rows: Sequence[dict[str, Any]]) -> list[str]:
    task, decisions, _, model = key
    reached = [_reached([row[f"until_{round(share * 100)}"] for row in rows]) for share in SHARES]
    end = interval(Spread.of([row["mean_return"] for row in rows]))
    return [task, f"{decisions:,}", model, *reached, end, f"{fmean(row['success'] for row in rows):.4f}"]


def _reached(values: Sequence[int | None]) -> str:
    """When each seed reached it, with the mean's interval where all did."""
    each = ", ".join("never" if value is None else str(value) for value in values)
    known = [value for value in values if value is not None]
    return f"{each}: {interval(Spread.of(known), 0)}" if len(known) == len(values) else each


def _cost_tables(cost: dict[str, Any]) -> Iterator[Titled]:
    if cost:
        lines = [[row["model"], f"{row['parameters']:,}", f"{row['ratio']:.2f}"] for row in cost["rows"]]
        yield "Processor time of a PPO update", table(["size", "weights", "ratio"], lines)
