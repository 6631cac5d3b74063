"""A server of one task's environments: a connection is an environment, in a process of its own."""

from __future__ import annotations

import math
import secrets
import socket
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from twosome.elsewhere.lines import LONGEST_REQUEST, Channel, Garbled, Lost, fields
from twosome.elsewhere.protocol import PROTOCOL, proved
from twosome.errors import ConfigError, TwosomeError
from twosome.text.tasks import make_guarded
from twosome.text.workers import GRACE, ProcessVectorEnv

INTRODUCING = 10.0
"""Seconds in which a client must say what it wants."""
STRANGERS = 16
"""Connections that have not said yet what they want, at most."""
_LARGEST_SEED = 2**63 - 1


class _Unwanted(Exception):
    """A request that is answered with an error."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


@dataclass
class EnvironmentServer:
    """Environments of one task for whoever connects.

    Attributes:
        task: The task.
        listening: The socket; see :func:`listen`.
        arguments: Of the environment; a client may add others, and must not change these.
        most: Environments at a time, at most.
        longest: Seconds that making, a reset or a step may take at most, however long a client would wait.
        key: What clients must know; None for nothing.
        tell: Is told who comes and goes.
    """

    task: str
    listening: socket.socket
    arguments: Mapping[str, Any] = field(default_factory=dict)
    most: int = 8
    longest: float = 3600.0
    key: str | None = None
    tell: Callable[[str], None] = print

    def __post_init__(self) -> None:
        self._free = threading.BoundedSemaphore(self.most)
        self._strangers = threading.BoundedSemaphore(STRANGERS)
        self._channels: set[Channel] = set()
        self._threads: set[threading.Thread] = set()
        self._lock = threading.Lock()
        self._ending = False
        self._made = 0

    def serve(self) -> None:
        """Serve until :meth:`end`, or until an exception, such as a keyboard interrupt, comes in between."""
        while not self._ending:
            try:
                connection, peer = self.listening.accept()
            except OSError:  # closed, or a client that left before it was let in
                continue
            if not self._strangers.acquire(blocking=False):
                connection.close()
                continue
            thread = threading.Thread(target=self._attend, args=(connection, str(peer[0])), daemon=True)
            with self._lock:
                self._threads = {known for known in self._threads if known.is_alive()} | {thread}
                thread.start()

    def end(self) -> None:
        """Let nobody in any more, and have every environment closed."""
        self._ending = True
        with suppress(OSError):
            self.listening.shutdown(socket.SHUT_RDWR)
        self.listening.close()
        with self._lock:
            channels, threads = list(self._channels), list(self._threads)
        for channel in channels:
            channel.close()
        deadline = time.monotonic() + GRACE + 1.0
        for thread in threads:  # what is not closed then is killed as this process ends
            thread.join(max(0.0, deadline - time.monotonic()))

    def _attend(self, connection: socket.socket, peer: str) -> None:
        """One connection, from its first line to its last."""
        try:
            channel = Channel(connection, LONGEST_REQUEST)
        except OSError:  # it left already
            connection.close()
            self._strangers.release()
            return
        with self._lock:
            self._channels.add(channel)
        try:
            with closing(channel), suppress(Lost, TimeoutError):
                try:
                    self._converse(channel, peer)
                except _Unwanted as error:
                    self._refuse(channel, error.kind, str(error))
                except Garbled as error:
                    self._refuse(channel, "refused", f"the request is not one of {PROTOCOL}: {error}")
                except ConfigError as error:
                    self._refuse(channel, "refused", str(error))
                except TwosomeError as error:
                    self._refuse(channel, "fault", str(error))
        finally:
            with self._lock:
                self._channels.discard(channel)

    def _refuse(self, channel: Channel, kind: str, message: str) -> None:
        if not self._ending:  # then it is no fault of the environment that its process is gone
            channel.send({"error": kind, "message": message}, time.monotonic() + INTRODUCING)

    def _converse(self, channel: Channel, peer: str) -> None:
        try:
            arguments, timeout = self._introduction(channel)
        finally:
            self._strangers.release()
        if not self._free.acquire(blocking=False):
            raise _Unwanted("busy", f"all its {self.most} environments are taken; give it more with --envs")
        try:
            with self._lock:
                self._made += 1
                number = self._made
            self.tell(f"environment {number} is made for {peer}")
            try:
                with closing(self._environment(arguments, timeout)) as env:
                    self._answer(channel, env, timeout)
            finally:
                self.tell(f"environment {number} is closed")
        finally:
            self._free.release()

    def _introduction(self, channel: Channel) -> tuple[dict[str, Any], float]:
        """The arguments that a client wants, and how long it waits for an answer."""
        deadline = time.monotonic() + INTRODUCING
        challenge = None if self.key is None else secrets.token_hex(16)
        channel.send({"protocol": PROTOCOL, "task": self.task, "challenge": challenge}, deadline)
        request, task, arguments, timeout, proof = fields(channel.receive(deadline), **_OPEN)
        if self.key is not None and not proved(proof, self.key, str(challenge)):
            raise _Unwanted("refused", "the key is wrong; the client's TWOSOME_ENV_KEY must be the server's key")
        if request != "open" or task != self.task:
            raise _Unwanted(
                "refused", f"expected to be asked to open {self.task!r}, not to {request!r:.60} {task!r:.60}"
            )
        if not 0 < timeout < math.inf:
            raise _Unwanted("refused", f"expected a timeout of some seconds, got {timeout!r:.60}")
        fixed = [name for name, value in self.arguments.items() if arguments.get(name, value) != value]
        if fixed:
            raise _Unwanted(
                "refused",
                f"the argument {fixed[0]!r} is {self.arguments[fixed[0]]!r:.60} here, not {arguments[fixed[0]]!r:.60}",
            )
        if "servers" in arguments:
            raise _Unwanted("refused", "the argument 'servers' is for clients; this server has its environments itself")
        return {**self.arguments, **arguments}, min(float(timeout), self.longest)

    def _environment(self, arguments: Mapping[str, Any], timeout: float) -> ProcessVectorEnv:
        maker = partial(make_guarded, self.task, dict(arguments), "the environment")
        return ProcessVectorEnv([maker], ["the environment"], timeout)

    def _answer(self, channel: Channel, env: ProcessVectorEnv, timeout: float) -> None:
        """Answer requests until the client leaves."""
        channel.send(vars(env.traits), time.monotonic() + timeout)
        begun = False
        observation: Mapping[str, Any]
        while True:
            message = channel.receive()
            request = message.get("request")
            if request == "reset":
                _, seed = fields(message, request=(str,), seed=(int, type(None)))
                if seed is not None and not 0 <= seed <= _LARGEST_SEED:
                    raise Garbled(f"'seed' must be from 0 to {_LARGEST_SEED}, or null")
                observation, _ = env.reset(seed=[seed])
                begun, answer = True, _shown(observation)
            elif request == "step" and begun:
                _, action = fields(message, request=(str,), action=(int,))
                if not 0 <= action < len(observation["actions"][0]):
                    raise Garbled(f"'action' must be from 0 to {len(observation['actions'][0]) - 1}, got {action}")
                observation, answer = _stepped(env, action)
            elif request == "close":
                fields(message, request=(str,))
                return
            else:
                raise Garbled(f"'request' must be reset, step or close, and a reset the first, got {request!r:.60}")
            channel.send(answer, time.monotonic() + timeout)


_OPEN: dict[str, tuple[type, ...]] = {
    "request": (str,),
    "task": (str,),
    "arguments": (dict,),
    "timeout": (float, int),
    "proof": (str, type(None)),
}


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens.

    Raises:
        ConfigError: If the port is taken, or there is no such address.
    """
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0][0]
        return socket.create_server((host, port), family=family, backlog=128)
    except (OSError, OverflowError, UnicodeError) as error:
        said = getattr(error, "strerror", None) or str(error)
        raise ConfigError(
            f"cannot listen on port {port} of {host}: {said}; choose another --host or --port (0: any free one)"
        ) from None


def _shown(observation: Mapping[str, Any]) -> dict[str, Any]:
    return {"prompt": observation["prompt"][0], "actions": list(observation["actions"][0])}


def _stepped(env: ProcessVectorEnv, action: int) -> tuple[Mapping[str, Any], dict[str, Any]]:
    """What a step shows, and its answer."""
    observation, rewards, terminated, truncated, infos = env.step([action])
    return observation, {
        **_shown(observation),
        "reward": float(rewards[0]),
        "terminated": bool(terminated[0]),
        "truncated": bool(truncated[0]),
        "duration": int(infos["duration"][0]),
        "success": bool(infos["success"][0]) if "success" in infos else None,
    }
