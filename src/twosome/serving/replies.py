"""What surrounds every answer: an identity, a line of log, one body for every fault."""

from __future__ import annotations

import json
import time
import traceback
import uuid
from collections.abc import Callable, Collection
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from twosome.formats.refusals import Refusal

Log = Callable[[dict[str, Any]], None]
"""Takes a line of the log."""
_METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}


def unlogged(line: dict[str, Any]) -> None:
    """Where nobody reads."""


class Identified:
    """Gives every request an identity and a line of log, and turns any fault into our body.

    Args:
        app: What answers.
        log: Takes the line.
        known: The paths that there are; of others the log says only that they were none of these.
    """

    def __init__(self, app: ASGIApp, log: Log, known: Collection[str]) -> None:
        self._app, self._log, self._known = app, log, known

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
            path = scope["path"] if scope["path"] in self._known else "(unknown)"
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


def reply(body: dict[str, Any], status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """A JSON response. Floats are written with all their digits."""
    text = json.dumps(body, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return Response(text.encode("utf-8"), status, headers, "application/json")


def _reply_to(refusal: Refusal) -> Response:
    return reply(refusal.body, refusal.status, dict(refusal.headers))


async def refused(request: Request, refusal: Exception) -> Response:
    """The body of a refusal."""
    assert isinstance(refusal, Refusal)
    request.state.noted["code"] = refusal.code
    return _reply_to(refusal)


async def failed(_: Request, __: Exception) -> Response:
    """The body where something is wrong with us."""
    return _reply_to(Refusal(500, "the server failed to answer this request; its log says where"))


async def no_route(request: Request, error: Exception) -> Response:
    """The body where nothing is at a path, or not by that method."""
    assert isinstance(error, HTTPException)
    if error.status_code == 405:
        allowed = (error.headers or {}).get("Allow", "")
        return _reply_to(Refusal(405, f"this path takes {allowed}", headers={"Allow": allowed}))
    if request.url.path.startswith("/v1/v1/"):
        message = "the path begins with /v1 twice: this client adds /v1 itself, so give it the address without /v1"
        return _reply_to(Refusal(404, message))
    paths = "/v1/systemone, /v1/decisions, /v1/outcomes, /v1/models, /health, /ready, /docs"
    return _reply_to(Refusal(error.status_code, f"there is nothing at this path; there are {paths}"))
