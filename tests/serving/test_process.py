"""The command as a process: how it begins, how it is refused, how it ends, and what a kill leaves behind."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.serving.running import ACTIONS, PROMPT, eventually
from twosome import Agent
from twosome.cli import main


class Process:
    """A server that was started by its command."""

    def __init__(self, *words: str, **environment: str) -> None:
        command = [sys.executable, "-m", "twosome", "serve", *words]
        variables = {**os.environ, "OMP_NUM_THREADS": "1", **environment}
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=variables
        )
        self.said: list[str] = []
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.said.append(line)
            if line.startswith("every field:"):
                break
        told = [line for line in self.said if line.startswith("System One clients:")]
        if not told:
            self.process.wait(60)
            assert self.process.stderr is not None
            raise AssertionError(self.process.stderr.read())
        self.port = int(told[0].rpartition(":")[2])

    def post(self, body: Any, **headers: str) -> tuple[int, Any]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
        try:
            sent = {"Content-Type": "application/json", **headers}
            connection.request("POST", "/v1/systemone", json.dumps(body), sent)
            response = connection.getresponse()
            return response.status, json.loads(response.read())
        finally:
            connection.close()

    def ready(self) -> dict[str, Any]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request("GET", "/ready")
            found: dict[str, Any] = json.loads(connection.getresponse().read())
            return found
        finally:
            connection.close()

    def end(self, number: int) -> tuple[int, str]:
        """Exit status after a signal, and all that was logged."""
        self.process.send_signal(number)
        _, log = self.process.communicate(timeout=60)
        return self.process.returncode, log


@contextmanager
def started(*words: str, **environment: str) -> Iterator[Process]:
    server = Process(*words, **environment)
    try:
        yield server
    finally:
        server.process.kill()
        server.process.communicate()


def body(*names: str) -> dict[str, Any]:
    question = {"type": "choice", "criteria": dict.fromkeys(ACTIONS)}
    return {"state": PROMPT, "questions": {name: {**question, "instructions": name} for name in names}}


@pytest.mark.skipif(os.name != "posix", reason="Windows has no SIGTERM that a process could handle")
def test_the_end_loses_no_running_request_and_takes_no_new_one(agent: Agent) -> None:
    with started("--port", "0", "--together", "8", TWOSOME_KEY="secret") as server:
        key = {"Authorization": "Bearer secret"}
        names = [f"number {number}" for number in range(400)]
        answers: list[tuple[int, Any]] = []
        asking = threading.Thread(target=lambda: answers.append(server.post(body(*names), **key)))
        assert server.post(body("x"))[0] == 401
        asking.start()
        assert eventually(lambda: server.ready()["computed"] > 0)
        server.process.send_signal(signal.SIGTERM)
        late = []

        def refused() -> bool:
            late.append(server.post(body("late"), **key))
            return late[-1][0] == 503

        assert eventually(refused)
        assert not answers  # it was still running
        assert late[-1][1]["error"]["code"] == "server_shutting_down"
        asking.join(60)
        (answer,) = answers
        assert answer[0] == 200
        assert len(answer[1]["answers"]) == len(names)
        expected = agent.decide(f"{PROMPT} number 399", ACTIONS)
        assert answer[1]["answers"]["number 399"]["probabilities"] == expected
        _, log = server.process.communicate(timeout=60)
        assert server.process.returncode == 0
        lines = [json.loads(line) for line in log.splitlines()]
        assert {line["status"] for line in lines if line["method"] == "POST"} >= {200, 401, 503}
        assert "number" not in log
        with pytest.raises(ConnectionRefusedError), socket.create_connection(("127.0.0.1", server.port)):
            pass


@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_a_server_that_is_killed_under_load_can_be_started_again_on_its_port_at_once(agent: Agent) -> None:
    expected = [agent.decide(f"{PROMPT} {number}", ACTIONS) for number in range(4)]
    restarted, failures, found = threading.Event(), [], list[bool]()

    def ask(server: Process, number: int) -> None:
        after = 0
        while after < 3:
            try:
                status, answer = server.post(body(str(number)))
            except (OSError, http.client.HTTPException) as error:
                failures.append(error)
                time.sleep(0.1)
                continue
            assert status == 200
            found.append(answer["answers"][str(number)]["probabilities"] == expected[number])
            after += restarted.is_set()

    with started("--port", "0") as server:
        asking = [threading.Thread(target=ask, args=(server, number)) for number in range(4)]
        for thread in asking:
            thread.start()
        assert eventually(lambda: len(found) > 20)
        with socket.create_connection(("127.0.0.1", server.port)) as half:
            half.sendall(b"POST /v1/systemone HTTP/1.1\r\n")
            assert server.end(signal.SIGKILL)[0] == -signal.SIGKILL
            with started("--port", str(server.port)) as again:
                restarted.set()
                for thread in asking:
                    thread.join(60)
                assert failures
                assert all(found)
                assert again.end(signal.SIGINT)[0] == 0


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="Windows has no SIGTERM that a process could handle")
@pytest.mark.parametrize("clients", [8, 50])
def test_the_end_under_load_loses_nothing_that_was_begun(agent: Agent, clients: int) -> None:
    """Each client keeps its connection; what the log says was answered has been heard, with the bits of the agent."""
    heard: list[tuple[int, str, Any]] = []
    closed: list[BaseException] = []

    def ask(server: Process, client: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=120)
        for number in range(100_000):
            name = f"{client} times {number}"
            try:
                connection.request(
                    "POST", "/v1/systemone", json.dumps(body(name)), {"Content-Type": "application/json"}
                )
                response = connection.getresponse()
                heard.append((response.status, name, json.loads(response.read())))
            except (ConnectionError, http.client.RemoteDisconnected) as error:
                closed.append(error)  # it was idle, or the server is no more; an answer cut short is another error
                return

    with started("--port", "0") as server:
        asking = [threading.Thread(target=ask, args=(server, client)) for client in range(clients)]
        for thread in asking:
            thread.start()
        assert eventually(lambda: len(heard) > 3 * clients, 60)
        status, log = server.end(signal.SIGTERM)
        for thread in asking:
            thread.join(60)
            assert not thread.is_alive()
    assert status == 0
    assert len(closed) == clients
    told = [json.loads(line)["status"] for line in log.splitlines()]
    for code in (200, 503):
        assert told.count(code) == sum(status == code for status, _, _ in heard)
    assert {code for code, _, _ in heard} <= {200, 503}
    for _, name, answer in [each for each in heard if each[0] == 200][:: max(1, len(heard) // 20)]:
        assert answer["answers"][name]["probabilities"] == agent.decide(f"{PROMPT} {name}", ACTIONS)


def test_a_port_that_is_taken_is_told_before_a_model_is_loaded(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert main(["serve", "--port", str(port), "--model", "no/such/model"]) == 2
    told = capsys.readouterr().err
    assert f"port {port} of 127.0.0.1 is taken" in told
    assert len(told.splitlines()) == 1


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--port", "70000"), "--port: must be between"),
        (("--host", "no.such.host.invalid"), "no address of this machine"),
        (("--host", "203.0.113.7", "--port", "0"), "cannot listen"),
        (("--key", ""), "printable ASCII"),
        (("--key", "two words"), "printable ASCII"),
        (("--port", "0", "a=x", "a=y"), "two agents are called 'a'"),
        (("--port", "0", "=x"), "names no agent"),
        (("--port", "0", "--temperature", "0"), "temperature must be"),
        (("--port", "0", "--threads", "0"), "at least 1"),
        (("--port", "0", "--together", "0"), "at least 1"),
        (("--port", "0", "no/such/run"), "no/such/run"),
    ],
)
def test_what_is_mistyped_is_told_in_one_sentence(
    words: tuple[str, ...], told: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert main(["serve", *words]) == 2
    error = capsys.readouterr().err
    assert told in error
    assert len(error.splitlines()) == 1
