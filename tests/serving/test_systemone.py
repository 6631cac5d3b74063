"""System One's format: what is taken, what is refused, with which status, place and sentence."""

from __future__ import annotations

import math
from typing import Any

import pytest

from tests.serving.running import ACTIONS, PROMPT, Running
from twosome import Agent

CHOICE = {"type": "choice", "criteria": {"go": None, "stay": None}}


def ask(server: Running, body: Any) -> Any:
    reply = server.post("/v1/systemone", body)
    assert reply.status == 200, reply.content
    return reply.body


def test_three_kinds_of_questions_are_answered_with_the_policy_s_own_probabilities(
    server: Running, agent: Agent
) -> None:
    levels = ["bad", "fair", "good"]
    body = ask(
        server,
        {
            "state": PROMPT,
            "questions": {
                "next": {"type": "choice", "criteria": dict.fromkeys(ACTIONS)},
                "how": {"type": "score", "criteria": levels},
                "sure": {"type": "noul", "instructions": "are you sure?"},
            },
        },
    )
    assert list(body["answers"]) == ["next", "how", "sure"]
    chosen = agent.decide(PROMPT, ACTIONS)
    answer = body["answers"]["next"]
    assert answer["probabilities"] == chosen
    assert answer["choice"] == max(chosen, key=lambda action: chosen[action])
    assert answer["confidence"] == (3 * max(chosen.values()) - 1) / 2
    rated = list(agent.decide(PROMPT, levels).values())
    answer = body["answers"]["how"]
    assert list(answer["probabilities"].values()) == rated
    assert answer["legend"] == {"0": "bad", "1": "fair", "2": "good"}
    assert answer["score"] == math.fsum(level * p for level, p in enumerate(rated))
    assert body["answers"]["sure"] == {
        **body["answers"]["sure"],
        "type": "noul",
        "noul": agent.decide(f"{PROMPT} are you sure?", ["yes", "no"])["yes"],
    }
    assert not body["answers"]["sure"]["x_trained"]
    assert body["model"] == "embedded"
    assert body["usage"]["output_tokens"] == 0


def test_confidence_of_a_score_is_measured_from_the_most_probable_level(server: Running) -> None:
    body = ask(server, {"state": PROMPT, "questions": {"q": {"type": "score", "criteria": ["bad", "good"]}}})
    answer = body["answers"]["q"]
    p = list(answer["probabilities"].values())
    far = p[1] if p[0] >= p[1] else p[0]  # one level away, and D = 1/2
    assert answer["confidence"] == pytest.approx(max(0, 1 - far / 0.5), abs=1e-15)
    one = ask(server, {"state": PROMPT, "questions": {"q": {"type": "score", "criteria": ["bad"]}}})["answers"]["q"]
    assert (one["confidence"], one["score"], one["probabilities"]) == (1.0, 0.0, {"0": 1.0})


def test_a_noul_reads_the_criterion_where_there_are_no_instructions(server: Running, agent: Agent) -> None:
    def noul(**question: Any) -> dict[str, Any]:
        body = ask(server, {"state": PROMPT, "questions": {"q": {"type": "noul", **question}}})
        answer: dict[str, Any] = body["answers"]["q"]
        return answer

    yes = agent.decide(f"{PROMPT} it burns", ["yes", "no"])["yes"]
    assert noul(instructions="it burns")["noul"] == yes
    assert noul(criteria={"true": "it burns", "false": "it is cold"})["noul"] == yes
    assert noul(criteria={"false": "it burns"})["noul"] == 1 - yes
    both = noul(instructions="it burns", criteria={"true": "it is hot"})
    assert both["noul"] == yes
    assert both["x_ignored"] == ["criteria.true: the model reads instructions only"]


@pytest.mark.parametrize(
    ("state", "instructions", "prompt"),
    [
        ("A room.  ", None, "A room."),
        ("A room.", " Go ", "A room.  Go"),
        ("", "Go", "Go"),
        ({"b": 1, "a": ["ä", None, 1.50]}, "Go", '{"b":1,"a":["ä",null,1.5]} Go'),
        (["x"], {"do": "it"}, '["x"] {"do":"it"}'),
    ],
)
def test_a_prompt_is_the_state_a_space_and_the_instructions(
    state: Any, instructions: Any, prompt: str, server: Running, agent: Agent
) -> None:
    question = {**CHOICE, "instructions": instructions}
    body = ask(server, {"state": state, "questions": {"q": question}})
    assert body["answers"]["q"]["probabilities"] == agent.decide(prompt, ["go", "stay"])


def test_names_come_back_as_they_were_sent(server: Running) -> None:
    names = ["", " ", "\u0000", "ä", "a\u0308", "🍅", "x" * 300, "__proto__"]
    body = ask(server, {"state": "A room.", "questions": dict.fromkeys(names, CHOICE)})
    assert list(body["answers"]) == names


@pytest.mark.parametrize(("options", "status"), [(1, 200), (255, 200), (256, 422), (0, 422)])
def test_the_number_of_options(options: int, status: int, server: Running) -> None:
    reply = server.choose("A room.", [f"go to {number}" for number in range(options)])
    assert reply.status == status
    if status == 200:
        assert len(reply.body["answers"]["next"]["probabilities"]) == options
    else:
        assert reply.body["detail"][0]["loc"] == ["body", "questions", "next", "criteria"]


@pytest.mark.parametrize(("questions", "status"), [(512, 200), (513, 422)])
def test_the_number_of_questions(questions: int, status: int, server: Running) -> None:
    body = {"state": "A room.", "questions": {f"q{number}": CHOICE for number in range(questions)}}
    assert server.post("/v1/systemone", body).status == status


NAN = float("nan")
WRONG: list[tuple[Any, list[Any], str]] = [
    ([], [], "JSON object"),
    ({"questions": {"q": CHOICE}}, ["state"], "state is missing"),
    ({"input": "x", "questions": []}, ["state"], "/v1/decisions"),
    ({"state": None, "questions": {"q": CHOICE}}, ["state"], "text, an object or an array"),
    ({"state": 7, "questions": {"q": CHOICE}}, ["state"], "text, an object or an array"),
    ({"state": "x"}, ["questions"], "an object"),
    ({"state": "x", "questions": []}, ["questions"], "an object"),
    ({"state": "x", "questions": {}}, ["questions"], "at least one"),
    ({"state": "x", "questions": {"q": "y"}}, ["questions", "q"], "an object"),
    ({"state": "x", "questions": {"q": {}}}, ["questions", "q", "type"], "choice, score or noul"),
    ({"state": "x", "questions": {"q": {"type": "rank"}}}, ["questions", "q", "type"], "choice, score or noul"),
    ({"state": "x", "questions": {"q": {"type": "box"}}}, ["questions", "q", "type"], "text only"),
    ({"state": "x", "questions": {"q": CHOICE}, "images": ["a"]}, ["images"], "text only"),
    ({"state": "x", "questions": {"q": CHOICE}, "model": 7}, ["model"], "model must be a text"),
    ({"state": "x", "questions": {"q": {"type": "choice"}}}, ["questions", "q", "criteria"], "each option"),
    ({"state": "x", "questions": {"q": {"type": "choice", "criteria": ["a"]}}}, ["questions", "q", "criteria"], "each"),
    ({"state": "x", "questions": {"q": {**CHOICE, "instructions": 7}}}, ["questions", "q", "instructions"], "null"),
    ({"state": " ", "questions": {"q": {**CHOICE, "instructions": ""}}}, ["questions", "q"], "empty"),
    (
        {"state": "x", "questions": {"q": {"type": "choice", "criteria": {"a": None, "a ": None}}}},
        ["questions", "q", "criteria", "a "],
        "white space",
    ),
    (
        {"state": "x", "questions": {"q": {"type": "choice", "criteria": {"": None}}}},
        ["questions", "q", "criteria", ""],
        "white space",
    ),
    (
        {"state": "x", "questions": {"q": {"type": "choice", "criteria": {"a": 1}}}},
        ["questions", "q", "criteria", "a"],
        "null",
    ),
    ({"state": "x", "questions": {"q": {"type": "score"}}}, ["questions", "q", "criteria"], "array of levels"),
    (
        {"state": "x", "questions": {"q": {"type": "score", "criteria": {"a": "b"}}}},
        ["questions", "q", "criteria"],
        "ar",
    ),
    ({"state": "x", "questions": {"q": {"type": "score", "criteria": []}}}, ["questions", "q", "criteria"], "at least"),
    (
        {"state": "x", "questions": {"q": {"type": "score", "criteria": list("abcdefghijk")}}},
        ["questions", "q", "criteria"],
        "more than 10",
    ),
    (
        {"state": "x", "questions": {"q": {"type": "score", "criteria": ["a", None]}}},
        ["questions", "q", "criteria", 1],
        "not null",
    ),
    (
        {"state": "x", "questions": {"q": {"type": "score", "criteria": ["a", "a"]}}},
        ["questions", "q", "criteria"],
        "twice",
    ),
    ({"state": "x", "questions": {"q": {"type": "noul"}}}, ["questions", "q", "instructions"], "nothing to say yes to"),
    ({"state": "x", "questions": {"q": {"type": "noul", "criteria": []}}}, ["questions", "q", "criteria"], "true"),
    ({"state": "x", "questions": {"q": CHOICE, "r": {"type": "noul"}}}, ["questions", "r", "instructions"], "noul"),
    (b'{"state": "x"', [13], "no JSON"),
    (b"\xff", [], "UTF-8"),
    (b"{} {}", [3], "no JSON"),
    (b'{"state": NaN, "questions": {}}', [], "NaN is not a number"),
    (b'{"state": [-Infinity], "questions": {}}', [], "Infinity is not a number"),
    (b'{"state": [1e999], "questions": {}}', [], "too large"),
    (b'{"state": [' + b"1" * 5000 + b'], "questions": {}}', [], "no JSON"),
    (b'{"state": "x", "state": "y", "questions": {}}', ["state"], "stands twice"),
    (b'{"state": {"a": {"b": 1, "b": 2}}, "questions": {}}', ["state", "a", "b"], "stands twice"),
    (
        b'{"state": "x", "questions": {"q": {"type": "choice", "criteria": {"a": null, "\\u0061": null}}}}',
        ["questions", "q", "criteria", "a"],
        "stands twice",
    ),
    (b'{"state": "\\ud83c", "questions": {}}', ["state"], "half a surrogate pair"),
    (b'{"state": "x", "questions": {"\\udf45": {}}}', ["questions", "\\udf45"], "half a surrogate pair"),
    (b'{"state": ' + b"[" * 100 + b"]" * 100 + b', "questions": {}}', ["state", 0, 0], "nested deeper"),
    (b"[" * 100_000, [], "nested deeper"),
]


@pytest.mark.parametrize(("body", "place", "words"), WRONG, ids=[words for _, _, words in WRONG])
def test_what_is_wrong_is_told_with_its_place(body: Any, place: list[Any], words: str, server: Running) -> None:
    reply = server.post("/v1/systemone", body)
    assert reply.status == 422
    (fault,) = reply.body["detail"]
    assert fault["loc"] == ["body", *place]
    assert words in fault["msg"]
    error = reply.body["error"]
    assert (error["message"], error["code"]) == (fault["msg"], fault["type"])
    assert error["type"] == "invalid_request_error"


def test_255_options_of_one_spelling_but_two_accents_are_two(server: Running) -> None:
    assert server.choose("A room.", ["caf\u00e9", "cafe\u0301"]).status == 200


def test_a_prompt_that_is_too_long_is_refused_with_both_numbers(server: Running) -> None:
    reply = server.choose("word " * 3000, ["go"])
    assert reply.status == 422
    (fault,) = reply.body["detail"]
    assert fault["ctx"]["error_type"] == fault["type"] == "max_tokens_exceeded"
    assert fault["loc"] == ["body", "questions", "next"]
    assert "300" in fault["msg"]
    assert "at most" in fault["msg"]


def test_unknown_fields_are_ignored(server: Running) -> None:
    question = {**CHOICE, "weight": 3, "images": []}
    body = ask(
        server, {"state": "x", "questions": {"q": question}, "model": "jev-latest", "stream": True, "assets": []}
    )
    assert body["model"] == "embedded"
