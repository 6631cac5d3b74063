"""Doing a long list of jobs, with a display; shared by the commands that have one."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Iterator, Sequence

from twosome.evaluation.measurement import Measurements
from twosome.models.loading import EMBEDDED
from twosome.reproduction.execution import Progress, execute
from twosome.reproduction.jobs import Job, MeasureJob, TrainJob, UntrainedJob
from twosome.sharing.claims import TIMEOUT
from twosome.terminal.parsing import positive

PLAIN_INTERVAL = 30.0
"""Seconds between lines where there is no terminal, so that a log file is not flooded."""


def print_jobs(stages: Sequence[Sequence[Job]], measurements: Measurements) -> None:
    """Say what there is to do, with rough CPU seconds: those of the embedded model, whichever it is."""
    for job in (job for stage in stages for job in stage):
        print(f"{'missing' if job.missing(measurements) else 'done':<8} {job.weight:>8.0f} s  {job.name}")
    print(f"{'all':<8} {sum(job.weight for stage in stages for job in stage):>8.0f} s")
    if others := sorted({*_models(stages)} - {EMBEDDED}):
        print(
            f"the seconds are those of the embedded model of two million weights; {', '.join(others)} will take many "
            "times as long: `twosome plan` tells of one training"
        )


def _models(stages: Sequence[Sequence[Job]]) -> Iterator[str]:
    """The language models that jobs read with."""
    for job in (job for stage in stages for job in stage):
        if isinstance(job, TrainJob):
            if job.config.policy == "language":
                yield job.config.model
        elif isinstance(job, MeasureJob | UntrainedJob) and job.model is not None:
            yield job.model


def do_jobs(
    stages: Sequence[Sequence[Job]], measurements: Measurements, processes: int, timeout: float = TIMEOUT
) -> list[float]:
    """Do what is missing, with others who do the same: CPU seconds of the jobs that were done here.

    Args:
        stages: The jobs.
        measurements: Where to look for what is there, and to keep what is found.
        processes: Jobs side by side.
        timeout: Seconds after which another worker that is not heard of is taken for dead.
    """
    import torch

    torch.set_num_threads(1)
    taken: list[float] = []

    def note(job: Job, seconds: float) -> None:
        taken.append(seconds)

    execute(stages, measurements, processes=processes, timeout=timeout, on_progress=_Display(), on_done=note)
    return taken


def add_jobs_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments for doing a list of jobs, alone or with others: whose, how many at a time, or none yet."""
    parser.add_argument("--model", help="language model (default: the preset's)")
    parser.add_argument("--dry-run", action="store_true", help="list the jobs with rough CPU seconds, and stop")
    parser.add_argument("--jobs", type=positive, default=os.cpu_count() or 1, help="side by side (default: the cores)")
    parser.add_argument(
        "--worker-timeout",
        type=positive,
        default=int(TIMEOUT),
        metavar="SECONDS",
        help="the same command may run several times at once, on hosts that share the directory; a worker not heard of "
        f"for so long is taken for dead, and its jobs for undone (default: {TIMEOUT:.0f})",
    )


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
