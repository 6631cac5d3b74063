"""Text environments in processes of their own, which may die, hang or misbehave without taking the run along."""

from __future__ import annotations

import atexit
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from multiprocessing import connection
from typing import Any

import gymnasium

from twosome.errors import EnvironmentFault, TwosomeError
from twosome.text.batches import TextVectorEnv
from twosome.text.states import Traits, traits

Maker = Callable[[], gymnasium.Env[Any, Any]]
"""Makes an environment; is pickled on its way to the process."""

GRACE = 5.0
"""Seconds that environments have to close before their processes are killed."""


@dataclass(frozen=True)
class _Worker:
    """One process, and this end of the pipe to it."""

    name: str
    process: Any
    pipe: connection.Connection


class ProcessVectorEnv(TextVectorEnv):
    """Text environments side by side, each in a process of its own; autoreset is disabled.

    The same as Gymnasium's ``AsyncVectorEnv`` for environments that behave. Where one does not, a single
    :class:`~twosome.errors.EnvironmentFault` says which and why, and nothing waits for ever
    (``docs/decisions/environment-processes.md``).

    Args:
        makers: Make the environments, guarded ones; must be picklable.
        names: What to call them in messages.
        timeout: Seconds that making, a reset or a step may take.

    Raises:
        EnvironmentFault: If one cannot be made in time, or its process dies.
    """

    def __init__(self, makers: Sequence[Maker], names: Sequence[str], timeout: float) -> None:
        super().__init__(len(makers))
        self._timeout = timeout
        self._workers: list[_Worker] = []
        try:
            for maker, name in zip(makers, names, strict=True):
                self._workers.append(_start(maker, name))
            # Registered after multiprocessing's own exit function, so it runs before that one waits for the processes.
            atexit.register(self._kill)
            made: dict[int, tuple[Any, Any, Traits]] = self._answers(range(self.num_envs), "being made")
        except BaseException:
            self.close()
            raise
        self._describe(*made[0])

    def _reset_each(self, calls: Mapping[int, dict[str, Any]]) -> Mapping[int, tuple[Any, Any]]:
        self._send({index: ("reset", call) for index, call in calls.items()})
        return self._answers(list(calls), "being reset")

    def _step_each(self, calls: Mapping[int, dict[str, Any]]) -> Mapping[int, tuple[Any, ...]]:
        self._send({index: ("step", call) for index, call in calls.items()})
        return self._answers(list(calls), "taking a step")

    def close_extras(self, **kwargs: Any) -> None:
        """Have the environments closed; processes that do not end in time are killed."""
        for worker in self._workers:
            try:
                worker.pipe.send(("close", {}))
            except OSError:  # it is gone already
                continue
        deadline = time.monotonic() + GRACE
        for worker in self._workers:
            worker.process.join(max(0.0, deadline - time.monotonic()))
        self._kill()
        atexit.unregister(self._kill)

    def _kill(self) -> None:
        for worker in self._workers:
            worker.process.kill()
            worker.process.join()
            worker.pipe.close()

    def _send(self, requests: Mapping[int, tuple[str, dict[str, Any]]]) -> None:
        for index, request in requests.items():
            try:
                self._workers[index].pipe.send(request)
            except OSError:
                raise self._died(index, "waiting") from None

    def _answers(self, expected: Sequence[int], activity: str) -> dict[int, Any]:
        """One answer of each of the ``expected`` environments, as they come in."""
        deadline, pending, answers = time.monotonic() + self._timeout, set(expected), {}
        while pending:
            watched: dict[Any, int] = {self._workers[index].pipe: index for index in pending}
            watched |= {self._workers[index].process.sentinel: index for index in pending}
            ready = connection.wait(watched, timeout=max(0.0, deadline - time.monotonic()))
            if not ready:
                raise self._hung(min(pending), activity)
            for index in {watched[item] for item in ready}:
                answers[index] = self._receive(index, activity)
                pending.discard(index)
        return answers

    def _receive(self, index: int, activity: str) -> Any:
        """The answer of an environment that has something to say, or whose process ended."""
        pipe = self._workers[index].pipe
        try:
            answer = pipe.recv() if pipe.poll() else None
        except (EOFError, OSError):
            answer = None
        if answer is None:
            raise self._died(index, activity)
        if isinstance(answer, TwosomeError):
            raise answer
        return answer

    def _died(self, index: int, activity: str) -> EnvironmentFault:
        worker = self._workers[index]
        worker.process.join(GRACE)
        code = worker.process.exitcode
        if code is None:
            how = "closed its pipe"
        elif code < 0:
            known = {number.value: number.name for number in signal.Signals}
            how = f"was killed by {known.get(-code, f'signal {-code}')}"
        else:
            how = f"ended with status {code}"
        # Every new process begins by importing the script that started the run.
        hint = '; a script that makes them needs `if __name__ == "__main__":`' if activity == "being made" else ""
        return EnvironmentFault(f"the process of {worker.name} {how} while {activity}{hint}")

    def _hung(self, index: int, activity: str) -> EnvironmentFault:
        return EnvironmentFault(
            f"{self._workers[index].name} did not answer within env_timeout={self._timeout:g} seconds while "
            f"{activity}; give it more time if it is only slow"
        )


def _start(maker: Maker, name: str) -> _Worker:
    context = multiprocessing.get_context("spawn")  # forking is unsafe beside torch's threads
    pipe, far_end = context.Pipe()
    process = context.Process(target=_work, args=(name, maker, far_end), name=name, daemon=True)
    process.start()
    far_end.close()  # so that a dead process is seen as the end of the pipe
    return _Worker(name, process, pipe)


def _work(name: str, maker: Maker, pipe: connection.Connection) -> None:
    """What a process does: make the environment, answer requests, leave when told or when the run is gone."""
    # These are sent to a whole group of processes, and the run decides what they mean. They are not ignored but heard
    # and dropped, because simulators that are started here would inherit it if they were ignored.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: None)
    threading.Thread(target=_leave_with_parent, daemon=True).start()
    with suppress(OSError):  # the run is gone
        try:
            _serve(maker, pipe)
        except TwosomeError as error:
            pipe.send(error)
        except EOFError:
            pass
        except Exception as error:
            pipe.send(EnvironmentFault(f"{name} gave an answer that cannot be passed on: {error}"))


def _serve(maker: Maker, pipe: connection.Connection) -> None:
    with closing(maker()) as env:
        answer: Any = (env.observation_space, env.action_space, traits(env))
        calls: dict[str, Callable[..., Any]] = {"reset": env.reset, "step": env.step}
        while True:
            pipe.send(answer)
            request, arguments = pipe.recv()
            if request == "close":
                return
            answer = calls[request](**arguments)


def _leave_with_parent() -> None:
    """End this process with the one that started it, also where an environment hangs."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
