"""``twosome reproduce``: everything the paper claims, measured, with a report."""

from __future__ import annotations

import os
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from twosome.cli.parsing import Parser, positive
from twosome.cli.servers import add_server_arguments, server_settings

if TYPE_CHECKING:
    from twosome.reproduction.execution import Progress
    from twosome.reproduction.jobs import Job
    from twosome.reproduction.plan import Settings

PLAIN_INTERVAL = 30.0
"""Seconds between lines where there is no terminal, so that a log file is not flooded."""


def run(words: list[str]) -> int:
    """Run the command."""
    from twosome.reproduction.plan import PARTS, stages

    settings, processes, dry = _parse(words)
    jobs = stages(settings)

    from twosome.evaluation.measurement import Measurements

    measurements = Measurements(settings.out)
    if dry:
        for job in (job for stage in jobs for job in stage):
            print(f"{'missing' if job.missing(measurements) else 'done':<8} {job.weight:>8.0f} s  {job.name}")
        print(f"{'all':<8} {sum(job.weight for stage in jobs for job in stage):>8.0f} s")
        return 0

    import torch

    from twosome.reproduction.execution import execute
    from twosome.runs.journal import Journal
    from twosome.runs.recorder import TIMING_FILE

    torch.set_num_threads(1)
    print(f"reproducing {', '.join(part for part in PARTS if part in settings.parts)} -> {settings.out}")
    taken: list[float] = []
    with measurements.in_use(), closing(Journal(settings.out / TIMING_FILE)) as timing:

        def note(job: Job, seconds: float) -> None:
            taken.append(seconds)
            timing.write({"job": job.name, "cpu_seconds": round(seconds, 2)})

        execute(jobs, measurements, processes=processes, on_progress=_Display(), on_done=note)
        report = _report(settings)
    print(f"done; {len(taken)} jobs in {sum(taken):.0f} CPU seconds; {len(measurements)} measurements; {report}")
    return 0


def _parse(words: list[str]) -> tuple[Settings, int, bool]:
    from twosome.reproduction.plan import PARTS, TRAINED_TASKS, Settings
    from twosome.runs.config import PRESETS
    from twosome.text.tasks import TASKS

    parts = "; ".join(f"{name}: {what}" for name, what in PARTS.items())
    parser = Parser(
        prog="twosome reproduce",
        description="Train and measure every agent that the paper compares, several seeds of each, and write a report. "
        "What is there already is not done again, so a stopped reproduction goes on by the same command.",
        epilog=f"parts: {parts}",
    )
    parser.add_argument("--preset", choices=[name for name in PRESETS if name != "ppo"], default=PRESETS[0])
    parser.add_argument("--seeds", type=positive, default=5, help="runs of every kind (default: 5)")
    parser.add_argument("--out", type=Path, default=None, help="directory (default: runs/reproduction-PRESET)")
    parser.add_argument("--jobs", type=positive, default=os.cpu_count() or 1, help="side by side (default: the cores)")
    parser.add_argument("--only", nargs="+", metavar="PART", default=list(PARTS), help="parts to do (default: all)")
    parser.add_argument("--tasks", nargs="+", metavar="TASK", default=list(TRAINED_TASKS), help="tasks to train on")
    parser.add_argument("--targets", nargs="+", metavar="TASK", default=list(TASKS), help="tasks to test on besides")
    parser.add_argument("--decisions", type=positive, help="of every run (default: those of the presets)")
    parser.add_argument("--model", help="language model (default: the preset's)")
    parser.add_argument("--server", metavar="ADDRESS", help="also measure a decision server, http:// or https://")
    add_server_arguments(parser, "--server ADDRESS")
    parser.add_argument("--dry-run", action="store_true", help="list the jobs with rough CPU seconds, and stop")
    arguments = parser.parse_args(words)
    settings = Settings(
        out=arguments.out or Path("runs") / f"reproduction-{arguments.preset}",
        preset=arguments.preset,
        seeds=arguments.seeds,
        parts=tuple(arguments.only),
        tasks=tuple(arguments.tasks),
        targets=tuple(arguments.targets),
        decisions=arguments.decisions,
        model=arguments.model,
        server=server_settings(arguments, arguments.server),
    )
    return settings, arguments.jobs, arguments.dry_run


def _report(settings: Settings) -> Path:
    """The report of what is there, with an episode or two of every kind of run."""
    from twosome.cli.report import record_episodes
    from twosome.report import write_report

    record_episodes([settings.out])
    return write_report([settings.out], settings.out / "report.html")


class _Display:
    """Says how far it is: at every finished job, and now and then."""

    def __init__(self) -> None:
        self._finished = -1
        self._spoke = time.monotonic()

    def __call__(self, progress: Progress) -> None:
        terminal = sys.stdout.isatty()
        due = progress.finished != self._finished or time.monotonic() - self._spoke > PLAIN_INTERVAL
        if terminal or due:
            self._finished, self._spoke = progress.finished, time.monotonic()
            print(
                f"\r{_line(progress)}\033[K" if terminal else _line(progress), end="" if terminal else "\n", flush=True
            )
        if terminal and progress.finished == progress.jobs:
            print()


def _line(progress: Progress) -> str:
    left = "" if progress.seconds_left is None else f"  {_duration(progress.seconds_left)} left"
    per_hour = 3600 * progress.finished / max(progress.seconds, 1e-9)
    rate = f"  {per_hour:.0f} jobs/h" if progress.finished else ""
    active = f"  {', '.join(progress.active[:3])}" if progress.active else ""
    return f"[{progress.finished}/{progress.jobs}] {progress.share:4.0%}{rate}{left}{active}"


def _duration(seconds: float) -> str:
    minutes, seconds = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}"
