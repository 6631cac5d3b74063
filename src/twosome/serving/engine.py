"""Questions of many clients, answered together: a queue, what is under way, and one thread that computes."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field

from twosome.deciding.agent import Agent
from twosome.deciding.judgement import Judgement
from twosome.decision import Decision
from twosome.errors import TwosomeError
from twosome.formats.refusals import Refusal

_GATHERING = 0.002
"""Seconds to wait for more while fewer wait than were just answered at once: those clients are about to ask again."""


@dataclass
class Limits:
    """How much may be under way.

    Attributes:
        together: Most decisions that are read at a time. More are quicker by the piece, and keep others waiting longer.
        waiting: Most decisions that wait; a request beyond that is told to come again.
    """

    together: int = 32
    waiting: int = 8192


@dataclass
class _Job:
    """A decision that somebody waits for."""

    agent: str
    decision: Decision
    answer: asyncio.Future[Judgement]
    waiters: int = 0
    begun: bool = False


@dataclass
class Counts:
    """What the engine did since it began."""

    batches: int = 0
    computed: int = 0
    remembered: int = 0
    joined: int = 0
    left: int = 0


@dataclass
class Engine:
    """Answers decisions. Lives on one event loop; all but the computing happens there.

    Decisions that come while others are computed wait and are then read together. One that is asked again while it
    waits or is computed is joined, not computed twice. One whose askers all went away before it was begun is dropped.

    Attributes:
        agents: By name; the first is asked unless a request names another.
        limits: How much may be under way.
        values: Whether critics are asked, too.
        counts: What it did.
    """

    agents: Mapping[str, Agent]
    limits: Limits = field(default_factory=Limits)
    values: bool = True
    counts: Counts = field(default_factory=Counts)
    _jobs: dict[tuple[str, Decision], _Job] = field(default_factory=dict)
    _queue: list[_Job] = field(default_factory=list)
    _wanted: asyncio.Event = field(default_factory=asyncio.Event)
    _pool: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1, "twosome-deciding"))
    _ahead: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1, "twosome-ahead"))
    _busy: bool = False
    _worker: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to answer."""
        self._worker = asyncio.get_running_loop().create_task(self._work())

    async def stop(self) -> None:
        """End, after what is computed now."""
        if self._worker is not None:
            self._worker.cancel()
            await asyncio.gather(self._worker, return_exceptions=True)
        self._ahead.shutdown(wait=True, cancel_futures=True)
        self._pool.shutdown(wait=True)

    @property
    def alive(self) -> bool:
        """Whether it answers."""
        return self._worker is not None and not self._worker.done()

    @property
    def waiting(self) -> int:
        """How many decisions wait or are computed."""
        return len(self._jobs)

    async def ask(self, agent: str, decisions: Sequence[Decision]) -> list[Judgement | BaseException]:
        """What an agent makes of each decision, or why it cannot say.

        When the caller is cancelled, what was not begun for it alone is not computed.

        Raises:
            Refusal: 429 if too much waits already.
        """
        distinct = dict.fromkeys(decisions)
        found: dict[Decision, Judgement | BaseException] = {}
        jobs: dict[Decision, _Job] = {}
        for decision in distinct:
            known = self.agents[agent].recall(decision, values=self.values)
            if known is not None:
                found[decision] = known
        new = sum((agent, decision) not in self._jobs for decision in distinct if decision not in found)
        if new and len(self._queue) + new > max(self.limits.waiting, new):
            raise Refusal(429, "the server is busy; come again in a second", headers={"Retry-After": "1"})
        self.counts.remembered += len(found)
        for decision in distinct:
            if decision not in found:
                jobs[decision] = self._job(agent, decision)
        try:
            if jobs:
                await asyncio.wait([job.answer for job in jobs.values()])
        finally:
            for job in jobs.values():
                self._leave(job)
        for decision, job in jobs.items():
            found[decision] = job.answer.exception() or job.answer.result()
        return [found[decision] for decision in decisions]

    def _job(self, agent: str, decision: Decision) -> _Job:
        job = self._jobs.get((agent, decision))
        new = job is None
        if job is None:
            job = _Job(agent, decision, asyncio.get_running_loop().create_future())
            self._jobs[agent, decision] = job
            self._queue.append(job)
            self._wanted.set()
        else:
            self.counts.joined += 1
        job.waiters += 1
        if new and self._busy:  # while a model computes, what it reads next is made tokens
            self._ahead.submit(_prepare, self.agents[agent], job)
        return job

    def _leave(self, job: _Job) -> None:
        job.waiters -= 1
        if job.waiters == 0 and not job.begun and not job.answer.done():
            self._queue.remove(job)
            del self._jobs[job.agent, job.decision]
            self.counts.left += 1

    async def _work(self) -> None:
        loop, answered = asyncio.get_running_loop(), 0
        while True:
            await self._wanted.wait()
            if answered > 1 and len(self._queue) < min(answered, self.limits.together):
                await asyncio.sleep(_GATHERING)
            batch = self._next()
            if not batch:
                self._wanted.clear()
                continue
            agent, decisions = self.agents[batch[0].agent], [job.decision for job in batch]
            self.counts.batches += 1
            self.counts.computed += len(batch)
            self._busy = True
            try:
                answers = await loop.run_in_executor(self._pool, judged, agent, decisions, self.values)
            except Exception as error:  # the answers say what is wrong with each; this is wrong with the engine
                answers = [error] * len(batch)
            self._busy = False
            for job, answer in zip(batch, answers, strict=True):
                del self._jobs[job.agent, job.decision]
                if isinstance(answer, BaseException):
                    job.answer.set_exception(answer)
                    job.answer.exception()  # somebody may have gone, who would have looked
                else:
                    job.answer.set_result(answer)
            answered = len(batch)

    def _next(self) -> list[_Job]:
        """What is read next: the oldest, and what waits for the same agent."""
        if not self._queue:
            return []
        agent = self._queue[0].agent
        batch = [job for job in self._queue if job.agent == agent][: self.limits.together]
        for job in batch:
            job.begun = True
        self._queue = [job for job in self._queue if not job.begun]
        return batch


def _prepare(agent: Agent, job: _Job) -> None:
    """Let an agent remember the tokens of a decision that waits."""
    if job.waiters and not job.begun:
        with suppress(Exception):  # it is told when the decision's turn comes
            agent.check(job.decision)


def judged(agent: Agent, decisions: Sequence[Decision], values: bool) -> list[Judgement | BaseException]:
    """What an agent makes of each decision, or what is wrong with it; one that is wrong spoils no other."""
    found: dict[Decision, Judgement | BaseException] = {}
    for decision in decisions:
        try:
            agent.check(decision)
        except TwosomeError as error:
            found[decision] = error
    right = [decision for decision in decisions if decision not in found]
    try:
        found.update(zip(right, agent.judge(right, values=values), strict=True))
    except Exception as error:  # of which one is not known
        if len(right) == 1:
            found[right[0]] = error
        else:
            found.update((decision, judged(agent, [decision], values)[0]) for decision in right)
    return [found[decision] for decision in decisions]
