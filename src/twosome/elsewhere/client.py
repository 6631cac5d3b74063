"""A text environment that another process has: every call is asked of its server, and a lost one is taken up again."""

from __future__ import annotations

import hashlib
import json
import socket
import time
import warnings
from collections.abc import Mapping, Sequence
from threading import Event
from typing import Any

import gymnasium
from gymnasium import spaces

from twosome.elsewhere.lines import LONGEST_ANSWER, Channel, Garbled, Lost, fields
from twosome.elsewhere.protocol import ANSWER, KEY_VARIABLE, MOMENT, PROTOCOL, TRAITS, address, proof, shared_key
from twosome.errors import ConfigError, EnvironmentFault
from twosome.text.environment import MOST_ACTIONS, TextObservation, text_space

BETWEEN = 0.2
"""Seconds between two attempts to find a lost server again."""
REACHING = 5.0
"""Seconds that one attempt to connect may take."""
FREEING = 60.0
"""Seconds that a new environment waits, at most, for a server all of whose environments are taken."""


class _Busy(Lost):
    """All environments of the server are taken."""


class ElsewhereEnv(gymnasium.Env[TextObservation, int]):
    """An environment on a server of ``twosome serve-env``, or on any that speaks its protocol.

    One connection is one environment, and one request is under way on it. Where the connection is lost, another is
    made as soon as the server is back; the episode is then taken again there from its seed and its actions, and must
    show and pay what it did, so that the run goes on to the same numbers.

    Args:
        task: The task that the server must have.
        server: ``HOST:PORT``.
        timeout: Seconds that a call may take, or a lost server to come back.
        arguments: Further arguments of the environment, as JSON.

    Raises:
        ConfigError: If the server refuses: another task, other arguments, no key.
        EnvironmentFault: If it cannot be reached.
    """

    def __init__(self, task: str, server: str, timeout: float, arguments: Mapping[str, Any]) -> None:
        self.observation_space = text_space()  # type: ignore[assignment]
        self.action_space = spaces.Discrete(MOST_ACTIONS)  # type: ignore[assignment]
        self._task, self._server, self._timeout, self._arguments = task, server, timeout, dict(arguments)
        self._address = address(server)
        self._closed = Event()
        self._seed: int | None = None
        self._taken: list[tuple[dict[str, Any], str]] = []  # of this episode: requests, and digests of their answers
        self._channel: Channel | None = self._first()

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[TextObservation, dict[str, Any]]:
        """Start an episode.

        Raises:
            ConfigError: If there are options: the protocol has none.
            EnvironmentFault: If the server is lost, late, or answers otherwise than it should.
        """
        if options:
            raise ConfigError(f"an environment elsewhere is reset with a seed alone, got options {options!r:.80}")
        super().reset(seed=seed)
        self._seed, self._taken = seed, []
        prompt, actions = self._ask({"request": "reset", "seed": seed}, "being reset", MOMENT)
        return {"prompt": prompt, "actions": tuple(actions)}, {}

    def step(self, action: int) -> tuple[TextObservation, float, bool, bool, dict[str, Any]]:
        """Take the admissible action with this index.

        Raises:
            EnvironmentFault: If the server is lost, late, or answers otherwise than it should; if an episode that was
                lost with it cannot be taken again.
        """
        answer = self._ask({"request": "step", "action": int(action)}, "taking a step", ANSWER)
        prompt, actions, reward, terminated, truncated, duration, success = answer
        info = {"duration": duration} | ({} if success is None else {"success": success})
        return {"prompt": prompt, "actions": tuple(actions)}, reward, terminated, truncated, info

    def close(self) -> None:
        """Leave; the server closes the environment. Whoever waits for an answer in another thread stops waiting."""
        self._closed.set()
        self._drop()

    def _ask(self, request: dict[str, Any], doing: str, kinds: Mapping[str, tuple[type, ...]]) -> list[Any]:
        """The answer to a request, from a server that may have to be found again first."""
        until = time.monotonic() + self._timeout
        while True:
            try:
                if self._channel is None:
                    self._channel = self._connected(until)
                    self._repeat()
                answer = self._exchange(request, doing, kinds)
                break
            except Lost as loss:
                self._drop()
                self._bear(loss, until, doing)
        self._taken.append((request, _digest(answer)))
        return answer

    def _bear(self, loss: Lost, until: float, doing: str) -> None:
        """Wait a moment before the next attempt; raise if there is to be none."""
        if self._closed.is_set():
            raise EnvironmentFault(f"the environment on {self._server} was closed while {doing}") from None
        if self._taken and (self._seed is None or not self.replays):
            why = "it was begun without a seed" if self.replays else "it does not follow from its seed and its actions"
            raise EnvironmentFault(
                f"the environment server {self._server} was lost while {doing} ({loss}), and the episode with it: {why}"
            ) from None
        if time.monotonic() + BETWEEN >= until:
            raise EnvironmentFault(
                f"the environment server {self._server} was lost while {doing} ({loss}) and did not come back within "
                f"env_timeout={self._timeout:g} seconds; start it again"
            ) from None
        self._closed.wait(BETWEEN)

    def _repeat(self) -> None:
        """Take the lost episode again; every answer must be what it was."""
        if not self._taken:
            return
        steps = len(self._taken) - 1
        for step, (request, digest) in enumerate(self._taken):
            kinds = MOMENT if request["request"] == "reset" else ANSWER
            if _digest(self._exchange(request, f"repeating step {step}", kinds)) != digest:
                raise EnvironmentFault(
                    f"the environment server {self._server} was lost and came back, but step {step} of the episode "
                    f"with seed {self._seed} was not what it had been; the environment is not determined by its seed "
                    "and its actions, or the server has another version of it"
                )
        warnings.warn(
            f"the environment server {self._server} was lost and came back; the episode with seed {self._seed} was "
            f"taken again there to step {steps}, and goes on",
            RuntimeWarning,
            stacklevel=2,
        )

    def _exchange(self, request: Mapping[str, Any], doing: str, kinds: Mapping[str, tuple[type, ...]]) -> list[Any]:
        """One request and its answer, on the connection that there is."""
        channel, deadline = self._channel, time.monotonic() + self._timeout
        if channel is None:
            raise Lost("closed")
        try:
            channel.send(request, deadline)
            return self._read(channel, deadline, kinds)
        except TimeoutError:
            self._drop()  # a late answer would be taken for the next one's
            raise EnvironmentFault(
                f"the environment server {self._server} did not answer within env_timeout={self._timeout:g} seconds "
                f"while {doing}; give it more time if it is only slow"
            ) from None

    def _read(self, channel: Channel, deadline: float, kinds: Mapping[str, tuple[type, ...]]) -> list[Any]:
        try:
            message = channel.receive(deadline)
            if "error" not in message:
                return fields(message, **kinds)
            kind, said = fields(message, error=(str,), message=(str,))
        except Garbled as error:
            self._drop()
            raise EnvironmentFault(
                f"the environment server {self._server} does not keep the protocol {PROTOCOL}: {error}"
            ) from None
        said = " ".join(said.split())[:600]
        if kind == "busy":
            raise _Busy(said)
        if kind == "refused":
            raise ConfigError(f"the environment server {self._server} refuses: {said}")
        raise EnvironmentFault(f"on the environment server {self._server}: {said}")

    def _first(self) -> Channel:
        """The first connection: an address that nobody listens at is told at once."""
        until = time.monotonic() + min(self._timeout, FREEING)
        while True:
            try:
                return self._connected(time.monotonic() + self._timeout)
            except _Busy as busy:  # a run that was stopped a moment ago may still have them
                if time.monotonic() + BETWEEN >= until:
                    raise EnvironmentFault(f"the environment server {self._server} is busy: {busy}") from None
                time.sleep(BETWEEN)
            except Lost as loss:
                raise EnvironmentFault(
                    f"no environment server can be reached at {self._server} ({loss}); start it there with `twosome "
                    f"serve-env {self._task}`, or correct environment.servers"
                ) from None

    def _connected(self, until: float) -> Channel:
        """A connection with a new environment at its other end, and what that one says of itself."""
        left = max(BETWEEN, min(REACHING, until - time.monotonic()))
        try:
            channel = Channel(socket.create_connection(self._address, timeout=left), LONGEST_ANSWER)
        except OSError as error:
            raise Lost(error.strerror or str(error) or type(error).__name__) from None
        try:
            said = self._introduce(channel)
        except BaseException:
            channel.close()
            raise
        if self._closed.is_set():  # while it was being made
            channel.close()
            raise Lost("closed")
        self.joiner, self.replays, self.quotes, self.time_limit = said
        return channel

    def _introduce(self, channel: Channel) -> Sequence[Any]:
        deadline = time.monotonic() + self._timeout
        try:
            protocol, task, challenge = self._read(channel, deadline, _HELLO)
            key = shared_key()
            if protocol != PROTOCOL:
                raise ConfigError(f"the environment server {self._server} speaks {protocol!r:.60}, not {PROTOCOL}")
            if task != self._task:
                raise ConfigError(f"the environment server {self._server} has the task {task!r}, not {self._task!r}")
            if challenge is not None and key is None:
                raise ConfigError(f"the environment server {self._server} asks for a key; set {KEY_VARIABLE} to it")
            channel.send(
                {
                    "request": "open",
                    "task": self._task,
                    "arguments": self._arguments,
                    "timeout": self._timeout,
                    "proof": proof(key, challenge) if key is not None and challenge is not None else None,
                },
                deadline,
            )
            return self._read(channel, deadline, TRAITS)
        except (TypeError, ValueError) as error:
            if isinstance(error, ConfigError):
                raise
            raise ConfigError(f"an argument of the environment cannot be sent to a server as JSON: {error}") from None
        except TimeoutError:
            raise EnvironmentFault(
                f"the environment server {self._server} did not answer within env_timeout={self._timeout:g} seconds "
                "while being made; give it more time if it is only slow"
            ) from None

    def _drop(self) -> None:
        channel, self._channel = getattr(self, "_channel", None), None
        if channel is not None:
            channel.close()


_HELLO: dict[str, tuple[type, ...]] = {"protocol": (str,), "task": (str,), "challenge": (str, type(None))}


def make(task: str, server: str, timeout: float, arguments: Mapping[str, Any]) -> ElsewhereEnv:
    """The environment, for :func:`gymnasium.make`."""
    return ElsewhereEnv(task, server, timeout, arguments)


def _digest(answer: Sequence[Any]) -> str:
    return hashlib.sha256(json.dumps(answer).encode()).hexdigest()
