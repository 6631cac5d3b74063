"""The web application: routes, keys, identities, one body for every fault, one line of log for every request."""

from __future__ import annotations

import asyncio
import hmac
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive

from twosome.deciding.judgement import Judgement
from twosome.errors import RunError, TokenizationError, TooLong, TwosomeError
from twosome.formats import decisions, systemone
from twosome.formats.questions import Question
from twosome.formats.refusals import Refusal
from twosome.formats.strict import read_json
from twosome.serving import openapi, outcomes
from twosome.serving.bodies import read_body
from twosome.serving.engine import Engine
from twosome.serving.recording import Answered, Recording, Sampling, named, told
from twosome.serving.replies import Identified, Log, failed, no_route, refused, reply, unlogged

FORMATS: dict[str, ModuleType] = {
    "/v1/systemone": systemone,
    "/systemone": systemone,
    "/v1/decisions": decisions,
    "/decisions": decisions,
}
"""Which format a path speaks. Clients differ in whether ``/v1`` belongs to the address they are given."""
OUTCOMES = ("/v1/outcomes", "/outcomes")
_ASIDE = 65_536  # bytes of a body from which on it is taken apart beside the event loop


Observer = Callable[[Answered], None]
"""Is shown every answer before it is sent, on the event loop: what it does must be quick."""


@dataclass
class Service:
    """What a server serves, and how.

    Attributes:
        engine: Answers.
        key: What clients must send as ``Authorization: Bearer KEY``; None for whoever reaches the server.
        most_bytes: Largest body, before and after unpacking.
        body_seconds: How long a body may take to arrive.
        observers: Are shown every answer.
        recording: Writes every answer into a journal, and takes outcomes; None where nothing is recorded.
        sampling: Draws an action for every decision; None where the client is to choose.
        log: Takes a line for every request. No text of a request is in it.
        born: When the agents were trained, or the server began, by name: seconds since 1970.
        draining: Whether no new questions are taken, as the server ends.
        running: Questions under way.
    """

    engine: Engine
    key: str | None = None
    most_bytes: int = 4 * 2**20
    body_seconds: float = 30.0
    observers: Sequence[Observer] = ()
    recording: Recording | None = None
    sampling: Sampling | None = None
    log: Log = unlogged
    born: dict[str, int] = field(default_factory=dict)
    draining: bool = False
    running: int = 0

    def application(self) -> ASGIApp:
        """The application of this service."""
        routes = [Route(path, self._decide, methods=["POST"]) for path in FORMATS]
        routes += [Route(path, self._outcomes, methods=["POST"]) for path in OUTCOMES]
        routes += [
            Route("/v1/models", self._models),
            Route("/models", self._models),
            Route("/health", self._health),
            Route("/ready", self._ready),
            Route("/openapi.json", self._openapi),
            Route("/docs", self._docs),
        ]
        app = Starlette(
            routes=routes,
            exception_handlers={HTTPException: no_route, Refusal: refused, Exception: failed},
            lifespan=self._lifespan,
        )
        app.router.redirect_slashes = False
        return Identified(app, self.log, KNOWN)

    @asynccontextmanager
    async def _lifespan(self, _: Starlette) -> AsyncIterator[None]:
        await self.engine.start()
        try:
            yield
        finally:
            await self.engine.stop()

    async def _decide(self, request: Request) -> Response:
        return await self._finished(request, self._answer(request, FORMATS[request.url.path]))

    async def _outcomes(self, request: Request) -> Response:
        return await self._finished(request, self._told(request))

    async def _finished(self, request: Request, answer: Coroutine[Any, Any, Response]) -> Response:
        """An answer that is waited for before the server ends, if the client may ask and it has not begun to end."""
        try:
            self._admit(request)
            if self.draining:
                raise Refusal(503, "the server is ending and takes no new questions", headers=_LEAVING)
        except Refusal:
            answer.close()
            raise
        self.running += 1
        try:
            return await answer
        except ClientDisconnect:
            request.state.noted["left"] = True
            return Response(status_code=499)  # nobody hears it; the log does
        finally:
            self.running -= 1

    async def _answer(self, request: Request, form: ModuleType) -> Response:
        noted = request.state.noted
        body = await read_body(request, self.most_bytes, self.body_seconds)
        noted["bytes"] = len(body)
        read = _read if len(body) < _ASIDE else _read_aside
        name, questions = await _awaited(read(body, form))
        agent = name if name in self.engine.agents else next(iter(self.engine.agents))
        noted |= {"agent": agent, "questions": len(questions)}
        asking = asyncio.ensure_future(self.engine.ask(agent, [question.decision for question in questions]))
        leaving = asyncio.ensure_future(_gone(request.receive))
        try:
            await asyncio.wait([asking, leaving], return_when=asyncio.FIRST_COMPLETED)
            if not asking.done():
                raise ClientDisconnect
        finally:
            leaving.cancel()
            if not asking.done():
                asking.cancel()
                await asyncio.gather(asking, return_exceptions=True)
        judgements = _judgements(questions, asking.result(), form.STATUS)
        noted["tokens"] = sum(judgement.tokens for judgement in judgements)
        noted["remembered"] = sum(judgement.remembered for judgement in judgements)
        answered = Answered(
            request.state.id, agent, tuple(questions), tuple(judgements), self._drawn(request.state.id, judgements)
        )
        for observer in self.observers:
            observer(answered)
        if self.recording is not None:
            self.recording(answered)
        body = form.write(questions, judgements, agent, self.engine.agents[agent].trained)
        answers = body["answers"].values() if isinstance(body["answers"], dict) else body["answers"]
        for answer, more in zip(answers, told(answered, recorded=self.recording is not None), strict=True):
            answer.update(more)
        return reply({**body, "x_id": request.state.id})

    def _drawn(self, request: str, judgements: Sequence[Judgement]) -> tuple[int | None, ...]:
        """Which action is drawn for each, if any is."""
        if self.sampling is None:
            return (None,) * len(judgements)
        return tuple(
            self.sampling.draw(named(request, number), judgement.probabilities)
            for number, judgement in enumerate(judgements)
        )

    async def _told(self, request: Request) -> Response:
        """What came of decisions is on the disk before it is confirmed."""
        if self.recording is None:
            raise Refusal(404, "this server records no decisions; start it with --record FILE to tell it outcomes")
        journal = self.recording.journal
        body = await read_body(request, self.most_bytes, self.body_seconds)
        request.state.noted["bytes"] = len(body)
        found = outcomes.read(read_json(body, outcomes.STATUS), journal)
        written = outcomes.write(found, journal)
        request.state.noted["outcomes"] = len(found)
        try:
            await asyncio.to_thread(journal.sync)
        except RunError:
            raise outcomes.unwritable() from None
        return reply({**written, "x_id": request.state.id})

    async def _models(self, request: Request) -> Response:
        """Both lists in one body: System One's SDK reads models, OpenAI's reads data."""
        self._admit(request)
        known = []
        for name, agent in self.engine.agents.items():
            kind = "trained by practice" if agent.trained else "untrained"
            known.append((name, f"{kind}, {agent.policy.normalization} normalisation", self.born.get(name, 0)))
        return reply(
            {
                "object": "list",
                "data": [
                    {"id": name, "object": "model", "created": born, "owned_by": "twosome"} for name, _, born in known
                ],
                "models": [
                    {"name": name, "description": text, "release_date": time.strftime("%Y-%m-%d", time.gmtime(born))}
                    for name, text, born in known
                ],
            }
        )

    async def _health(self, _: Request) -> Response:
        return reply({"status": "ok"})

    async def _ready(self, _: Request) -> Response:
        if self.draining or not self.engine.alive:
            raise Refusal(503, "the server takes no questions now", headers=_LEAVING)
        counts = self.engine.counts
        return reply(
            {"status": "ready", "agents": list(self.engine.agents), "waiting": self.engine.waiting, **vars(counts)}
        )

    async def _openapi(self, _: Request) -> Response:
        return reply(self._document())

    async def _docs(self, _: Request) -> Response:
        return HTMLResponse(openapi.page(self._document()))

    def _document(self) -> dict[str, Any]:
        named_agents, secured = list(self.engine.agents), self.key is not None
        return openapi.document(named_agents, self.most_bytes, secured=secured)

    def _admit(self, request: Request) -> None:
        """Refuse who does not have the key."""
        if self.key is None:
            return
        scheme, _, sent = request.headers.get("authorization", "").partition(" ")
        headers = {"WWW-Authenticate": "Bearer"}
        if scheme.lower() != "bearer" or not sent.strip():
            raise Refusal(401, "the key is missing; send Authorization: Bearer KEY", headers=headers)
        if not hmac.compare_digest(sent.strip().encode("utf-8", "replace"), self.key.encode()):
            raise Refusal(401, "the key is wrong", headers=headers)


_LEAVING = {"Retry-After": "1", "Connection": "close"}


KNOWN = {*FORMATS, *OUTCOMES, "/v1/models", "/models", "/health", "/ready", "/openapi.json", "/docs"}


def _read(body: bytes, form: ModuleType) -> tuple[str | None, list[Question]]:
    """The agent that a request names, and its questions."""
    value = read_json(body, form.STATUS)
    questions: list[Question] = form.read(value)
    name = value.get("model")
    if name is not None and not isinstance(name, str):
        raise Refusal(form.STATUS, "model must be a text, null or absent", ("model",), "string_type", name)
    return name, questions


def _read_aside(body: bytes, form: ModuleType) -> Awaitable[tuple[str | None, list[Question]]]:
    return asyncio.to_thread(_read, body, form)


async def _awaited(value: Any) -> Any:
    return await value if asyncio.isfuture(value) or asyncio.iscoroutine(value) else value


async def _gone(receive: Receive) -> None:
    """Returns when the client has gone."""
    while (await receive())["type"] != "http.disconnect":
        pass


def _judgements(
    questions: Sequence[Question], answers: Sequence[Judgement | BaseException], status: int
) -> list[Judgement]:
    """The answers, if there is one to every question.

    Raises:
        Refusal: If a question cannot be asked of this model.
    """
    for question, answer in zip(questions, answers, strict=True):
        if isinstance(answer, TooLong):
            raise Refusal(
                status,
                f"{'.'.join(map(str, question.place[:2]))}: {answer}",
                question.place[:2],
                "max_tokens_exceeded",
                context={"error_type": "max_tokens_exceeded"},
            )
        if isinstance(answer, TokenizationError):
            raise Refusal(status, str(answer), question.place, "invalid_option")
        if isinstance(answer, TwosomeError):
            raise Refusal(500, f"the model cannot answer: {type(answer).__name__}; its log says where") from answer
        if isinstance(answer, BaseException):
            raise answer
    return [answer for answer in answers if isinstance(answer, Judgement)]
