"""A server process: its socket, its signals, its end."""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from twosome.errors import ConfigError
from twosome.serving.app import Service

HEAD_SECONDS = 20.0
"""How long the head of a request may take to arrive."""
_IDLE_SECONDS = 65  # longer than the pools of clients keep a connection, which else is closed as they use it
_END_SECONDS = 60  # for clients to take their answers when the server ends
_QUEUE = 2048  # connections that wait to be accepted


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens, so that a second server on one port is told before it loads a model.

    Raises:
        ConfigError: If the port is taken, or there is no such address.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, OverflowError, UnicodeError):
        raise ConfigError(f"--host is {host!r}, which is no address of this machine; use 127.0.0.1") from None
    family, kind, protocol, _, address = found[0]
    listening = socket.socket(family, kind, protocol)
    try:
        if os.name == "posix":  # elsewhere it would let two servers share a port
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen(_QUEUE)
    except OSError as error:
        listening.close()
        if error.errno == errno.EADDRINUSE:
            message = (
                f"port {port} of {host} is taken, maybe by another server; choose another --port (0: any free one)"
            )
        else:
            message = f"cannot listen on port {port} of {host}: {error.strerror}; choose another --host or --port"
        raise ConfigError(message) from None
    return listening


def address_of(listening: socket.socket) -> str:
    """The base address that clients without ``/v1`` want."""
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def serve(service: Service, listening: socket.socket) -> None:
    """Serve until SIGTERM or SIGINT; requests under way are answered first, new ones get 503 meanwhile."""
    Server(service).run([listening])


class Server(uvicorn.Server):
    """uvicorn, with an end that loses nothing.

    Args:
        service: What is served.
    """

    def __init__(self, service: Service) -> None:
        logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL + 1)  # we write a log of our own
        super().__init__(
            uvicorn.Config(
                service.application(),
                loop="asyncio",
                http=_Patient,
                ws="none",
                lifespan="on",
                log_config=None,
                access_log=False,
                server_header=False,
                timeout_keep_alive=_IDLE_SECONDS,
                timeout_graceful_shutdown=_END_SECONDS,
            )
        )
        self.service = service

    def end(self) -> None:
        """Take no new questions, and end when all that are under way are answered; the second time, end now."""
        if self.service.draining:
            self.should_exit = self.force_exit = True
        self.service.draining = True

    async def on_tick(self, counter: int) -> bool:
        """Whether to end; asked ten times a second."""
        if self.service.draining and not self.service.running:
            self.should_exit = True
        return await super().on_tick(counter)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Let signals end the server; uvicorn's own way dies of the signal after a graceful end, this one does not."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        signals = (signal.SIGINT, signal.SIGTERM)
        before = {number: signal.signal(number, lambda *_: self.end()) for number in signals}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


class _Patient(H11Protocol):
    """HTTP, with a limit to the time in which the head of a request must arrive."""

    _limit: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        """A client came."""
        super().connection_made(transport)
        self._watch()

    def data_received(self, data: bytes) -> None:
        """It sent something."""
        super().data_received(data)
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """It went."""
        super().connection_lost(exc)
        self._unwatch()

    def _watch(self) -> None:
        answering = self.cycle is not None and not self.cycle.response_complete
        if answering:
            self._unwatch()
        elif self._limit is None:
            self._limit = self.loop.call_later(HEAD_SECONDS, self.transport.close)

    def _unwatch(self) -> None:
        if self._limit is not None:
            self._limit.cancel()
            self._limit = None
