"""What an agent is worth on the task it was trained on and on others, as a table."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from twosome.evaluation.measurement import Measurement


def print_generalization(trained_on: str, rows: Mapping[str, Sequence[Measurement]]) -> None:
    """A row for every task: success and return of each policy.

    Args:
        trained_on: The task of the training.
        rows: For the name of every policy, its measurements on the same tasks in the same order.
    """
    (first, *_) = rows.values()
    exact = all(each.method == "exact" for measured in rows.values() for each in measured)
    how = "over all states, no sampling error" if exact else "where a task's states cannot be listed, 100 episodes"
    table = Table(title=f"success (mean discounted return), sampled play, {how}", title_justify="left")
    for name in ("task", *rows, "optimum"):
        table.add_column(name, justify="left" if name == "task" else "right")
    for index, here in enumerate(first):
        task = f"{here.task} (practised)" if here.task == trained_on else here.task
        best = "-" if here.optimum is None else f"{here.optimum:.3f}"
        table.add_row(task, *(_cell(measured[index]) for measured in rows.values()), best)
    console = Console() if sys.stdout.isatty() else Console(width=110)
    console.print(table)


def _cell(measured: Measurement) -> str:
    success = "-" if measured.success is None else f"{measured.success:.1%}"
    return f"{success} ({measured.discounted_return:.3f})"
