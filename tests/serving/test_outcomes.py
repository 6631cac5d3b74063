"""Decisions that are recorded, actions that are drawn, and outcomes that are told: over HTTP."""

from __future__ import annotations

import json
import os
import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.serving.running import ACTIONS, PROMPT, Reply, Running, serving
from twosome import Agent
from twosome.errors import RunError
from twosome.journal.reading import read_journal
from twosome.journal.writing import JournalWriter
from twosome.serving.loading import identities
from twosome.serving.recording import Recording, Sampling


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("recorded") / "journal.jsonl"


@pytest.fixture(scope="module")
def recorded(agent: Agent, place: Path) -> Iterator[Running]:
    """A server that records and draws."""
    agents = {"embedded": agent}
    with JournalWriter(place) as journal:
        recording = Recording(journal, identities(agents, {"embedded": None}))
        with serving(agents, recording=recording, sampling=Sampling(7)) as running:
            yield running


def tell(server: Running, *outcomes: Any) -> Reply:
    return server.post("/v1/outcomes", {"outcomes": list(outcomes)})


def answered(server: Running) -> Any:
    return server.choose().body["answers"]["next"]


def test_every_answer_is_recorded_as_it_was_given(recorded: Running, place: Path, agent: Agent) -> None:
    body = {
        "state": PROMPT,
        "questions": {
            "next": {"type": "choice", "criteria": dict.fromkeys(ACTIONS)},
            "sure": {"type": "noul", "instructions": "Is it so?"},
        },
    }
    reply = recorded.post("/v1/systemone", body).body
    contents = read_journal(place)
    for number, (name, answer) in enumerate(reply["answers"].items()):
        assert answer["x_decision"] == f"{reply['x_id']}:{number}"
        line = contents.decisions[answer["x_decision"]]
        assert (line.agent, line.identity.model, line.identity.adapter) == ("embedded", "embedded", None)
        assert (line.identity.normalization, line.identity.temperature) == ("word", 1.0)
        expected = agent.decide(line.decision.prompt, line.decision.actions)
        assert [pytest.approx(p, abs=1e-12) for p in expected.values()] == [
            2.718281828459045**x for x in line.log_probs
        ]
        assert answer["x_action"] == line.decision.actions[line.sampled or 0]
        assert answer["x_propensity"] == expected[answer["x_action"]]
        if name == "next":
            assert line.decision.prompt == PROMPT
            assert answer["choice"] == line.decision.actions[line.best]


def test_openai_clients_get_the_same(recorded: Running) -> None:
    question = {"type": "choice", "choices": [{"value": True}, {"value": "stay"}]}
    reply = recorded.post("/v1/decisions", {"input": PROMPT, "questions": [question, question]}).body
    assert [answer["x_decision"] for answer in reply["answers"]] == [f"{reply['x_id']}:{n}" for n in (0, 1)]
    assert all(answer["x_action"] in ("true", "stay") for answer in reply["answers"])


def test_an_action_is_drawn_by_its_probability_and_can_be_drawn_again() -> None:
    probabilities, sampling = (0.5, 0.0, 0.3, 0.2, 0.0), Sampling(3)
    drawn = [sampling.draw(f"request:{number}", probabilities) for number in range(4000)]
    assert drawn == [Sampling(3).draw(f"request:{number}", probabilities) for number in range(4000)]
    assert drawn != [Sampling(4).draw(f"request:{number}", probabilities) for number in range(4000)]
    for action, probability in enumerate(probabilities):
        assert (
            abs(drawn.count(action) / 4000 - probability) < 4 * (probability * (1 - probability) / 4000) ** 0.5 + 1e-9
        )


def test_an_outcome_is_kept_with_who_chose(recorded: Running, place: Path) -> None:
    first, second, third = answered(recorded), answered(recorded), answered(recorded)
    other = next(number for number, action in enumerate(ACTIONS) if action != second["x_action"])
    reply = tell(
        recorded,
        {"decision": first["x_decision"], "reward": 1, "done": True},
        {"decision": second["x_decision"], "action": other, "reward": -0.5},
        {"decision": third["x_decision"], "action": ACTIONS[1], "drawn": True, "reward": 0.25},
    )
    assert (reply.status, reply.body["recorded"], reply.body["known"]) == (200, 3, 0)
    told = read_journal(place).outcomes
    kept = [told[answer["x_decision"]] for answer in (first, second, third)]
    assert [(one.chosen, one.reward) for one in kept] == [("sampled", 1.0), ("client", -0.5), ("drawn", 0.25)]
    assert [ACTIONS[one.action] for one in kept] == [first["x_action"], ACTIONS[other], ACTIONS[1]]


def test_without_a_draw_the_choice_was_certain(agent: Agent, tmp_path: Path) -> None:
    agents = {"a": agent}
    with (
        JournalWriter(tmp_path / "j") as journal,
        serving(agents, recording=Recording(journal, identities(agents, {"a": None}))) as running,
    ):
        answer = answered(running)
        assert "x_action" not in answer
        assert tell(running, {"decision": answer["x_decision"], "reward": 1}).status == 200
        outcome = read_journal(tmp_path / "j").outcomes[answer["x_decision"]]
        assert (outcome.chosen, ACTIONS[outcome.action]) == ("best", answer["choice"])


def test_the_same_again_is_known_and_another_is_a_conflict(recorded: Running, place: Path) -> None:
    name, other = answered(recorded)["x_decision"], answered(recorded)["x_decision"]
    outcome = {"decision": name, "reward": 1}
    assert tell(recorded, outcome, outcome).body["recorded"] == 1
    again = tell(recorded, outcome, {**outcome, "done": True}).body
    assert (again["recorded"], again["known"]) == (0, 2)
    for conflict in ({**outcome, "reward": 0}, {**outcome, "action": _another(read_journal(place), name)}):
        reply = tell(recorded, {"decision": other, "reward": 1}, conflict)
        assert (reply.status, reply.body["error"]["code"]) == (409, "conflict")
        assert reply.body["error"]["param"] == "outcomes[1]"
        assert "was told before, with the reward 1" in reply.message
    assert other not in read_journal(place).outcomes


def _another(contents: Any, name: str) -> int:
    return int(contents.outcomes[name].action == 0)


@pytest.mark.parametrize(
    ("outcome", "status", "words"),
    [
        ({"decision": "req_0:0", "reward": 1}, 404, "no decision of this name was recorded"),
        ({"reward": 1}, 422, "x_decision"),
        ({"decision": 7, "reward": 1}, 422, "x_decision"),
        ({"decision": "NAME"}, 422, "reward must be a number"),
        ({"decision": "NAME", "reward": "1"}, 422, "reward must be a number"),
        ({"decision": "NAME", "reward": True}, 422, "reward must be a number"),
        ({"decision": "NAME", "reward": 10**400}, 422, "another unit"),
        ({"decision": "NAME", "reward": -1e10}, 422, "another unit"),
        ({"decision": "NAME", "reward": 1, "action": 3}, 422, "a number from 0 to 2"),
        ({"decision": "NAME", "reward": 1, "action": -1}, 422, "a number from 0 to 2"),
        ({"decision": "NAME", "reward": 1, "action": True}, 422, "a number from 0 to 2"),
        ({"decision": "NAME", "reward": 1, "action": "fly away"}, 422, "no such action"),
        ({"decision": "NAME", "reward": 1, "drawn": True}, 422, "name it as action"),
        ({"decision": "NAME", "reward": 1, "drawn": "yes"}, 422, "true or false"),
        ({"decision": "NAME", "reward": 1, "done": False}, 422, "episodes are of one decision"),
        ({"decision": "NAME", "reward": 1, "next": "x"}, 422, "episodes are of one decision"),
        ({"decision": "NAME", "reward": 1, "x_episode": "x"}, 422, "episodes are of one decision"),
        ({"decision": "NAME", "reward": 1, "note": "x"}, 422, "no such field"),
        ([], 422, "an outcome must be an object"),
    ],
)
def test_an_outcome_that_is_none_is_refused_and_nothing_is_kept(
    outcome: Any, status: int, words: str, recorded: Running, place: Path
) -> None:
    good, name = answered(recorded)["x_decision"], answered(recorded)["x_decision"]
    if isinstance(outcome, dict) and outcome.get("decision") == "NAME":
        outcome = {**outcome, "decision": name}
    reply = tell(recorded, {"decision": good, "reward": 1}, outcome)
    assert reply.status == status
    assert words in reply.message
    assert "outcomes[1]" in reply.body["error"]["param"]
    assert good not in read_journal(place).outcomes


@pytest.mark.parametrize(
    "body", [[], {}, {"outcomes": {}}, {"outcomes": []}, {"outcomes": [{}] * 513}, {"outcomes": [], "more": 1}, "x", 1]
)
def test_a_body_that_is_none_is_refused(body: Any, recorded: Running) -> None:
    reply = recorded.post("/v1/outcomes", body)
    assert reply.status == 422
    assert "outcomes" in reply.message


def test_odd_bodies_are_never_our_fault(recorded: Running) -> None:
    lot, name = random.Random(5), answered(recorded)["x_decision"]
    pieces = [name, "", None, True, 0, -1, 1e308, 10**40, [], {}, "\u0000", "next", [[]], {"decision": name}]
    for _ in range(150):
        fields = lot.sample(["decision", "action", "reward", "done", "drawn", "next", "\u00e9"], lot.randint(0, 5))
        outcome: Any = {field: lot.choice(pieces) for field in fields}
        body = lot.choice([{"outcomes": [outcome]}, {"outcomes": outcome}, [outcome], {"outcomes": [outcome, 1]}])
        assert recorded.post("/outcomes", body).status < 500
    for content in (b"", b"{", b'{"outcomes": [NaN]}', b'{"a": 1, "a": 2}', b"[" * 5000, b'"\\ud800"', b"\xff"):
        assert recorded.post("/v1/outcomes", content).status == 422
    assert recorded.send("GET", "/v1/outcomes").status == 405
    assert recorded.send("POST", "/v1/outcomes", b"{}", {"Content-Type": "text/plain"}).status == 415


def test_many_clients_at_once_lose_nothing(recorded: Running, place: Path) -> None:
    def client(number: int) -> tuple[str, float]:
        name, reward = answered(recorded)["x_decision"], float(number)
        assert tell(recorded, {"decision": name, "reward": reward}).status == 200
        return name, reward

    with ThreadPoolExecutor(8) as pool:
        told = list(pool.map(client, range(40)))
    contents = read_journal(place)
    assert len({name for name, _ in told}) == 40
    assert {name: contents.outcomes[name].reward for name, _ in told} == dict(told)


def test_the_log_holds_no_text_and_no_reward(recorded: Running) -> None:
    secret = "Nobody should ever read this sentence"
    name = recorded.choose(secret).body["answers"]["next"]["x_decision"]
    tell(recorded, {"decision": name, "reward": 0.123456, "action": secret})
    tell(recorded, {"decision": name, "reward": 0.123456})
    assert secret not in json.dumps(recorded.lines)
    assert "0.123456" not in json.dumps(recorded.lines)


def test_who_records_nothing_takes_no_outcomes(server: Running) -> None:
    reply = tell(server, {"decision": "a:0", "reward": 1})
    assert reply.status == 404
    assert "--record" in reply.message
    assert "x_decision" not in answered(server)


def test_the_key_guards_outcomes_too(agent: Agent, tmp_path: Path) -> None:
    agents = {"a": agent}
    with (
        JournalWriter(tmp_path / "j") as journal,
        serving(agents, key="k", recording=Recording(journal, identities(agents, {"a": None}))) as running,
    ):
        assert tell(running, {"decision": "a:0", "reward": 1}).status == 401


def test_what_cannot_be_recorded_is_not_answered(agent: Agent, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    agents = {"a": agent}
    with (
        JournalWriter(tmp_path / "j") as journal,
        serving(agents, recording=Recording(journal, identities(agents, {"a": None}))) as running,
    ):
        name = answered(running)["x_decision"]

        def full(*_: Any) -> int:
            raise OSError(28, os.strerror(28))

        monkeypatch.setattr("twosome.journal.writing.os.write", full)
        refused = running.choose("another state"), tell(running, {"decision": name, "reward": 1})
        monkeypatch.undo()
        assert [reply.status for reply in refused] == [503, 503]
        assert all("is the disk full?" in reply.message for reply in refused)
        assert tell(running, {"decision": name, "reward": 1}).status == 200
    assert list(read_journal(tmp_path / "j").decisions) == [name]


def test_a_disk_that_does_not_take_an_outcome_does_not_confirm_it(
    agent: Agent, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    agents = {"a": agent}
    with (
        JournalWriter(tmp_path / "j") as journal,
        serving(agents, recording=Recording(journal, identities(agents, {"a": None}))) as running,
    ):

        def broken() -> None:
            raise RunError("cannot write the journal")

        name = answered(running)["x_decision"]
        monkeypatch.setattr(journal, "sync", broken)
        assert tell(running, {"decision": name, "reward": 1}).status == 503
        monkeypatch.undo()
        assert tell(running, {"decision": name, "reward": 1}).body["known"] == 1
