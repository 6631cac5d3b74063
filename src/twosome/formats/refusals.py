"""What a server says when it does not answer: one body for every route and status."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Place = tuple[str | int, ...]
"""Where in a request something stands: ``("questions", "next", "criteria")``."""

_LONGEST_ECHO = 100  # characters of what was sent that are sent back
_LONGEST_PLACE = 80  # characters of a place in a message


@dataclass(frozen=True)
class Kind:
    """How a status is told.

    Attributes:
        type: OpenAI's ``error.type``. LiteLLM looks for words in the body before it looks at the status, so that of a
            429 or a 5xx must not say that the request was wrong.
        code: OpenAI's ``error.code``, where there is nothing more precise.
        error_type: TypeSafe's ``detail.error_type``.
    """

    type: str
    code: str
    error_type: str


_WRONG = "invalid_request_error"
KINDS = {
    400: Kind(_WRONG, "invalid_value", "api_usage_error"),
    401: Kind("authentication_error", "invalid_api_key", "authentication_error"),
    404: Kind(_WRONG, "not_found", "not_found_error"),
    405: Kind(_WRONG, "method_not_allowed", "api_usage_error"),
    409: Kind(_WRONG, "conflict", "api_usage_error"),
    413: Kind(_WRONG, "request_too_large", "api_usage_error"),
    415: Kind(_WRONG, "unsupported_media_type", "api_usage_error"),
    422: Kind(_WRONG, "invalid_value", "api_usage_error"),
    429: Kind("rate_limit_error", "rate_limit_exceeded", "rate_limit_error"),
    500: Kind("server_error", "server_error", "server_error"),
    503: Kind("server_error", "server_shutting_down", "overloaded_error"),
}


@dataclass
class Refusal(Exception):
    """Why a request is not answered.

    Attributes:
        status: HTTP status.
        message: One sentence: what was expected, what came, what to do.
        place: Where in the body, or None.
        code: What kind of fault, as a word for programs; None for that of the status.
        given: What stood there.
        headers: To send with it.
        context: Numbers that belong to the message.
    """

    status: int
    message: str
    place: Place | None = None
    code: str | None = None
    given: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    context: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        super().__init__(self.message)

    @property
    def body(self) -> dict[str, Any]:
        """What is sent, for clients of either format."""
        kind = KINDS.get(self.status, KINDS[400 if self.status < 500 else 500])
        code, message = self.code or kind.code, printable(self.message)
        error = {"message": message, "type": kind.type, "param": dotted(self.place or ()) or None, "code": code}
        if self.status != 422:
            told = {"error_type": kind.error_type, **self.context, "message": message}
            return {"error": error, "detail": told}
        fault = {
            "loc": ["body", *map(_printable_step, self.place or ())],
            "msg": message,
            "type": code,
            "input": _echo(self.given),
            "ctx": {"error_type": kind.error_type, **self.context},
        }
        return {"error": error, "detail": [fault]}


def wrong(place: Place, code: str, message: str, given: Any = None) -> Refusal:
    """A 422, whose message begins with the place as System One writes it: ``questions.next.criteria: ...``."""
    where = ".".join(map(str, place))[:_LONGEST_PLACE]
    return Refusal(422, f"{where}: {message}" if where else message, place, code, given)


def dotted(place: Place) -> str:
    """A place as OpenAI writes it: ``questions[0].choices[1].value``."""
    steps = (f"[{step}]" if isinstance(step, int) else f".{printable(step)}" for step in place)
    return "".join(steps).removeprefix(".")


def printable(text: str) -> str:
    """The same text, with half a surrogate pair as its number, as none can be sent."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _printable_step(step: str | int) -> str | int:
    return printable(step)[:_LONGEST_ECHO] if isinstance(step, str) else step


def _echo(given: Any) -> Any:
    """As much of what was sent as helps."""
    if isinstance(given, str):
        return printable(given[:_LONGEST_ECHO])
    if given is None or isinstance(given, bool):
        return given
    if isinstance(given, int | float):
        return repr(given)[:_LONGEST_ECHO]
    return f"{len(given)} entries" if isinstance(given, dict | list) else type(given).__name__
