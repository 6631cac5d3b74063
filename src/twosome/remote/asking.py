"""Several questions under way at once, each answer kept as it comes."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from queue import Empty, SimpleQueue
from threading import Event, Thread

from twosome.decision import Decision
from twosome.remote.answers import Answer, unusable
from twosome.remote.formats import read_answer, request_body
from twosome.remote.settings import ServerSettings
from twosome.remote.store import AnswerStore
from twosome.remote.transport import Transport

_Outcome = tuple[Decision, Answer | BaseException]


def ask_all(
    transport: Transport, settings: ServerSettings, store: AnswerStore, decisions: Sequence[Decision]
) -> dict[Decision, Answer]:
    """The server's answers to distinct decisions.

    At most ``settings.in_flight`` requests are under way. The first that fails ends the others; what was answered by
    then is kept. Threads are daemons: an interrupt does not wait for a server that hangs.

    Raises:
        RemoteError: If the server fails or refuses, an answer cannot be used, or it cannot be kept.
    """
    waiting: SimpleQueue[Decision] = SimpleQueue()
    done: SimpleQueue[_Outcome] = SimpleQueue()
    stopped = Event()
    for decision in decisions:
        waiting.put(decision)

    def work() -> None:
        with contextlib.suppress(Empty):
            while not stopped.is_set():
                decision = waiting.get_nowait()
                try:
                    done.put((decision, _ask(transport, settings, store, decision, stopped)))
                except BaseException as error:
                    done.put((decision, error))

    for _ in range(min(settings.in_flight, len(decisions))):
        Thread(target=work, daemon=True, name="question").start()
    answers: dict[Decision, Answer] = {}
    try:
        while len(answers) < len(decisions):
            decision, outcome = done.get()
            if isinstance(outcome, BaseException):
                raise outcome
            answers[decision] = outcome
    finally:
        stopped.set()
    return answers


def _ask(
    transport: Transport, settings: ServerSettings, store: AnswerStore, decision: Decision, stopped: Event
) -> Answer:
    reply = transport.post(request_body(settings, decision), stopped)
    try:
        answer = read_answer(settings.spoken, decision, reply)
    except ValueError as error:
        raise unusable(decision, reply, str(error)) from None
    store.keep(decision, reply)
    return answer
