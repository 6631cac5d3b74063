"""The two formats: how a decision is written as a request, and where its probabilities stand in the answer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from twosome.decision import Decision
from twosome.remote.answers import Answer, checked, parse
from twosome.remote.settings import FormatName, ServerSettings

QUESTION = "action"
"""What the one question of a request is called."""


def request_body(settings: ServerSettings, decision: Decision) -> dict[str, Any]:
    """The request that asks for one decision."""
    return {"model": settings.asked_model, **_WRITERS[settings.spoken](settings, decision)}


def read_answer(spoken: FormatName, decision: Decision, text: str) -> Answer:
    """The answer to a decision, from the text of the server's reply.

    Raises:
        ValueError: If it is not one that can be used; says why.
    """
    reply = parse(text)
    if not isinstance(reply, Mapping) or "answers" not in reply:
        raise ValueError("it has no answers")
    return checked(decision, _READERS[spoken](reply["answers"]), reply.get("model"))


def _write_systemone(settings: ServerSettings, decision: Decision) -> dict[str, Any]:
    question: dict[str, Any] = {"type": "choice"}
    if settings.instruction:
        question["instructions"] = settings.instruction
    question["criteria"] = {action: settings.descriptions.get(action) for action in decision.actions}
    return {"state": decision.prompt, "questions": {QUESTION: question}}


def _write_decisions(settings: ServerSettings, decision: Decision) -> dict[str, Any]:
    question: dict[str, Any] = {"type": "choice", "name": QUESTION}
    if settings.instruction:
        question["instructions"] = settings.instruction
    known = settings.descriptions
    question["choices"] = [
        {"value": action, **({"description": known[action]} if action in known else {})} for action in decision.actions
    ]
    return {"input": decision.prompt, "questions": [question]}


def _read_systemone(answers: Any) -> Iterator[tuple[str, Any]]:
    answer = answers.get(QUESTION) if isinstance(answers, Mapping) else None
    if answer is None or len(answers) != 1:
        raise ValueError(f"its answers are not to the one question {QUESTION!r}")
    probabilities = _choice(answer)
    if not isinstance(probabilities, Mapping):
        raise ValueError("its probabilities are no object of options")
    yield from probabilities.items()


def _read_decisions(answers: Any) -> Iterator[tuple[str, Any]]:
    if not isinstance(answers, list) or len(answers) != 1:
        raise ValueError("its answers are not a list of one, for the one question")
    probabilities = _choice(answers[0])
    if not isinstance(probabilities, list):
        raise ValueError("its probabilities are no list of options")
    for one in probabilities:
        if not isinstance(one, Mapping) or not isinstance(one.get("value"), str):
            raise ValueError(f"{one!r} is no option with its probability")
        yield one["value"], one.get("probability")


def _choice(answer: Any) -> Any:
    """The probabilities of an answer that chose."""
    kind = answer.get("type") if isinstance(answer, Mapping) else None
    if kind == "refusal":
        raise ValueError("the server refused to answer")
    if kind != "choice":
        raise ValueError(f"its answer is of the type {kind!r}, not 'choice'")
    return answer.get("probabilities")


_WRITERS = {"systemone": _write_systemone, "decisions": _write_decisions}
_READERS = {"systemone": _read_systemone, "decisions": _read_decisions}
