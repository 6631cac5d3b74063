"""Progress and tables on a terminal, and plain lines where there is none."""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, TextColumn
from rich.progress import Progress as Bar
from rich.table import Table

from twosome.errors import EnvironmentFault, NumericalError
from twosome.success import PAID, UNKNOWN
from twosome.terminal.waiting import Waiting, waiting

if TYPE_CHECKING:
    from twosome.envs.oracle import Play
    from twosome.evaluation.sampled import Estimate, Evaluation
    from twosome.runs.trainer import Progress
    from twosome.settings.config import RunConfig
    from twosome.success import Way

PLAIN_INTERVAL = 15.0
"""Least seconds between lines where there is no terminal, so that a log file is not flooded."""
PLAIN_STAGE = 30.0
"""Most seconds between signs of life while an update takes longer than that."""
PLAIN_SILENCE = 600.0
"""Most seconds without a line; in between, a hundredth of the run makes one."""


def command_name() -> str:
    """What to type to run twosome: its name, or its path where it is not on the search path."""
    if shutil.which("twosome"):
        return "twosome"
    return os.path.relpath(Path(sys.executable).with_name("twosome"))


class TrainingDisplay:
    """Shows rate, time left, and the mean of recent episodes."""

    def __init__(self, total: int, bar: Bar | None, told: Waiting | None = None) -> None:
        self._bar = bar
        self._waiting = told
        self._task = bar.add_task("training", total=total, status="") if bar is not None else None
        self._spoke, self._told = -PLAIN_SILENCE, 0
        self._recent: list[tuple[float, float | None]] = []
        self._unpaid = False
        self._ended: Progress | None = None

    def update(self, progress: Progress) -> None:
        """Show an update."""
        if progress.update == progress.first + 1:
            (print if self._bar is None else self._bar.console.print)(f"scoring: {progress.scoring}")
        if self._waiting is not None:
            self._waiting.spoke()  # updates that come within seconds need no other sign of life
        self._ended, metrics = progress, progress.metrics
        self._unpaid = "unpaid_updates" in metrics
        if metrics["episodes"]:
            self._recent += [(metrics["discounted_return"], metrics["success"])] * metrics["episodes"]
            self._recent = self._recent[-20:]
        status = self._status(progress)
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, completed=progress.decisions, status=status)
        elif self._is_due(progress):
            self._spoke, self._told = time.monotonic(), progress.decisions
            print(f"{progress.decisions:>7}/{progress.total} decisions  {status}", flush=True)

    def stage(self, stage: str) -> None:
        """Show what is being done until the next update: at once in a bar, else when some seconds have passed."""
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, status=stage)
        elif self._waiting is not None:
            self._waiting.status = stage

    def closing(self, out: Path) -> list[str]:
        """What must be said of the run when it has ended, in sentences."""
        said, ended = [], self._ended
        if self._unpaid:
            said.append(
                "no reward was ever met, so the actor was not trained (ppo.wait_for_reward): the policy is the one it "
                "started with"
            )
        if ended is not None and ended.best is not None and ended.last is not None and ended.best.fell_to(ended.last):
            best, last = ended.best, ended.last
            said.append(
                f"it got worse again: {best.episodes} episodes after update {best.update} returned "
                f"{best.discounted_return:.3f} on average, the last {last.episodes} only {last.discounted_return:.3f}; "
                f"{out / 'best'} holds the better policy, and `{command_name()} evaluate {out} --best` measures it"
            )
        return said

    def _is_due(self, progress: Progress) -> bool:
        silent, more = time.monotonic() - self._spoke, progress.decisions - self._told
        enough = silent >= PLAIN_INTERVAL and more >= progress.total / 100
        return enough or silent >= PLAIN_SILENCE or progress.decisions >= progress.total

    def _status(self, progress: Progress) -> str:
        if self._recent:
            returns, successes = zip(*self._recent, strict=True)
            recent = f"return {sum(returns) / len(returns):+.3f}  success {_share(successes)}"
        else:
            recent = "no episode has ended yet"
        if self._unpaid:
            recent += "  no reward was met yet"
        minutes, seconds = divmod(int(progress.seconds_left), 60)
        return f"{recent}  {progress.rate:.0f}/s  {minutes}:{seconds:02d} left"


def _share(successes: Sequence[float | None]) -> str:
    """Their mean; a dash where the last is unknown, and what was unknown before the first success was none."""
    if successes[-1] is None:
        return "   -"
    return f"{sum(success or 0.0 for success in successes) / len(successes):4.0%}"


@contextmanager
def training_display(config: RunConfig, out: Path) -> Iterator[TrainingDisplay]:
    """A display for one run, which says where its files are when it ends."""
    learner = config.model if config.policy == "language" else "networks on the observation vector"
    print(f"training {learner} on {config.task}: {config.updates * config.decisions_per_update} decisions -> {out}")
    total = config.updates * config.decisions_per_update
    display = TrainingDisplay(total, None)
    try:
        if sys.stdout.isatty():
            with Bar(BarColumn(), TextColumn("{task.completed}/{task.total}  {task.fields[status]}")) as bar:
                display = TrainingDisplay(total, bar)
                yield display
        else:
            # On standard error, as what is printed is one line for each of some updates.
            with waiting("training", longest=PLAIN_STAGE) as told:
                display = TrainingDisplay(total, None, told)
                yield display
    except KeyboardInterrupt:
        print(
            f"\ninterrupted; {out} holds what was learned; `{command_name()} train --resume {out}` goes on",
            file=sys.stderr,
        )
        raise
    except (EnvironmentFault, NumericalError) as error:
        if not (out / "config.yaml").is_file():
            raise
        again = f"`{command_name()} train --resume {out}` goes on from the last checkpoint"
        raise type(error)(f"{error}; {again}") from error
    print(f"done; `{command_name()} evaluate {out}` measures it, {out / 'learning_curve.png'} shows how it went")
    for sentence in display.closing(out):
        print(sentence)


def print_evaluations(rows: Sequence[tuple[str, Evaluation]], optimum: Play | None = None) -> None:
    """One table: success, return and length of every policy, with 95 % intervals."""
    title = f"{rows[0][1].task}, {rows[0][1].episodes} episodes each, 95 % intervals" if rows else None
    table = Table(title=title, title_justify="left")
    table.add_column("policy")
    for name in ("success", "mean discounted return", "decisions per episode"):
        table.add_column(name, justify="right")
    for name, result in rows:
        table.add_row(
            name,
            "-" if result.success is None else _interval(result.success, "{:.1%}"),
            _interval(result.discounted_return, "{:.3f}"),
            _interval(result.decisions, "{:.1f}"),
        )
    if optimum is not None:
        success = "-" if optimum.success is None else "100.0%" if optimum.success else "0.0%"
        table.add_row("optimum (by search)", success, f"{optimum.value:.4f}", str(len(optimum.actions)))
    # Wide enough for the intervals also where the output is piped.
    console = Console() if sys.stdout.isatty() else Console(width=110)
    console.print(table)
    for note in dict.fromkeys(note for _, result in rows for note in _notes(result)):
        console.print(note, highlight=False)


def _notes(result: Evaluation) -> Iterator[str]:
    """What has to be known of the numbers."""
    note = success_note(result.success_by)
    if note:
        yield note
    if result.left:
        yield (
            f"{result.left} of {result.episodes} episodes did not end and were left after {result.longest} decisions "
            "(--longest); their returns are of what they were paid until then"
        )


def success_note(success_by: Way | None) -> str:
    """What has to be known of a rate of success that the world does not tell itself."""
    return {"told": "", "paid": PAID, None: f"- : {UNKNOWN}"}[success_by]


def _interval(estimate: Estimate, form: str) -> str:
    return f"{form.format(estimate.mean)} [{form.format(estimate.low)}, {form.format(estimate.high)}]"
