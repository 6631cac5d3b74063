"""JSON objects over a socket, one a line: strict, of bounded length, and never waited for longer than was said."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Mapping
from typing import Any

from twosome.formats.refusals import Refusal
from twosome.formats.strict import read_json

LONGEST_REQUEST = 2**20
"""Bytes of a line that a server reads: arguments of an environment, or the number of an action."""
LONGEST_ANSWER = 2**24
"""Bytes of a line that a client reads: a prompt and its phrases."""
_ALIVE = {"TCP_KEEPIDLE": 20, "TCP_KEEPINTVL": 5, "TCP_KEEPCNT": 4}
"""After 40 silent seconds a connection counts as lost, so that one that was cut holds no environment for ever."""


class Lost(Exception):
    """The connection is gone, or never was."""


class Garbled(Exception):
    """A line that is no JSON object, or too long a one."""


class Channel:
    """One end of a connection.

    Args:
        connection: A connected socket; it belongs to the channel from now on.
        longest: Bytes of a line that are read.
    """

    def __init__(self, connection: socket.socket, longest: int) -> None:
        self._connection = connection
        self._longest = longest
        self._read = bytearray()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # a line is small, and is waited for
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in _ALIVE.items():
            if hasattr(socket, name):
                connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)

    def send(self, message: Mapping[str, Any], deadline: float | None = None) -> None:
        """Send one object.

        Args:
            message: JSON; numbers arrive as they are, to the last bit.
            deadline: On the clock of :func:`time.monotonic`; None for none.

        Raises:
            Lost: If the connection is gone.
            TimeoutError: If the deadline passed.
            ValueError, TypeError: If it is no JSON.
        """
        line = json.dumps(message, allow_nan=False, separators=(",", ":")).encode() + b"\n"
        try:
            self._connection.settimeout(_left(deadline))
            self._connection.sendall(line)
        except OSError as error:
            raise _loss(error, deadline) from None

    def receive(self, deadline: float | None = None) -> dict[str, Any]:
        """The next object.

        Raises:
            Lost: If the connection is gone.
            TimeoutError: If the deadline passed, also where single bytes kept coming.
            Garbled: If the line is no JSON object, or too long.
        """
        while (end := self._read.find(b"\n")) < 0:
            if len(self._read) > self._longest:
                raise Garbled(f"a line of more than {self._longest} bytes came")
            try:
                self._connection.settimeout(_left(deadline))
                part = self._connection.recv(2**16)
            except OSError as error:
                raise _loss(error, deadline) from None
            if not part:
                raise Lost("the connection was closed")
            self._read += part
        line, self._read = bytes(self._read[:end]), self._read[end + 1 :]
        try:
            message = read_json(line, 400)
        except Refusal as refusal:
            raise Garbled(refusal.message) from None
        if not isinstance(message, dict):
            raise Garbled(f"a line with a JSON {type(message).__name__} came where an object was expected")
        return message

    def close(self) -> None:
        """Close the connection; whoever waits for it in another thread wakes up."""
        try:
            self._connection.shutdown(socket.SHUT_RDWR)
        except OSError:  # it is closed already
            pass
        finally:
            self._connection.close()


def fields(message: Mapping[str, Any], /, **kinds: tuple[type, ...]) -> list[Any]:
    """The values of a message, in the order of ``kinds``.

    Raises:
        Garbled: If one is missing, superfluous, or of another type; True is no number here.
    """
    for name in kinds:
        if name not in message:
            raise Garbled(f"{name!r} is missing")
    for name, value in message.items():
        if name not in kinds:
            raise Garbled(f"{name[:60]!r} is not known here; expected {', '.join(kinds)}")
        if type(value) not in kinds[name] and not (isinstance(value, dict) and dict in kinds[name]):
            expected = " or ".join(kind.__name__ for kind in kinds[name])
            raise Garbled(f"{name!r} is of type {type(value).__name__}; expected {expected}")
    return [message[name] for name in kinds]


def _left(deadline: float | None) -> float | None:
    if deadline is None:
        return None
    if (left := deadline - time.monotonic()) <= 0:
        raise TimeoutError
    return left


def _loss(error: OSError, deadline: float | None) -> Exception:
    """What an error of a socket means; the system, too, says "timed out", of a connection that is gone."""
    if deadline is not None and time.monotonic() >= deadline:
        return TimeoutError()
    return Lost(error.strerror or str(error) or type(error).__name__)
