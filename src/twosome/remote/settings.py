"""Which decision server is asked, in which format, how a decision is put to it, and how patiently."""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import urlsplit

from twosome.errors import ConfigError

FormatName = Literal["systemone", "decisions"]
MODELS: dict[FormatName, str] = {"systemone": "jev-latest", "decisions": "gpt-6-luna"}
"""The formats, and the model that the makers' own clients name in each."""
INSTRUCTION = "What should you do now?"
MOST_OPTIONS = 255
KEY_VARIABLE = "TWOSOME_SERVER_KEY"


@dataclass(frozen=True)
class ServerSettings:
    """How a decision server is asked.

    The framing decides what an untrained server is worth, so it is a setting: the prompt is sent whole as the state,
    and what is asked about it is ``instruction``.

    Attributes:
        url: The server's base address, with or without ``/v1``, or the whole address of its route.
        format: System One (``/v1/systemone``) or OpenAI Decisions (``/v1/decisions``); None for what the address ends
            in, else System One.
        model: What the request names as its model; None for the format's usual name.
        instruction: What is asked; an empty text sends none.
        descriptions: What a phrase means, by phrase; phrases that are not in it are sent without.
        in_flight: Requests under way at the same time, at most.
        options: Options that the server takes in a question, at most.
        decimals: Decimals that the server rounds to; None to find out (:mod:`twosome.remote.rounding`).
        timeout: Seconds that one request may take.
        attempts: How often one question is sent before the run is given up.

    Raises:
        ConfigError: If a setting is out of its range, or the address is none.
    """

    url: str
    format: FormatName | None = None
    model: str | None = None
    instruction: str = INSTRUCTION
    descriptions: Mapping[str, str] = field(default_factory=dict)
    in_flight: int = 4
    options: int = MOST_OPTIONS
    decimals: int | None = None
    timeout: float = 60.0
    attempts: int = 6

    def __post_init__(self) -> None:
        _check_address(self.url)
        if self.format not in (None, *MODELS):
            raise ConfigError(f"unknown format of a decision server {self.format!r}: expected {' or '.join(MODELS)}")
        for name, least in (("in_flight", 1), ("options", 2), ("attempts", 1)):
            if getattr(self, name) < least:
                raise ConfigError(f"{name} of a decision server must be at least {least}, got {getattr(self, name)}")
        if not 0 < self.timeout < float("inf"):
            raise ConfigError(f"the timeout of a decision server must be a number of seconds, got {self.timeout}")
        if self.decimals is not None and not 2 <= self.decimals <= 300:
            raise ConfigError(f"the decimals of a decision server must be from 2 to 300, got {self.decimals}")
        route = self.url.rstrip("/").rsplit("/", 1)[-1]
        if self.format is not None and route in MODELS and route != self.format:
            raise ConfigError(f"the address {self.url!r} is a route of {route!r}, and the format is {self.format!r}")

    @property
    def spoken(self) -> FormatName:
        """The format that is spoken."""
        route = self.url.rstrip("/").rsplit("/", 1)[-1]
        named = next((name for name in MODELS if name == route), None)
        return self.format or named or "systemone"

    @property
    def endpoint(self) -> str:
        """The address that questions are posted to."""
        base = self.url.rstrip("/")
        if base.endswith(f"/{self.spoken}"):
            return base
        return f"{base}/{self.spoken}" if base.endswith("/v1") else f"{base}/v1/{self.spoken}"

    @property
    def name(self) -> str:
        """What it is called in tables: its host, and the model if one was chosen."""
        host = urlsplit(self.url).netloc
        return f"{host}, {self.model}" if self.model else host

    @property
    def framing(self) -> dict[str, Any]:
        """What decides its answers, as JSON: other framings of the same server are other policies."""
        return {
            "url": self.endpoint,
            "format": self.spoken,
            "model": self.asked_model,
            "instruction": self.instruction,
            "descriptions": dict(self.descriptions),
        }

    @property
    def asked_model(self) -> str:
        """What requests name as the model."""
        return self.model or MODELS[self.spoken]


def server_key() -> str | None:
    """The key that is sent, from the environment alone, so that it stands in no history and no file."""
    return os.environ.get(KEY_VARIABLE) or None


def is_this_machine(url: str) -> bool:
    """Whether an address leads no further than this machine, past any proxy."""
    host = urlsplit(url).hostname or ""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _check_address(url: str) -> None:
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018  a port that is no number is told here
    except ValueError as error:
        raise ConfigError(f"{url!r} is no address of a decision server ({error})") from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ConfigError(f"{url!r} is no address of a decision server: expected http://host:port or https://host")
    if parts.username is not None or parts.password is not None:
        raise ConfigError(
            f"the address of a decision server is written into results, so it must not hold a key; set {KEY_VARIABLE}"
        )
    if parts.query or parts.fragment:
        raise ConfigError(f"the address of a decision server ends with its path; leave out what follows it in {url!r}")
