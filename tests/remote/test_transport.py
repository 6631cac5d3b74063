"""Requests that fail: which are sent again, when, and which are not."""

from __future__ import annotations

import email.utils
import socket
import time
from threading import Event, Thread
from typing import Any

import pytest

from tests.remote.stub import Reply, Stub
from twosome.decision import Decision
from twosome.errors import RemoteError
from twosome.remote import RemotePolicy, ServerSettings
from twosome.remote.asking import ask_all
from twosome.remote.settings import is_this_machine
from twosome.remote.store import AnswerStore
from twosome.remote.transport import Transport

FORK = Decision("You are at a fork. You should now", ("go left", "go on"))


def asked(stub: Stub, **settings: Any) -> RemotePolicy:
    policy = RemotePolicy(ServerSettings(stub.url, **{"decimals": 2, **settings}))
    assert policy.action_log_probs([FORK]).exp()[0].tolist() == pytest.approx([7 / 12, 5 / 12])
    return policy


class Watched(Event):
    """An event that is never waited for, and knows how long it would have been."""

    def __init__(self) -> None:
        super().__init__()
        self.waits: list[float | None] = []

    def wait(self, timeout: float | None = None) -> bool:
        self.waits.append(timeout)
        return False


def waits(stub: Stub, **settings: Any) -> list[float | None]:
    """The seconds between attempts."""
    watched = Watched()
    Transport(ServerSettings(stub.url, **settings)).post(
        {"state": "a", "questions": {"action": {"criteria": {"b": 1}}}}, watched
    )
    return watched.waits


@pytest.mark.parametrize("status", [408, 429, 500, 501, 502, 503, 504, 529])
def test_what_may_pass_is_sent_again(stub: Stub, status: int) -> None:
    stub.replies = [Reply(status), Reply(status)]
    assert asked(stub).facts()["requests"] == 3


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 409, 413, 415, 422])
def test_what_would_be_refused_again_is_sent_once(stub: Stub, status: int) -> None:
    stub.replies = [Reply(status, {"error": {"message": "no, thank you", "type": "x"}})]
    with pytest.raises(RemoteError, match=f"{status}: no, thank you"):
        asked(stub)
    assert len(stub.requests) == 1


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ({"message": "too long"}, "422: too long"),
        ({"detail": "Too many choices. 256"}, "422: Too many choices. 256"),
        ({"detail": [{"loc": ["body"], "msg": "no"}]}, r'422: \[\{"loc": \["body"\], "msg": "no"\}\]'),
        ("<html>oops\n\n</html>", "422: <html>oops </html>"),
        ("[" * 9999, r"422: \[\[\["),
        ("", "422 Unprocessable"),
    ],
)
def test_the_sentence_of_the_server_is_told(stub: Stub, body: Any, told: str) -> None:
    stub.replies = [Reply(422, body)]
    with pytest.raises(RemoteError, match=told):
        asked(stub)


def test_a_missing_key_is_told_with_where_to_put_it(stub: Stub) -> None:
    stub.replies = [Reply(401, {"error": {"message": "no key"}})]
    with pytest.raises(RemoteError, match="TWOSOME_SERVER_KEY"):
        asked(stub)


def test_a_redirect_is_told_and_not_followed(stub: Stub) -> None:
    stub.replies = [Reply(307, "", Location="http://elsewhere/v1/systemone")]
    with pytest.raises(RemoteError, match="redirects to http://elsewhere/v1/systemone"):
        asked(stub)
    assert len(stub.requests) == 1


def test_a_connection_that_is_lost_is_made_again(stub: Stub) -> None:
    stub.replies = [None, Reply(200, "half an answer", Content_Length="999")]
    stub.replies[1].headers["Connection"] = "close"  # type: ignore[union-attr]
    assert asked(stub, timeout=1.0).facts()["requests"] == 3


def test_a_server_that_hangs_is_asked_again_and_given_up_with_a_sentence(stub: Stub) -> None:
    stub.hang = True
    with pytest.raises(RemoteError, match=r"failed 2 times.*no answer within 0.1 seconds.*goes on from there"):
        asked(stub, timeout=0.1, attempts=2)
    assert len(stub.requests) == 2


def test_a_server_that_dribbles_is_given_up_as_one_that_hangs() -> None:
    """Every byte comes in time, the answer never."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def dribble() -> None:
            connection, _ = listening.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
                for _ in range(100):
                    time.sleep(0.05)
                    try:
                        connection.sendall(b" ")
                    except OSError:
                        return

        Thread(target=dribble, daemon=True).start()
        settings = ServerSettings(f"http://127.0.0.1:{listening.getsockname()[1]}", timeout=0.3, attempts=1)
        start = time.monotonic()
        with pytest.raises(RemoteError, match="no answer within"):
            Transport(settings).post({}, Event())
        assert time.monotonic() - start < 3


def test_nobody_there_is_told_at_once_and_one_who_left_is_waited_for(stub: Stub) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        nobody = f"http://127.0.0.1:{free.getsockname()[1]}"
    with pytest.raises(RemoteError, match=r"no decision server can be reached at .*is it running"):
        RemotePolicy(ServerSettings(nobody)).action_log_probs([FORK])
    settings = ServerSettings(stub.url, attempts=3)
    transport = Transport(settings)
    transport.post({"state": "a", "questions": {"action": {"criteria": {"b": None}}}}, Event())
    object.__setattr__(settings, "url", nobody)
    watched = Watched()
    with pytest.raises(RemoteError, match="failed 3 times"):
        transport.post({}, watched)
    assert len(watched.waits) == 2


def test_waits_double_unless_the_server_says_how_long_and_never_exceed_a_minute(stub: Stub) -> None:
    stub.replies = [Reply(503), Reply(503), Reply(503)]
    assert waits(stub) == pytest.approx([0.01, 0.02, 0.04])  # FIRST_WAIT of the tests
    stub.replies = [Reply(429, retry_after="3"), Reply(429, retry_after_ms="250"), Reply(429, retry_after="3600")]
    assert waits(stub) == pytest.approx([3.0, 0.25, 60.0])
    stub.replies = [Reply(429, retry_after="0"), Reply(429, retry_after="soon"), Reply(429, retry_after="nan")]
    assert waits(stub) == pytest.approx([0.0, 0.02, 0.04])
    stub.replies = [Reply(429, retry_after=email.utils.formatdate(time.time() + 20, usegmt=True))]
    assert waits(stub) == pytest.approx([20.0], abs=2)


def test_after_a_failure_the_other_questions_are_not_asked_and_what_was_answered_is_kept(stub: Stub) -> None:
    decisions = [Decision(f"This is place {place}. You should", ("go", "stay")) for place in range(20)]
    stub.edit = lambda answer: answer if len(stub.requests) < 5 else {"answers": {}}
    settings = ServerSettings(stub.url, in_flight=1)
    store = AnswerStore(settings)
    with pytest.raises(RemoteError, match="not to the one question"):
        ask_all(Transport(settings), settings, store, decisions)
    assert len(stub.requests) == 5
    assert [store.recall(decision) is not None for decision in decisions] == [True] * 4 + [False] * 16


@pytest.mark.parametrize(
    ("url", "here"),
    [("http://localhost:1", True), ("http://127.0.0.9", True), ("http://[::1]:8", True), ("http://api.example", False)],
)
def test_no_proxy_stands_between_this_machine_and_itself(url: str, here: bool) -> None:
    assert is_this_machine(url) == here
