"""OpenAI's format: ``POST /v1/decisions``, an input and a list of questions in, a list of answers out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from twosome.deciding.judgement import Judgement
from twosome.formats import questions as core
from twosome.formats.questions import MOST_LEVELS, MOST_OPTIONS, MOST_QUESTIONS, YES_NO, Question, ask
from twosome.formats.refusals import Place, Refusal, dotted
from twosome.formats.strict import text_of

STATUS = 400
"""Of a request that is not what it should be."""
_ELSEWHERE = {"noul": "predicate", "yes_no": "predicate"}
_ROLES = ("user", "developer", "system", "assistant")


def read(body: Any) -> list[Question]:
    """The questions of a request.

    Raises:
        Refusal: If it breaks a rule of the format; the place says where.
    """
    if not isinstance(body, dict):
        raise _wrong((), "invalid_type", "the body must be a JSON object with input and questions", body)
    questions = body.get("questions")
    if "state" in body or isinstance(questions, dict):
        where: Place = ("state",) if "state" in body else ("questions",)
        raise _wrong(where, "wrong_format", "this is a System One request; post it to /v1/systemone")
    if "input" not in body:
        raise _wrong(("input",), "missing_required_parameter", "input is missing: the text or messages to decide about")
    if not isinstance(questions, list):
        code = "missing_required_parameter" if "questions" not in body else "invalid_type"
        raise _wrong(("questions",), code, "questions must be an array", questions)
    if not questions:
        raise _wrong(("questions",), "array_too_short", "questions is empty; ask at least one", questions)
    if len(questions) > MOST_QUESTIONS:
        message = f"{len(questions)} questions are more than {MOST_QUESTIONS}; send several requests"
        raise _wrong(("questions",), "array_too_long", message, questions)
    state = _input(body["input"])
    return [_question(state, index, question) for index, question in enumerate(questions)]


def write(questions: Sequence[Question], judgements: Sequence[Judgement], model: str, trained: bool) -> dict[str, Any]:
    """The body of an answer."""
    tokens = sum(judgement.tokens for judgement in judgements)
    cached = sum(judgement.tokens for judgement in judgements if judgement.remembered)
    return {
        "object": "decision",
        "model": model,
        "answers": [
            {**_answer(question, judgement), **core.extras(question, judgement, trained)}
            for question, judgement in zip(questions, judgements, strict=True)
        ],
        "usage": {
            "input_tokens": tokens,
            "input_tokens_details": {"cached_tokens": cached, "cache_write_tokens": 0},
            "output_tokens": 0,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": tokens,
        },
    }


def _answer(question: Question, judgement: Judgement) -> dict[str, Any]:
    probabilities = judgement.probabilities
    if question.kind == "noul":
        return {"type": "predicate", "name": question.name, "probability": core.yes(question, judgement)}
    if question.kind == "choice":
        return {
            "type": "choice",
            "name": question.name,
            "choice": question.labels[judgement.best],
            "probabilities": [
                {"value": label, "probability": probability}
                for label, probability in zip(question.labels, probabilities, strict=True)
            ],
            "confidence": core.choice_confidence(probabilities),
        }
    return {
        "type": "score",
        "name": question.name,
        "score": core.expected_level(probabilities),
        "probabilities": [
            {"value": level, "label": label, "probability": probability}
            for level, (label, probability) in enumerate(zip(question.labels, probabilities, strict=True))
        ],
        "confidence": core.score_confidence(probabilities),
    }


def _input(given: Any) -> str:
    if isinstance(given, str):
        return given
    if not isinstance(given, list):
        raise _wrong(("input",), "invalid_type", "input must be a text or an array of messages", given)
    if not given:
        raise _wrong(("input",), "array_too_short", "input is empty; send a text or at least one message", given)
    return "\n".join(_message(("input", index), item) for index, item in enumerate(given))


def _message(place: Place, item: Any) -> str:
    if not isinstance(item, dict):
        raise _wrong(place, "invalid_type", "an item of input must be a message with role and content", item)
    if item.get("type", "message") != "message":
        message = "only messages are read; put what a tool was asked and said into a message"
        raise _wrong((*place, "type"), "unsupported_item", message, item["type"])
    if item.get("role") not in _ROLES:
        raise _wrong((*place, "role"), "invalid_value", f"role must be one of {', '.join(_ROLES)}", item.get("role"))
    return _content((*place, "content"), item.get("content"))


def _content(place: Place, content: Any) -> str:
    """A text, or the texts of parts joined by newlines."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        raise _wrong(place, "invalid_type", f"{place[-1]} must be a text or an array of parts", content)
    return "\n".join(_part((*place, index), part) for index, part in enumerate(content))


def _part(place: Place, part: Any) -> str:
    if not isinstance(part, dict):
        raise _wrong(place, "invalid_type", "a part must be an object with a type", part)
    kind = part.get("type")
    if kind in ("input_text", "output_text", "text"):
        if not isinstance(part.get("text"), str):
            raise _wrong((*place, "text"), "invalid_type", "text must be a text", part.get("text"))
        return str(part["text"])
    if kind == "input_json":
        if not isinstance(part.get("data"), dict | list):
            raise _wrong((*place, "data"), "invalid_type", "data must be an object or an array", part.get("data"))
        return text_of(part["data"])
    raise _wrong(
        (*place, "type"), "text_only", "this model reads text only: parts of type input_text or input_json", kind
    )


def _question(state: str, index: int, question: Any) -> Question:
    place: Place = ("questions", index)
    if not isinstance(question, dict):
        raise _wrong(place, "invalid_type", "a question must be an object with a type", question)
    kind, name = question.get("type"), question.get("name")
    if isinstance(kind, str) and kind in _ELSEWHERE:
        message = f"questions of the type {kind} are called {_ELSEWHERE[kind]} here"
        raise _wrong((*place, "type"), "invalid_value", message, kind)
    if kind not in ("predicate", "choice", "score"):
        code = "missing_required_parameter" if "type" not in question else "invalid_value"
        raise _wrong((*place, "type"), code, "type must be choice, score or predicate", kind)
    if name is not None and not isinstance(name, str):
        raise _wrong((*place, "name"), "invalid_type", "name must be a text, null or absent", name)
    told = question.get("instructions")
    instructions = "" if told is None else _content((*place, "instructions"), told)
    if kind == "choice":
        return _choice(state, name, instructions, question.get("choices"), (*place, "choices"))
    if kind == "score":
        return _score(state, name, instructions, question.get("levels"), (*place, "levels"))
    if not instructions.strip():
        message = "a predicate needs instructions: the statement that may be true"
        raise _wrong((*place, "instructions"), "missing_required_parameter", message)
    return ask(name, "noul", state, instructions, YES_NO, place=(*place, "instructions"), status=STATUS)


def _choice(state: str, name: str | None, instructions: str, choices: Any, place: Place) -> Question:
    _list(choices, MOST_OPTIONS, "choices", place)
    values: list[str | bool] = []
    for index, choice in enumerate(choices):
        value = _entry((*place, index), choice, "value")
        if not isinstance(value, str | bool):
            raise _wrong(
                (*place, index, "value"), "invalid_type", "a choice's value must be a text, true or false", value
            )
        values.append(value)
    phrases = [value if isinstance(value, str) else str(value).lower() for value in values]
    for index, phrase in enumerate(phrases):
        if phrase in phrases[:index]:
            how = "" if values[index] in values[:index] else ", once as a boolean and once as a text"
            message = f"{phrase[:60]!r} is there twice{how}; choices must differ in what is said"
            raise _wrong((*place, index, "value"), "duplicate_value", message, values[index])
    return ask(
        name,
        "choice",
        state,
        instructions,
        phrases,
        place=place,
        status=STATUS,
        labels=values,
        ignored=_descriptions(choices, "value"),
    )


def _score(state: str, name: str | None, instructions: str, levels: Any, place: Place) -> Question:
    _list(levels, MOST_LEVELS, "levels", place)
    labels = []
    for index, level in enumerate(levels):
        label = _entry((*place, index), level, "label")
        if not isinstance(label, str):
            raise _wrong((*place, index, "label"), "invalid_type", "a level's label must be a text", label)
        labels.append(label)
    ignored = _descriptions(levels, "label")
    return ask(name, "score", state, instructions, labels, place=place, status=STATUS, ignored=ignored)


def _entry(place: Place, entry: Any, name: str) -> Any:
    if not isinstance(entry, dict):
        raise _wrong(place, "invalid_type", f"expected an object with {name}", entry)
    if name not in entry:
        raise _wrong((*place, name), "missing_required_parameter", f"{name} is missing")
    described = entry.get("description")
    if described is not None and not isinstance(described, str):
        raise _wrong((*place, "description"), "invalid_type", "description must be a text, null or absent", described)
    return entry[name]


def _descriptions(entries: Sequence[dict[str, Any]], name: str) -> list[str]:
    described = any(entry.get("description") for entry in entries)
    return [f"description: the model reads each {name} only"] if described else []


def _list(entries: Any, most: int, what: str, place: Place) -> None:
    if not isinstance(entries, list):
        code = "missing_required_parameter" if entries is None else "invalid_type"
        raise _wrong(place, code, f"{what} must be an array", entries)
    if not entries:
        raise _wrong(place, "array_too_short", f"there are no {what}; give at least one", entries)
    if len(entries) > most:
        message = f"{len(entries)} {what} are more than {most}; give at most {most}"
        raise _wrong(place, "array_too_long", message, entries)


def _wrong(place: Place, code: str, message: str, given: Any = None) -> Refusal:
    where = dotted(place)[:80]
    return Refusal(STATUS, f"{where}: {message}" if where else message, place, code, given)
