"""A decision server of a few lines that misbehaves as it is told to."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Lock, Thread
from typing import Any

Probabilities = Callable[[str, Sequence[str]], Sequence[float]]


def by_length(state: str, options: Sequence[str]) -> list[float]:
    """Probabilities that anybody can work out: in proportion to the lengths of the options."""
    total = sum(map(len, options))
    return [len(option) / total for option in options]


class Reply:
    """What is sent back: a status, headers, and a body; ``None`` drops the connection without a word."""

    def __init__(self, status: int = 200, body: Any = None, **headers: str) -> None:
        self.status = status
        self.body = body if isinstance(body, str) else json.dumps(body)
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}


class Stub:
    """Answers questions in either format.

    Attributes:
        probabilities: Of the options after a state.
        replies: What is sent to the first requests instead of an answer, one each; None drops the connection.
        edit: Changes an answer before it is sent.
        delay: Seconds before every answer.
        release: A request waits for it while ``hang`` is set.
    """

    def __init__(self, probabilities: Probabilities = by_length) -> None:
        self.probabilities = probabilities
        self.replies: list[Reply | None] = []
        self.edit: Callable[[dict[str, Any]], Any] = lambda answer: answer
        self.delay = 0.0
        self.model = "stub-1"
        self.hang, self.release = False, Event()
        self.requests: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.paths: list[str] = []
        self.running, self.most_running = 0, 0
        self.lock = Lock()
        self.url = ""

    def asked(self) -> list[str]:
        """The states of the questions, without the one about decimals."""
        found = [body.get("state", body.get("input")) for body in self.requests]
        return [state for state in found if not state.startswith("A word is drawn")]

    def shares(self, state: str, options: Sequence[str]) -> list[float]:
        """The probabilities, filled up with zeros where there are more options."""
        found = list(self.probabilities(state, options))
        return found + [0.0] * (len(options) - len(found))

    def answer(self, body: dict[str, Any]) -> Any:
        if "state" in body:
            criteria = list(body["questions"]["action"]["criteria"])
            found = dict(zip(criteria, self.shares(body["state"], criteria), strict=True))
            answer: dict[str, Any] = {"type": "choice", "choice": criteria[0], "confidence": 0.5}
            answers: Any = {"action": answer | {"probabilities": found}}
        else:
            values = [choice["value"] for choice in body["questions"][0]["choices"]]
            pairs = zip(values, self.shares(body["input"], values), strict=True)
            answer = {"type": "choice", "name": "action", "choice": values[0], "confidence": 0.5}
            answers = [answer | {"probabilities": [{"value": v, "probability": p} for v, p in pairs]}]
        return self.edit({"model": self.model, "answers": answers, "usage": {"input_tokens": 1, "output_tokens": 0}})


@contextmanager
def serving(stub: Stub) -> Iterator[Stub]:
    """The stub at an address of this machine."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            with stub.lock:
                stub.requests.append(body)
                stub.headers.append({name.lower(): value for name, value in self.headers.items()})
                stub.paths.append(self.path)
                planned = stub.replies.pop(0) if stub.replies else ...
                stub.running += 1
                stub.most_running = max(stub.most_running, stub.running)
            try:
                time.sleep(stub.delay)
                if stub.hang:
                    stub.release.wait(30)
                if planned is None:
                    self.close_connection = True
                    return
                self._send(Reply(200, stub.answer(body)) if planned is ... else planned)
            finally:
                with stub.lock:
                    stub.running -= 1

        def _send(self, reply: Any) -> None:
            try:
                self.send_response(reply.status)
                data = reply.body.encode()
                for name, value in {"Content-Length": str(len(data)), **reply.headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(data)
            except OSError:
                pass  # whoever asked has gone

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        stub.url = f"http://127.0.0.1:{server.server_address[1]}"
        try:
            yield stub
        finally:
            stub.release.set()
            server.shutdown()
            thread.join()
