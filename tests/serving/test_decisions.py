"""OpenAI's format: what is taken, what is refused, with which status, parameter and sentence."""

from __future__ import annotations

from typing import Any

import pytest

from tests.serving.running import ACTIONS, PROMPT, Running
from twosome import Agent

CHOICE = {"type": "choice", "choices": [{"value": "go"}, {"value": "stay"}]}


def ask(server: Running, given: Any, *questions: Any) -> Any:
    reply = server.post("/v1/decisions", {"input": given, "questions": questions})
    assert reply.status == 200, reply.content
    return reply.body


def test_three_kinds_of_questions_are_answered_in_order(server: Running, agent: Agent) -> None:
    body = ask(
        server,
        PROMPT,
        {"type": "choice", "name": "next", "choices": [{"value": action} for action in ACTIONS]},
        {"type": "score", "levels": [{"label": "bad"}, {"label": "good", "description": "very"}]},
        {"type": "predicate", "name": "sure", "instructions": "are you sure?"},
    )
    first, second, third = body["answers"]
    chosen = agent.decide(PROMPT, ACTIONS)
    assert first["name"] == "next"
    assert {each["value"]: each["probability"] for each in first["probabilities"]} == chosen
    rated = list(agent.decide(PROMPT, ["bad", "good"]).values())
    assert second["name"] is None
    assert second["probabilities"] == [
        {"value": 0, "label": "bad", "probability": rated[0]},
        {"value": 1, "label": "good", "probability": rated[1]},
    ]
    assert second["score"] == rated[1]
    assert second["x_ignored"] == ["description: the model reads each label only"]
    assert third["probability"] == agent.decide(f"{PROMPT} are you sure?", ["yes", "no"])["yes"]
    usage = body["usage"]
    assert usage["input_tokens"] == usage["total_tokens"] > 0 == usage["output_tokens"]
    assert usage["output_tokens_details"] == {"reasoning_tokens": 0}
    again = ask(server, PROMPT, {"type": "choice", "choices": [{"value": action} for action in ACTIONS]})
    assert again["usage"]["input_tokens_details"]["cached_tokens"] == again["usage"]["input_tokens"]


def test_booleans_are_spoken_and_come_back_as_booleans(server: Running, agent: Agent) -> None:
    (answer,) = ask(server, PROMPT, {"type": "choice", "choices": [{"value": True}, {"value": False}]})["answers"]
    spoken = agent.decide(PROMPT, ["true", "false"])
    assert answer["probabilities"] == [
        {"value": True, "probability": spoken["true"]},
        {"value": False, "probability": spoken["false"]},
    ]
    assert answer["choice"] is (spoken["true"] >= spoken["false"])


@pytest.mark.parametrize(
    ("given", "prompt"),
    [
        ([{"role": "user", "content": "A room."}], "A room."),
        ([{"role": "system", "content": "Cook."}, {"role": "user", "content": "A room."}], "Cook.\nA room."),
        (
            [
                {
                    "type": "message",
                    "role": "user",
                    "content": [
                        {"type": "input_text", "text": "A room."},
                        {"type": "input_json", "data": {"b": 1, "a": 2}},
                    ],
                },
                {"role": "assistant", "content": [{"type": "output_text", "text": "Well"}]},
            ],
            'A room.\n{"b":1,"a":2}\nWell',
        ),
    ],
)
def test_messages_are_joined_by_newlines(given: Any, prompt: str, server: Running, agent: Agent) -> None:
    (answer,) = ask(server, given, CHOICE)["answers"]
    assert [each["probability"] for each in answer["probabilities"]] == list(
        agent.decide(prompt, ["go", "stay"]).values()
    )


def choices(*values: Any) -> dict[str, Any]:
    return {"input": "x", "questions": [{"type": "choice", "choices": [{"value": value} for value in values]}]}


def question(**given: Any) -> dict[str, Any]:
    return {"input": "x", "questions": [given]}


def message(**given: Any) -> dict[str, Any]:
    return {"input": [given], "questions": [CHOICE]}


WRONG: list[tuple[Any, str | None, str]] = [
    ([], None, "JSON object"),
    ({"state": "x", "questions": {}}, "state", "post it to /v1/systemone"),
    ({"input": "x", "questions": {"q": CHOICE}}, "questions", "post it to /v1/systemone"),
    ({"questions": [CHOICE]}, "input", "input is missing"),
    ({"input": None, "questions": [CHOICE]}, "input", "text or an array"),
    ({"input": [], "questions": [CHOICE]}, "input", "at least one message"),
    ({"input": "x"}, "questions", "must be an array"),
    ({"input": "x", "questions": []}, "questions", "at least one"),
    ({"input": "x", "questions": [CHOICE] * 513}, "questions", "more than 512"),
    ({"input": "x", "questions": [CHOICE, 7]}, "questions[1]", "must be an object"),
    ({"input": " ", "questions": [CHOICE]}, "questions[0]", "empty"),
    ({"input": "x", "questions": [CHOICE], "model": 7}, "model", "must be a text"),
    (message(role="user", content=7), "input[0].content", "text or an array of parts"),
    (message(role="tool", content="x"), "input[0].role", "user, developer"),
    (message(role=["user"], content="x"), "input[0].role", "user, developer"),
    (message(type="function_call", call_id="1", name="f", arguments="{}"), "input[0].type", "only messages"),
    (
        message(role="user", content=[{"type": "input_image", "image_url": "data:"}]),
        "input[0].content[0].type",
        "text only",
    ),
    (message(role="user", content=[{"type": "input_text"}]), "input[0].content[0].text", "must be a text"),
    (message(role="user", content=[{"type": "input_json", "data": 7}]), "input[0].content[0].data", "an object"),
    (question(type="noul", instructions="x"), "questions[0].type", "called predicate here"),
    (question(type="yes_no", instructions="x"), "questions[0].type", "called predicate here"),
    (question(type=["choice"]), "questions[0].type", "choice, score or predicate"),
    (question(), "questions[0].type", "choice, score or predicate"),
    (question(type="predicate"), "questions[0].instructions", "needs instructions"),
    (question(type="predicate", instructions="x", name=7), "questions[0].name", "null or absent"),
    (question(type="choice"), "questions[0].choices", "must be an array"),
    (question(type="choice", choices=[]), "questions[0].choices", "at least one"),
    (question(type="choice", choices=["a"]), "questions[0].choices[0]", "an object with value"),
    (question(type="choice", choices=[{}]), "questions[0].choices[0].value", "missing"),
    (
        question(type="choice", choices=[{"value": "a", "description": 7}]),
        "questions[0].choices[0].description",
        "text",
    ),
    (choices(1, 2), "questions[0].choices[0].value", "a text, true or false"),
    (choices("a", "a"), "questions[0].choices[1].value", "twice"),
    (choices(True, "true"), "questions[0].choices[1].value", "once as a boolean"),
    (choices("a", " b"), "questions[0].choices. b", "white space"),
    (choices(*(f"go {number}" for number in range(256))), "questions[0].choices", "more than 255"),
    (question(type="score", levels=[{"label": f"l{n}"} for n in range(11)]), "questions[0].levels", "more than 10"),
    (question(type="score", levels=[{"label": 7}]), "questions[0].levels[0].label", "must be a text"),
    (question(type="score", levels=[{"label": "a"}, {"label": "a"}]), "questions[0].levels", "twice"),
    (question(type="score", criteria=["a"]), "questions[0].levels", "must be an array"),
    (b"[", "[1]", "no JSON"),
    (b'{"input": "x", "input": "y"}', "input", "stands twice"),
]


@pytest.mark.parametrize(("body", "param", "words"), WRONG, ids=[f"{param} {words}" for _, param, words in WRONG])
def test_what_is_wrong_is_told_with_its_parameter(body: Any, param: str | None, words: str, server: Running) -> None:
    reply = server.post("/v1/decisions", body)
    assert reply.status == 400
    error = reply.body["error"]
    assert error["param"] == param
    assert words in error["message"]
    assert error["type"] == "invalid_request_error"
    assert reply.body["detail"] == {"error_type": "api_usage_error", "message": error["message"]}


@pytest.mark.parametrize("count", [1, 255])
def test_the_number_of_choices(count: int, server: Running) -> None:
    body = server.post("/v1/decisions", choices(*(f"go to {number}" for number in range(count)))).body
    assert len(body["answers"][0]["probabilities"]) == count


def test_a_prompt_that_is_too_long_is_a_400_here(server: Running) -> None:
    reply = server.post("/v1/decisions", {"input": "word " * 3000, "questions": [CHOICE]})
    assert (reply.status, reply.body["error"]["code"]) == (400, "max_tokens_exceeded")
    assert reply.body["detail"]["error_type"] == "max_tokens_exceeded"
