"""A server in a thread of this process, and plain HTTP to ask it with."""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from twosome.deciding.agent import Agent
from twosome.serving.app import Service
from twosome.serving.engine import Engine, Limits
from twosome.serving.server import Server, address_of, listen

PROMPT = "There are two fixed cutting boards in the room. You should now"
ACTIONS = ("pick up the tomato", "chop the tomato", "serve the dish")


@dataclass
class Reply:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    content: bytes

    @property
    def body(self) -> Any:
        return json.loads(self.content)

    @property
    def message(self) -> str:
        return str(self.body["error"]["message"])


@dataclass
class Running:
    """A server that runs; ``lines`` is its log."""

    service: Service
    server: Server
    address: str
    lines: list[dict[str, Any]] = field(default_factory=list)

    @property
    def port(self) -> int:
        return int(self.address.rpartition(":")[2])

    def send(
        self, method: str, path: str, content: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> Reply:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request(method, path, content, dict(headers or {}))
            response = connection.getresponse()
            named = {name.lower(): value for name, value in response.getheaders()}
            return Reply(response.status, named, response.read())
        finally:
            connection.close()

    def post(self, path: str, body: Any, **headers: str) -> Reply:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.send("POST", path, content, {"Content-Type": "application/json", **named})

    def choose(self, state: Any = PROMPT, actions: Any = ACTIONS, **question: Any) -> Reply:
        asked = {"type": "choice", "criteria": dict.fromkeys(actions), **question}
        return self.post("/v1/systemone", {"state": state, "questions": {"next": asked}})

    def posts(self) -> int:
        """How many requests with a body came so far."""
        return sum(line["method"] == "POST" for line in self.lines)


@contextmanager
def serving(agents: Mapping[str, Agent], limits: Limits | None = None, **settings: Any) -> Iterator[Running]:
    """A server of these agents while the context lasts."""
    lines: list[dict[str, Any]] = []
    service = Service(Engine(agents, limits or Limits()), log=lines.append, **settings)
    listening = listen("127.0.0.1", 0)
    running = Running(service, Server(service), address_of(listening), lines)
    thread = threading.Thread(target=running.server.run, args=([listening],), daemon=True)
    thread.start()
    deadline = time.monotonic() + 30
    while not running.server.started and time.monotonic() < deadline:
        time.sleep(0.01)
    try:
        yield running
    finally:
        running.server.should_exit = True
        thread.join(30)
        listening.close()


def eventually(condition: Any, seconds: float = 10.0) -> bool:
    """Whether something becomes true in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True
