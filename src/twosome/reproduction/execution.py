"""Does jobs side by side, each in a process of its own, and keeps what they find."""

from __future__ import annotations

import multiprocessing
import os
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing.connection import wait as wait_for

from twosome.errors import RunError
from twosome.evaluation.measurement import Measurement, Measurements
from twosome.reproduction.jobs import Job

LOOK = 5.0
"""Seconds between looks at how far the jobs under way are."""


@dataclass(frozen=True)
class Progress:
    """How far a reproduction is.

    Attributes:
        jobs: How many there are to do.
        finished: How many of them are done.
        active: Names of those under way.
        share: Part of the work that is done, from 0 to 1, by the jobs' weights.
        seconds: Since this process began.
        seconds_left: At the rate so far; None before anything is known.
    """

    jobs: int
    finished: int
    active: tuple[str, ...]
    share: float
    seconds: float
    seconds_left: float | None


def execute(
    stages: Sequence[Sequence[Job]],
    measurements: Measurements,
    *,
    processes: int = 1,
    on_progress: Callable[[Progress], None] = lambda progress: None,
    on_done: Callable[[Job, float], None] = lambda job, seconds: None,
) -> None:
    """Do what is missing of all jobs, stage by stage.

    Stopped at any moment and called again, it goes on where it was: a run by its checkpoints, a measurement anew.

    Args:
        stages: From :func:`~twosome.reproduction.plan.stages`.
        measurements: Where to look for what is there, and to keep what is found.
        processes: Jobs side by side; with 1 they are done in this process.
        on_progress: Called when a job is done, and now and then.
        on_done: Called with every job that is done, and the seconds of processor time it took since it was taken up.
    """
    todo = [[job for job in stage if job.missing(measurements)] for stage in stages]
    clock = _Clock([job for stage in todo for job in stage], on_progress)
    for stage in todo:
        if processes == 1:
            for job in stage:
                clock.look([job])
                found, seconds = _perform(job)
                measurements.add(found)
                on_done(job, seconds)
                clock.finish(job)
        else:
            _side_by_side(stage, measurements, processes, clock, on_done)


class _Clock:
    """Knows what is done, and what that says about the time left."""

    def __init__(self, jobs: Sequence[Job], on_progress: Callable[[Progress], None]) -> None:
        self._jobs = jobs
        self._on_progress = on_progress
        self._total = sum(job.weight for job in jobs)
        self._before = sum(job.weight * job.done() for job in jobs)
        self._finished: list[Job] = []
        self._began = time.monotonic()

    def finish(self, job: Job) -> None:
        """A job is done."""
        self._finished.append(job)
        self.look([])

    def look(self, active: Sequence[Job]) -> None:
        """Tell how far it is."""
        done = sum(job.weight for job in self._finished) + sum(job.weight * job.done() for job in active)
        seconds, gained = time.monotonic() - self._began, done - self._before
        left = (self._total - done) * seconds / gained if gained > 0 else None
        names = tuple(job.name for job in active)
        share = done / self._total if self._total else 1.0
        self._on_progress(Progress(len(self._jobs), len(self._finished), names, share, seconds, left))


def _side_by_side(
    stage: Sequence[Job],
    measurements: Measurements,
    processes: int,
    clock: _Clock,
    on_done: Callable[[Job, float], None],
) -> None:
    """Do the jobs of a stage in processes of their own; the longest first, so that none is left over alone."""
    context = multiprocessing.get_context("spawn")  # forking after torch has started threads is not safe
    with ProcessPoolExecutor(processes, mp_context=context, initializer=_begin) as pool:
        waiting: dict[Future[tuple[list[Measurement], float]], Job] = {}
        try:
            for job in sorted(stage, key=lambda job: -job.weight):
                waiting[pool.submit(_perform, job)] = job
            while waiting:
                ended, _ = wait(waiting, timeout=LOOK, return_when=FIRST_COMPLETED)
                for future in ended:
                    found, seconds = future.result()
                    measurements.add(found)
                    job = waiting.pop(future)
                    on_done(job, seconds)
                    clock.finish(job)
                clock.look([job for future, job in waiting.items() if future.running()])
        except BrokenProcessPool:
            raise RunError(
                "a process died, perhaps for want of memory; the same command goes on where it was, with fewer --jobs "
                "if need be"
            ) from None
        except BaseException:
            _stop(pool)
            raise


def _perform(job: Job) -> tuple[list[Measurement], float]:
    """What a process is asked to do, and the seconds of processor time it took."""
    began = time.process_time()
    return job.perform(), time.process_time() - began


def _begin() -> None:
    """Prepare a process: one thread, and no life without its parent, whose runs it would keep locked."""
    import torch

    torch.set_num_threads(1)
    parent = multiprocessing.parent_process()
    if parent is not None:
        sentinel = parent.sentinel

        def follow() -> None:
            wait_for([sentinel])
            os._exit(1)

        threading.Thread(target=follow, daemon=True).start()


def _stop(pool: ProcessPoolExecutor) -> None:
    """End the processes at once: every job can be taken up where it was."""
    processes = list((pool._processes or {}).values())
    pool.shutdown(wait=False, cancel_futures=True)
    for process in processes:
        process.terminate()
