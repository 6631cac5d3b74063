"""Does jobs side by side, each in a process of its own, together with other workers on the same directory."""

from __future__ import annotations

import multiprocessing
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import wait as wait_for
from typing import Any

from twosome.errors import RunError
from twosome.evaluation.measurement import Measurements
from twosome.reproduction.jobs import Job
from twosome.reproduction.ledger import Ledger, Outcome
from twosome.sharing.claims import TIMEOUT, Holder

LOOK = 5.0
"""Seconds between looks at how far the jobs under way are, here and with other workers."""


@dataclass(frozen=True)
class Progress:
    """How far a reproduction is.

    Attributes:
        jobs: How many there are to do.
        finished: How many of them are done, by whomever.
        active: Names of those under way; of another worker's, with the worker.
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
    timeout: float = TIMEOUT,
    on_progress: Callable[[Progress], None] = lambda progress: None,
    on_done: Callable[[Job, float], None] = lambda job, seconds: None,
) -> None:
    """Do what is missing of all jobs, stage by stage, together with whoever does the same on the same directory.

    Stopped at any moment and called again, it goes on where it was: a run by its checkpoints, a measurement anew. Each
    job is one worker's at a time; what a worker that died had begun is taken over by another one. It returns when all
    is done, by whomever.

    Args:
        stages: From :func:`~twosome.reproduction.plan.stages`.
        measurements: Where to look for what is there, and to keep what is found; their directory is what is shared.
        processes: Jobs side by side; with 1 they are done in this process.
        timeout: Seconds after which a worker that is not heard of is taken for dead.
        on_progress: Called when a job is done, and now and then.
        on_done: Called with every job that was done here, and the seconds of processor time it took since it was taken
            up.
    """
    ledger = Ledger(measurements.directory, timeout)
    ledger.refresh(measurements)
    todo = [[job for job in stage if job.missing(measurements)] for stage in stages]
    clock = _Clock([job for stage in todo for job in stage], on_progress)
    since = {job.name: ledger.claimed_when_done(job) for stage in todo for job in stage}
    for stage in todo:
        with _workers(processes) as pool:
            _Stage(stage, ledger, measurements, since, clock, on_done).run(pool, processes)
    ledger.finish(measurements)


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

    def look(self, active: Sequence[Job], others: Mapping[str, Holder] | None = None) -> None:
        """Tell how far it is; ``others`` have those of the active jobs that are not done here."""
        done = sum(job.weight for job in self._finished) + sum(job.weight * job.done() for job in active)
        seconds, gained = time.monotonic() - self._began, done - self._before
        left = (self._total - done) * seconds / gained if gained > 0 else None
        elsewhere = others or {}
        names = tuple(
            f"{job.name} ({elsewhere[job.name].worker})" if job.name in elsewhere else job.name for job in active
        )
        share = done / self._total if self._total else 1.0
        self._on_progress(Progress(len(self._jobs), len(self._finished), names, share, seconds, left))


class _Stage:
    """Jobs that need nothing of each other: those that are nobody's are begun here, until all are done."""

    def __init__(
        self,
        jobs: Sequence[Job],
        ledger: Ledger,
        measurements: Measurements,
        since: Mapping[str, int],
        clock: _Clock,
        on_done: Callable[[Job, float], None],
    ) -> None:
        self._pending = list(jobs)
        self._ledger, self._measurements, self._since = ledger, measurements, since
        self._clock, self._on_done = clock, on_done
        self._under_way: dict[Future[Outcome], Job] = {}
        self._not_before: dict[str, float] = {}

    def run(self, pool: Executor, processes: int) -> None:
        """Do them; the longest first where several are done side by side, so that none is left over alone."""
        if processes > 1:
            self._pending.sort(key=lambda job: -job.weight)
        while self._pending or self._under_way:
            others = self._ledger.holders(self._pending)
            now = time.monotonic()
            refused = {name for name, moment in self._not_before.items() if now < moment}
            free = [job for job in self._pending if job.name not in others.keys() | refused]
            for job in free[: processes - len(self._under_way)]:
                self._begin(pool, job)
            idle = not self._settle(wait(self._under_way, LOOK, FIRST_COMPLETED).done)
            if idle:  # all that is left is with others, or takes its time
                self._look(others)

    def _begin(self, pool: Executor, job: Job) -> None:
        self._pending.remove(job)
        if isinstance(pool, _Here):
            self._clock.look([job])
        self._under_way[pool.submit(self._ledger.attempt, job, self._since[job.name])] = job

    def _settle(self, ended: set[Future[Outcome]]) -> bool:
        """Take note of what ended; whether any of it was a job that is done."""
        settled = False
        for future in ended:
            outcome, job = future.result(), self._under_way.pop(future)
            if outcome.kind == "busy":
                self._pending.append(job)
                self._not_before[job.name] = time.monotonic() + LOOK
                continue
            settled = True
            self._measurements.add(outcome.measurements)
            if outcome.kind == "done":
                self._on_done(job, outcome.seconds)
            self._clock.finish(job)
        return settled

    def _look(self, others: Mapping[str, Holder]) -> None:
        """See what other workers did meanwhile, and tell how far it all is."""
        self._ledger.refresh(self._measurements)
        for job in list(self._pending):
            done = self._ledger.claimed_when_done(job) > self._since[job.name]
            if done or not job.missing(self._measurements):
                self._pending.remove(job)
                self._clock.finish(job)
        elsewhere = [job for job in self._pending if job.name in others]
        if self._under_way or elsewhere:
            self._clock.look([*self._under_way.values(), *elsewhere], others)
        if not self._under_way and self._pending:
            time.sleep(LOOK)


class _Here(Executor):
    """Does what it is given at once, in this process."""

    def submit(self, work: Callable[..., Any], /, *arguments: Any, **named: Any) -> Future[Any]:
        """What comes of ``work``, which is done when this returns."""
        future: Future[Any] = Future()
        future.set_result(work(*arguments, **named))
        return future


@contextmanager
def _workers(processes: int) -> Iterator[Executor]:
    """What does jobs: this process, or so many of their own."""
    if processes == 1:
        yield _Here()
        return
    context = multiprocessing.get_context("spawn")  # forking after torch has started threads is not safe
    with ProcessPoolExecutor(processes, mp_context=context, initializer=_begin) as pool:
        try:
            yield pool
        except BrokenProcessPool:
            raise RunError(
                "a process died, perhaps for want of memory; the same command goes on where it was, with fewer --jobs "
                "if need be"
            ) from None
        except BaseException:
            _stop(pool)
            raise


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
