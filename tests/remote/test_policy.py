"""What is asked, what becomes of the answers, and what is kept of them."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.remote.stub import Stub
from twosome.decision import Decision
from twosome.errors import ConfigError, RemoteError
from twosome.remote import RemotePolicy, ServerSettings

FORK = Decision("You are at a fork. You should now", ("go left", "go on"))  # lengths 7 and 5
LADDER = Decision("You see a ladder. You should now", ("climb", "go", "sit"))  # lengths 5, 2 and 3
ALONE = Decision("You see a door. You should now", ("open the door",))


def policy(stub: Stub, **settings: Any) -> RemotePolicy:
    return RemotePolicy(ServerSettings(stub.url, **{"decimals": 2, **settings}))


def probabilities(stub: Stub, *decisions: Decision, **settings: Any) -> list[list[float]]:
    log_probs = policy(stub, **settings).action_log_probs(decisions)
    return [row[: len(d.actions)].exp().tolist() for row, d in zip(log_probs, decisions, strict=True)]


@pytest.mark.parametrize("format", ["systemone", "decisions"])
def test_probabilities_are_those_of_the_server(stub: Stub, format: str) -> None:
    log_probs = policy(stub, format=format).action_log_probs([FORK, LADDER, ALONE])
    assert log_probs.dtype == torch.float32
    assert log_probs.exp()[0].tolist() == pytest.approx([7 / 12, 5 / 12, 0])
    assert log_probs.exp()[1].tolist() == pytest.approx([0.5, 0.2, 0.3])
    assert log_probs[2].tolist() == [0.0, -math.inf, -math.inf]


def test_a_systemone_request_is_the_prompt_whole_a_neutral_question_and_null_descriptions(stub: Stub) -> None:
    probabilities(stub, FORK)
    question = {"type": "choice", "instructions": "What should you do now?"}
    question["criteria"] = {"go left": None, "go on": None}  # type: ignore[assignment]
    assert stub.requests == [{"model": "jev-latest", "state": FORK.prompt, "questions": {"action": question}}]
    assert stub.paths == ["/v1/systemone"]


def test_a_decisions_request_is_the_same_in_the_other_format(stub: Stub) -> None:
    probabilities(stub, FORK, format="decisions")
    question = {"type": "choice", "name": "action", "instructions": "What should you do now?"}
    question["choices"] = [{"value": "go left"}, {"value": "go on"}]  # type: ignore[assignment]
    assert stub.requests == [{"model": "gpt-6-luna", "input": FORK.prompt, "questions": [question]}]
    assert stub.paths == ["/v1/decisions"]


def test_framing_is_a_setting_and_another_framing_is_asked_anew(stub: Stub) -> None:
    probabilities(stub, FORK)
    probabilities(stub, FORK, instruction="Where to?", descriptions={"go on": "straight ahead"}, model="m")
    probabilities(stub, FORK, instruction="")
    first, second, third = stub.requests
    assert first["questions"]["action"]["instructions"] == "What should you do now?"
    assert second["questions"]["action"]["instructions"] == "Where to?"
    assert second["questions"]["action"]["criteria"] == {"go left": None, "go on": "straight ahead"}
    assert second["model"] == "m"
    assert "instructions" not in third["questions"]["action"]


@pytest.mark.parametrize(
    ("address", "path"),
    [
        ("", "/v1/systemone"),
        ("/", "/v1/systemone"),
        ("/v1", "/v1/systemone"),
        ("/v1/systemone", "/v1/systemone"),
        ("/api/alpha/decisions", "/api/alpha/decisions"),
        ("/inference/v1/", "/inference/v1/systemone"),
    ],
)
def test_an_address_may_be_a_base_with_or_without_version_or_a_route(stub: Stub, address: str, path: str) -> None:
    RemotePolicy(ServerSettings(stub.url + address, decimals=2)).action_log_probs([FORK])
    assert stub.paths == [path]
    assert ("input" in stub.requests[0]) == path.endswith("decisions")


def test_every_distinct_decision_is_asked_once_and_one_of_a_single_option_never(stub: Stub) -> None:
    asking = policy(stub)
    for _ in range(2):
        asking.action_log_probs([FORK, ALONE, LADDER, FORK])
    assert sorted(stub.asked()) == sorted([FORK.prompt, LADDER.prompt])
    assert asking.facts()["requests"] == 2


def test_another_process_finds_the_answers(stub: Stub) -> None:
    first = policy(stub).action_log_probs([FORK, LADDER])
    again = policy(stub)
    assert torch.equal(again.action_log_probs([FORK, LADDER]), first)
    assert len(stub.requests) == 2
    facts = again.facts()
    assert (facts["from_disk"], facts["requests"], facts["answers"]) == (2, 0, 2)
    assert facts["answered_by"] == ["stub-1"]


def test_a_kept_answer_that_was_damaged_is_asked_anew(stub: Stub) -> None:
    asking = policy(stub)
    asking.action_log_probs([FORK])
    (kept,) = Path(asking.facts()["kept_in"]).glob("*.json")
    record = json.loads(kept.read_text())
    for damage in ("", kept.read_text()[:-9], json.dumps(record | {"reply": "{}"}), "[]"):
        kept.write_text(damage)
        assert probabilities(stub, FORK)[0] == pytest.approx([7 / 12, 5 / 12])
    assert len(stub.requests) == 5


def test_answers_that_cannot_be_kept_end_the_run(stub: Stub, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file where the folder should be")
    with pytest.raises(RemoteError, match=r"cannot be kept in .*TWOSOME_CACHE"):
        probabilities(stub, FORK)


def test_answers_of_two_models_are_not_mixed(stub: Stub) -> None:
    probabilities(stub, FORK)
    stub.model = "stub-2"
    with pytest.raises(RemoteError, match=r"stub-1 and stub-2; delete '.*answers"):
        probabilities(stub, FORK, LADDER)


def test_zeros_of_a_server_with_two_decimals_become_half_its_last_digit(stub: Stub) -> None:
    stub.probabilities = lambda state, options: [0.99, 0.01, 0.0]
    found = probabilities(stub, LADDER, decimals=None)[0]
    assert found == pytest.approx([0.99 / 1.005, 0.01 / 1.005, 0.005 / 1.005])


def test_the_decimals_of_a_server_are_not_guessed_from_an_answer_of_one_and_zero(stub: Stub) -> None:
    def rounded(state: str, options: Any) -> list[float]:
        return [1.0, 0.0, 0.0] if state == LADDER.prompt else [0.1234, 0.8766]

    stub.probabilities = rounded
    asking = policy(stub, decimals=None)
    found = asking.action_log_probs([LADDER]).exp()[0].tolist()
    assert found == pytest.approx([1 / 1.0001, 0.00005 / 1.0001, 0.00005 / 1.0001], rel=1e-5)
    facts = asking.facts()
    assert (facts["decimals"], facts["rounded_to_zero"], facts["options"]) == (4, 2, 3)
    assert (facts["answers"], facts["requests"]) == (1, 2)  # one more, about the decimals


def test_the_question_about_decimals_keeps_to_the_options_that_the_server_takes(stub: Stub) -> None:
    probabilities(stub, FORK, decimals=None, options=3)
    assert sorted(len(body["questions"]["action"]["criteria"]) for body in stub.requests) == [2, 3]


def test_a_zero_beside_a_tiny_number_stays_the_smaller(stub: Stub) -> None:
    stub.probabilities = lambda state, options: [1.0, 1e-300, 0.0]
    log_probs = policy(stub, decimals=None).action_log_probs([LADDER])[0].tolist()
    assert log_probs == pytest.approx([0.0, math.log(1e-300), math.log(0.5) - 300 * math.log(10)])


def test_sums_are_made_one_and_told(stub: Stub) -> None:
    stub.probabilities = lambda state, options: [0.52, 0.2, 0.31]
    asking = policy(stub)
    assert asking.action_log_probs([LADDER]).exp()[0].tolist() == pytest.approx([0.52 / 1.03, 0.2 / 1.03, 0.31 / 1.03])
    assert asking.facts()["sum"] == pytest.approx([1.03, 1.03])


def test_more_options_than_the_server_takes_are_refused_before_any_is_asked(stub: Stub) -> None:
    with pytest.raises(ConfigError, match=r"3 options, and the server takes 2 \(--server-options\)"):
        probabilities(stub, FORK, LADDER, options=2)
    assert stub.requests == []


def test_several_requests_are_under_way_and_no_more_than_that(stub: Stub) -> None:
    stub.delay = 0.05
    decisions = [Decision(f"This is place {place}. You should", ("go", "stay")) for place in range(12)]
    found = probabilities(stub, *decisions, in_flight=3)
    assert stub.most_running == 3
    assert found == [pytest.approx([2 / 6, 4 / 6])] * 12


def test_the_key_is_sent_from_the_environment_and_written_nowhere(
    stub: Stub, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("TWOSOME_SERVER_KEY", "sesame")
    asking = policy(stub)
    asking.action_log_probs([FORK])
    assert stub.headers[0]["authorization"] == "Bearer sesame"
    assert "sesame" not in json.dumps(asking.facts())
    assert not [file for file in tmp_path.rglob("*.json") if "sesame" in file.read_text()]


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"url": "localhost:80"}, "no address"),
        ({"url": "http://"}, "no address"),
        ({"url": "http://h:port"}, "no address"),
        ({"url": "http://me:secret@h"}, "must not hold a key"),
        ({"url": "http://h/v1?key=1"}, "leave out what follows"),
        ({"format": "chat"}, "systemone or decisions"),
        ({"url": "http://h/v1/decisions", "format": "systemone"}, "is a route of 'decisions'"),
        ({"in_flight": 0}, "in_flight .* at least 1"),
        ({"timeout": math.nan}, "timeout"),
        ({"decimals": 0}, "decimals"),
    ],
)
def test_settings_that_cannot_be_are_refused(settings: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint):
        ServerSettings(**{"url": "http://h", **settings})
