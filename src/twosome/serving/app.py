"""The web application: routes, keys, identities, one body for every fault, one line of log for every request."""

from __future__ import annotations

import asyncio
import hmac
import json
import time
import traceback
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from twosome.deciding.judgement import Judgement
from twosome.errors import TokenizationError, TooLong, TwosomeError
from twosome.serving import decisions, openapi, systemone
from twosome.serving.bodies import read_body
from twosome.serving.engine import Engine
from twosome.serving.questions import Question
from twosome.serving.refusals import Refusal
from twosome.serving.strict import read_json

FORMATS: dict[str, ModuleType] = {
    "/v1/systemone": systemone,
    "/systemone": systemone,
    "/v1/decisions": decisions,
    "/decisions": decisions,
}
"""Which format a path speaks. Clients differ in whether ``/v1`` belongs to the address they are given."""
_ASIDE = 65_536  # bytes of a body from which on it is taken apart beside the event loop


@dataclass(frozen=True)
class Answered:
    """A request that was answered, for whoever wants to learn from it.

    Attributes:
        id: Of the request, as the client was told.
        agent: Name of the agent.
        questions: What was asked.
        judgements: What was answered, in the same order.
    """

    id: str
    agent: str
    questions: tuple[Question, ...]
    judgements: tuple[Judgement, ...]


Observer = Callable[[Answered], None]
"""Is shown every answer before it is sent, on the event loop: what it does must be quick."""
Log = Callable[[dict[str, Any]], None]
"""Takes a line of the log."""


def unlogged(line: dict[str, Any]) -> None:
    """Where nobody reads."""


@dataclass
class Service:
    """What a server serves, and how.

    Attributes:
        engine: Answers.
        key: What clients must send as ``Authorization: Bearer KEY``; None for whoever reaches the server.
        most_bytes: Largest body, before and after unpacking.
        body_seconds: How long a body may take to arrive.
        observers: Are shown every answer.
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
    log: Log = unlogged
    born: dict[str, int] = field(default_factory=dict)
    draining: bool = False
    running: int = 0

    def application(self) -> ASGIApp:
        """The application of this service."""
        routes = [Route(path, self._decide, methods=["POST"]) for path in FORMATS]
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
            exception_handlers={HTTPException: _no_route, Refusal: _refused, Exception: _failed},
            lifespan=self._lifespan,
        )
        app.router.redirect_slashes = False
        return _Identified(app, self.log)

    @asynccontextmanager
    async def _lifespan(self, _: Starlette) -> AsyncIterator[None]:
        await self.engine.start()
        try:
            yield
        finally:
            await self.engine.stop()

    async def _decide(self, request: Request) -> Response:
        self._admit(request)
        if self.draining:
            raise Refusal(503, "the server is ending and takes no new questions", headers=_LEAVING)
        self.running += 1
        try:
            return await self._answer(request, FORMATS[request.url.path])
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
        answered = Answered(request.state.id, agent, tuple(questions), tuple(judgements))
        for observer in self.observers:
            observer(answered)
        body = form.write(questions, judgements, agent, self.engine.agents[agent].trained)
        return reply({**body, "x_id": request.state.id})

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
        return reply(openapi.document(list(self.engine.agents), self.most_bytes, secured=self.key is not None))

    async def _docs(self, _: Request) -> Response:
        document = openapi.document(list(self.engine.agents), self.most_bytes, secured=self.key is not None)
        return HTMLResponse(openapi.page(document))

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


class _Identified:
    """Gives every request an identity and a line of log, and turns any fault into our body.

    Args:
        app: What answers.
        log: Takes the line.
    """

    def __init__(self, app: ASGIApp, log: Log) -> None:
        self._app, self._log = app, log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, identity, noted = time.monotonic(), f"req_{uuid.uuid4().hex}", dict[str, Any]()
        scope.setdefault("state", {}).update(id=identity, noted=noted)
        status = 0

        async def identified(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                named = [(name, identity.encode()) for name in (b"x-request-id", b"x-typesafe-request-id")]
                message["headers"] = [*message.get("headers", ()), *named]
            await send(message)

        try:
            await self._app(scope, receive, identified)
        except Exception as error:
            # It was answered with a 500. Where it happened, but not what it says: that may be a text of the request.
            frame = traceback.extract_tb(error.__traceback__)[-1]
            noted["fault"] = f"{type(error).__name__} at {frame.name}, line {frame.lineno}"
        finally:
            path = scope["path"] if scope["path"] in KNOWN else "(unknown)"
            self._log(
                {
                    "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
                    "id": identity,
                    "method": scope["method"] if scope["method"] in _METHODS else "(other)",
                    "path": path,
                    "status": status,
                    "seconds": round(time.monotonic() - began, 4),
                    **noted,
                }
            )


KNOWN = {*FORMATS, "/v1/models", "/models", "/health", "/ready", "/openapi.json", "/docs"}
_METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}


def reply(body: dict[str, Any], status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """A JSON response. Floats are written with all their digits."""
    text = json.dumps(body, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return Response(text.encode("utf-8"), status, headers, "application/json")


def _reply_to(refusal: Refusal) -> Response:
    return reply(refusal.body, refusal.status, dict(refusal.headers))


async def _refused(request: Request, refusal: Exception) -> Response:
    assert isinstance(refusal, Refusal)
    request.state.noted["code"] = refusal.code
    return _reply_to(refusal)


async def _failed(_: Request, __: Exception) -> Response:
    return _reply_to(Refusal(500, "the server failed to answer this request; its log says where"))


async def _no_route(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if error.status_code == 405:
        allowed = (error.headers or {}).get("Allow", "")
        return _reply_to(Refusal(405, f"this path takes {allowed}", headers={"Allow": allowed}))
    if request.url.path.startswith("/v1/v1/"):
        message = "the path begins with /v1 twice: this client adds /v1 itself, so give it the address without /v1"
        return _reply_to(Refusal(404, message))
    paths = "/v1/systemone, /v1/decisions, /v1/models, /health, /ready, /docs"
    return _reply_to(Refusal(error.status_code, f"there is nothing at this path; there are {paths}"))


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
