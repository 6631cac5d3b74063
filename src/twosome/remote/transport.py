"""Requests over HTTP: sent again where that can help, and never where it cannot.

The standard library is enough for one JSON document there and one back, and spares every user a dependency.
"""

from __future__ import annotations

import email.utils
import http.client
import json
import math
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from email.message import Message
from importlib.metadata import version
from threading import Event, Lock
from typing import Any

from twosome.errors import RemoteError
from twosome.remote.settings import KEY_VARIABLE, ServerSettings, is_this_machine, server_key

LONGEST_WAIT = 60.0
"""Seconds between two attempts, at most, whatever the server asks for."""
FIRST_WAIT = 0.5
LARGEST_REPLY = 2**24
"""Bytes of a reply that are read; one of 255 options takes some ten thousand."""


class _Again(Exception):
    """A failure that another attempt may mend; ``wait`` is what the server asked for, in seconds, or None."""

    def __init__(self, why: str, wait: float | None = None, *, unreachable: bool = False) -> None:
        super().__init__(why)
        self.wait = wait
        self.unreachable = unreachable


class Transport:
    """Sends questions to one server, from any number of threads.

    Attributes:
        requests: How many were sent, those that failed included.
    """

    def __init__(self, settings: ServerSettings) -> None:
        self._settings = settings
        self._headers = {"Content-Type": "application/json", "User-Agent": f"twosome/{version('twosome')}"}
        if (key := server_key()) is not None:
            self._headers["Authorization"] = f"Bearer {key}"
        direct = [urllib.request.ProxyHandler({})] if is_this_machine(settings.endpoint) else []
        self._opener = urllib.request.build_opener(_NoRedirect(), *direct)
        self._lock = Lock()
        self._reached = False
        self.requests = 0

    def post(self, body: Mapping[str, Any], stopped: Event) -> str:
        """The reply's text to a request.

        Timeouts, lost connections, 408, 429 and 5xx are tried again, later every time, or when the server says; no
        other status is, as the same request would meet the same answer.

        Args:
            body: What is sent, as JSON.
            stopped: When it is set, nothing is sent any more.

        Raises:
            RemoteError: If the server cannot be reached, refuses, or fails too often.
        """
        data = json.dumps(body, ensure_ascii=False).encode()
        attempts = self._settings.attempts
        for attempt in range(attempts):
            if stopped.is_set():
                raise RemoteError("stopped")
            try:
                return self._send(data)
            except _Again as failure:
                if failure.unreachable and not self._reached:
                    raise RemoteError(
                        f"no decision server can be reached at {self._settings.endpoint} ({failure}); is it running, "
                        "and is the address right?"
                    ) from None
                if attempt + 1 == attempts:
                    raise RemoteError(
                        f"the decision server at {self._settings.endpoint} failed {attempts} times, the last time so: "
                        f"{failure}; what it answered before is kept, and the same command goes on from there"
                    ) from None
                wait = FIRST_WAIT * 2**attempt if failure.wait is None else failure.wait
                stopped.wait(min(wait, LONGEST_WAIT))
        raise AssertionError("at least one attempt is made")

    def _send(self, data: bytes) -> str:
        with self._lock:
            self.requests += 1
        request = urllib.request.Request(self._settings.endpoint, data, self._headers, method="POST")
        timeout = self._settings.timeout
        try:
            with self._opener.open(request, timeout=timeout) as reply:
                self._reached = True
                return _read(reply, time.monotonic() + timeout).decode("utf-8")
        except urllib.error.HTTPError as error:
            self._reached = True
            raise self._refusal(error) from None
        except urllib.error.URLError as error:
            raise self._unreachable(error.reason) from None
        except TimeoutError:
            raise _Again(f"no answer within {timeout:g} seconds") from None
        except (http.client.HTTPException, OSError) as error:
            raise _Again(f"the connection was lost ({error or type(error).__name__})") from None
        except UnicodeDecodeError:
            raise RemoteError(f"the decision server at {self._settings.endpoint} answered in no UTF-8") from None

    def _unreachable(self, reason: Any) -> Exception:
        if isinstance(reason, ssl.SSLCertVerificationError):
            return RemoteError(f"the certificate of {self._settings.endpoint} is not trusted: {reason.verify_message}")
        if isinstance(reason, TimeoutError):
            return _Again(f"no answer within {self._settings.timeout:g} seconds")
        lost = isinstance(reason, ConnectionResetError | ConnectionAbortedError | BrokenPipeError)
        return _Again(str(reason), unreachable=not lost)

    def _refusal(self, error: urllib.error.HTTPError) -> Exception:
        """What a status other than 200 comes to."""
        endpoint, status = self._settings.endpoint, error.code
        try:
            said = _message(_read(error, time.monotonic() + self._settings.timeout))
        except (OSError, http.client.HTTPException, RemoteError):
            said = ""
        told = f"{status}{f': {said}' if said else f' {error.reason}'}"
        if status in (408, 429) or status >= 500:
            return _Again(told, _wait(error.headers))
        if 300 <= status < 400:
            place = error.headers.get("Location") or "another place"
            return RemoteError(f"{endpoint} redirects to {place}; give that address, redirects are not followed")
        hint = ""
        if status in (401, 403):
            hint = f"; set {KEY_VARIABLE} to the server's key"
        elif status == 404:
            hint = "; is the address right, and the format (--server-format)?"
        return RemoteError(f"the decision server at {endpoint} refused the request with {told}{hint}")


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Leaves a redirect to be told: the standard one would turn a question into a request without one."""

    def redirect_request(self, *_: Any) -> None:
        """Nowhere."""


def _read(reply: Any, deadline: float) -> bytes:
    """The body, whole; a server that sends a byte now and then does not hold a run up for ever."""
    parts, size = [], 0
    while part := reply.read1(2**16):
        parts.append(part)
        size += len(part)
        if size > LARGEST_REPLY:
            raise RemoteError(f"the decision server's reply is longer than {LARGEST_REPLY} bytes")
        if time.monotonic() > deadline:
            raise TimeoutError
    if getattr(reply, "length", None):  # what was announced and never came
        raise http.client.IncompleteRead(b"", reply.length)
    return b"".join(parts)


def _message(body: bytes) -> str:
    """What an error's body says, for people, in one line of bounded length."""
    text = body.decode("utf-8", "replace")
    try:
        said: Any = json.loads(text)
    except (ValueError, RecursionError):
        said = text
    for name in ("error", "message", "detail"):
        if isinstance(said, dict) and name in said:
            said = said[name]
    return " ".join((said if isinstance(said, str) else json.dumps(said)).split())[:300]


def _wait(headers: Message) -> float | None:
    """Seconds that the server asks to be left alone for; None if it does not say, or not so that it can be read."""
    for name, unit in (("retry-after-ms", 1e-3), ("retry-after", 1.0)):
        said = headers.get(name)
        seconds = None if said is None else _seconds(said, unit)
        if seconds is not None:
            return seconds
    return None


def _seconds(said: str, unit: float) -> float | None:
    try:
        seconds = float(said) * unit
    except ValueError:
        try:
            seconds = email.utils.parsedate_to_datetime(said).timestamp() - time.time()
        except (TypeError, ValueError, OverflowError):
            return None
    return max(0.0, seconds) if math.isfinite(seconds) else None
