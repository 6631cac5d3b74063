"""Bodies of requests that nobody would send: each is answered, or refused with a 4xx in our own shape."""

from __future__ import annotations

import gzip
import http.client
import json
import math
import threading
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

from tests.fuzz.bench import Bench
from tests.serving.running import ACTIONS, serving

OUTCOMES = ("/v1/outcomes", "/outcomes")
PATHS = ("/v1/systemone", "/systemone", "/v1/decisions", "/decisions")
_WORDS = ("state", "input", "questions", "criteria", "instructions", "type", "choice", "score", "noul", "predicate")
_WORDS += ("choices", "levels", "value", "label", "name", "model", "true", "false", "role", "content", "user", "box")
_texts = st.one_of(
    st.sampled_from(_WORDS), st.text(max_size=12), st.sampled_from(["", " ", "a ", "\ud83c", "\x00", "x" * 5000])
)
_leaves = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    _texts,
)
_values: st.SearchStrategy[Any] = st.recursive(
    _leaves,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(_texts, inner, max_size=4)),
    max_leaves=12,
)


def _odd(right: Any) -> st.SearchStrategy[Any]:
    """Mostly what it should be."""
    return st.one_of(st.just(right), st.just(right), st.just(right), _values)


@st.composite
def _systemone(draw: Any) -> Any:
    kind = draw(st.sampled_from(["choice", "score", "noul"]))
    names = draw(st.lists(_texts, max_size=5))
    right = {"choice": dict.fromkeys(names), "score": names, "noul": {"true": "it is", "false": None}}[kind]
    question = {"type": draw(_odd(kind)), "instructions": draw(_odd("now")), "criteria": draw(_odd(right))}
    questions = dict.fromkeys(draw(st.lists(_texts, max_size=3)), question)
    return {"state": draw(_odd("A room.")), "questions": draw(_odd(questions)), "model": draw(_odd("m"))}


@st.composite
def _decisions(draw: Any) -> Any:
    kind = draw(st.sampled_from(["choice", "score", "predicate"]))
    values = draw(st.lists(_odd("go"), max_size=5))
    question = {
        "type": draw(_odd(kind)),
        "name": draw(_odd("n")),
        "instructions": draw(_odd("now")),
        "choices": draw(_odd([{"value": value} for value in values])),
        "levels": draw(_odd([{"label": value} for value in values])),
    }
    message = {"role": draw(_odd("user")), "content": draw(_odd([{"type": "input_text", "text": "A room."}]))}
    return {"input": draw(_odd([message])), "questions": draw(_odd([question]))}


@st.composite
def _outcomes(draw: Any, decisions: list[str]) -> Any:
    told = {
        "decision": st.one_of(st.sampled_from(decisions), st.sampled_from(decisions), _values),
        "action": st.one_of(st.integers(-1, 3), st.sampled_from(ACTIONS), _values),
        "drawn": st.one_of(st.booleans(), _values),
        "reward": st.one_of(st.integers(-1, 1), st.just(10**400), _values),
        "done": _odd(True),
        "episode": _values,
    }
    names = st.sets(st.sampled_from([*told, "decision", "decision", "reward", "reward"]))
    one = names.flatmap(lambda chosen: st.fixed_dictionaries({name: told[name] for name in sorted(chosen)}))
    return {"outcomes": draw(_odd(draw(st.lists(st.one_of(one, one, one, _values), max_size=4))))}


def check_outcomes(bench: Bench, draw: st.DrawFn) -> None:
    """Draw what came of decisions, tell it, and look at what comes back."""
    server = _server(bench)
    _check(server, draw, {"outcomes": _outcomes(server.decisions)}, OUTCOMES)


def check_requests(bench: Bench, draw: st.DrawFn) -> None:
    """Draw a request, send it, and look at what comes back."""
    _check(_server(bench), draw, {"systemone": _systemone(), "decisions": _decisions()}, PATHS)


def _check(server: _Server, draw: st.DrawFn, kinds: dict[str, st.SearchStrategy[Any]], paths: tuple[str, ...]) -> None:
    """Send a body of one of some kinds, or what is none."""
    kind = draw(st.sampled_from([*kinds, "values", "bytes", "cut"]))
    if kind == "bytes":
        content = draw(st.binary(max_size=200))
    else:
        made = kinds.get(kind, _values)
        content = json.dumps(draw(made)).encode()
        if kind == "cut" and content:
            content = content[: draw(st.integers(0, len(content)))] + draw(st.binary(max_size=3))
    headers = {"Content-Type": draw(st.sampled_from(["application/json"] * 8 + ["text/plain", "multipart/form-data"]))}
    encoding = draw(st.sampled_from([""] * 8 + ["gzip", "zstd", "br", "gzip broken"]))
    if encoding:
        headers["Content-Encoding"] = encoding.partition(" ")[0]
    if encoding == "gzip":
        content = gzip.compress(content)
    check_reply(server.port, draw(st.sampled_from(paths)), content, headers)


def check_reply(port: int, path: str, content: bytes, headers: dict[str, str]) -> None:
    """Send a request; whatever comes back must be an answer, or a refusal in our own shape."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request("POST", path, content, headers)
        response = connection.getresponse()
        body = json.loads(response.read(), parse_constant=lambda name: math.nan)
    finally:
        connection.close()
    assert response.status < 500, (response.status, body, content)
    assert response.getheader("x-request-id")
    if response.status == 200:
        assert body["recorded"] + body["known"] if path in OUTCOMES else body["answers"]
        assert "NaN" not in json.dumps(body)
        return
    assert set(body) == {"error", "detail"}, body
    error = body["error"]
    assert isinstance(error["message"], str)
    assert all(error[name] for name in ("message", "code", "type"))
    assert "Traceback" not in error["message"]
    told = body["detail"][0]["msg"] if response.status == 422 else body["detail"]["message"]
    assert told == error["message"]


@dataclass(frozen=True)
class _Server:
    """A server that records: its port, and the names of some decisions that it answered."""

    port: int
    decisions: list[str]


_RUNNING: list[_Server] = []


def _server(bench: Bench) -> _Server:
    """A server of the bench's own model, started once and ended with this process."""
    if not _RUNNING:
        from twosome import Agent
        from twosome.journal.writing import JournalWriter
        from twosome.serving.loading import identities
        from twosome.serving.recording import Recording, Sampling

        started = threading.Event()

        def run() -> None:
            agents = {"tiny": Agent.load(bench.model)}
            with JournalWriter(bench.folder / "journal.jsonl") as journal:
                recording = Recording(journal, identities(agents, {"tiny": None}))
                with serving(agents, recording=recording, sampling=Sampling()) as server:
                    answers = [server.choose().body["answers"]["next"] for _ in range(3)]
                    _RUNNING.append(_Server(server.port, [answer["x_decision"] for answer in answers]))
                    started.set()
                    threading.Event().wait()

        threading.Thread(target=run, daemon=True).start()
        if not started.wait(120):
            raise AssertionError("the server did not start")
    return _RUNNING[0]
