"""System One's format: ``POST /v1/systemone``, a state and named questions in, named answers out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from twosome.deciding.judgement import Judgement
from twosome.formats import questions as core
from twosome.formats.questions import MOST_LEVELS, MOST_OPTIONS, MOST_QUESTIONS, YES_NO, Question, ask
from twosome.formats.refusals import Place, wrong
from twosome.formats.strict import text_of

STATUS = 422
"""Of a request that is not what it should be."""


def read(body: Any) -> list[Question]:
    """The questions of a request.

    Raises:
        Refusal: If it breaks a rule of the format; the place says where.
    """
    if not isinstance(body, dict):
        raise wrong((), "object_type", "the body must be a JSON object with state and questions", body)
    for name in ("images", "assets"):
        if body.get(name):
            raise wrong((name,), "text_only", f"this model reads text only; leave out {name}", body[name])
    if "state" not in body and "input" in body:
        raise wrong(("state",), "missing", "this is an OpenAI Decisions request; post it to /v1/decisions")
    if "state" not in body:
        raise wrong(("state",), "missing", "state is missing: the text, object or array to decide about")
    if not isinstance(body["state"], str | dict | list):
        raise wrong(("state",), "text_type", "state must be a text, an object or an array", body["state"])
    questions = body.get("questions")
    if not isinstance(questions, dict):
        code = "missing" if "questions" not in body else "object_type"
        raise wrong(("questions",), code, "questions must be an object: a question under each name", questions)
    if not questions:
        raise wrong(("questions",), "too_short", "questions is empty; ask at least one", questions)
    if len(questions) > MOST_QUESTIONS:
        message = f"{len(questions)} questions are more than {MOST_QUESTIONS}; send several requests"
        raise wrong(("questions",), "too_long", message, questions)
    state = text_of(body["state"])
    return [_question(state, name, question) for name, question in questions.items()]


def write(questions: Sequence[Question], judgements: Sequence[Judgement], model: str, trained: bool) -> dict[str, Any]:
    """The body of an answer."""
    return {
        "model": model,
        "answers": {
            str(question.name): {**_answer(question, judgement), **core.extras(question, judgement, trained)}
            for question, judgement in zip(questions, judgements, strict=True)
        },
        "usage": {"input_tokens": sum(judgement.tokens for judgement in judgements), "output_tokens": 0},
    }


def _answer(question: Question, judgement: Judgement) -> dict[str, Any]:
    probabilities = judgement.probabilities
    if question.kind == "noul":
        return {"type": "noul", "noul": core.yes(question, judgement)}
    if question.kind == "choice":
        return {
            "type": "choice",
            "choice": question.labels[judgement.best],
            "probabilities": dict(zip(question.labels, probabilities, strict=True)),
            "confidence": core.choice_confidence(probabilities),
        }
    return {
        "type": "score",
        "score": core.expected_level(probabilities),
        "legend": {str(level): label for level, label in enumerate(question.labels)},
        "probabilities": {str(level): probability for level, probability in enumerate(probabilities)},
        "confidence": core.score_confidence(probabilities),
    }


def _question(state: str, name: str, question: Any) -> Question:
    place: Place = ("questions", name)
    if not isinstance(question, dict):
        raise wrong(place, "object_type", "a question must be an object with a type", question)
    kind = question.get("type")
    if kind == "box":
        raise wrong(
            (*place, "type"), "text_only", "questions of the type box are about images; this model reads text only"
        )
    if kind not in ("noul", "choice", "score"):
        code = "missing" if "type" not in question else "literal_error"
        raise wrong((*place, "type"), code, "type must be choice, score or noul", kind)
    for what in ("images", "assets"):
        if question.get(what):
            raise wrong((*place, what), "text_only", f"this model reads text only; leave out {what}")
    instructions = _text((*place, "instructions"), question.get("instructions"))
    criteria, where = question.get("criteria"), (*place, "criteria")
    if kind == "choice":
        return _choice(state, name, instructions, criteria, where)
    if kind == "score":
        return _score(state, name, instructions, criteria, where)
    return _noul(state, name, instructions, criteria, where)


def _choice(state: str, name: str, instructions: str, criteria: Any, place: Place) -> Question:
    if not isinstance(criteria, dict):
        message = "criteria of a choice must be an object: each option with its description, or null"
        raise wrong(place, "object_type" if criteria is not None else "missing", message, criteria)
    _count(criteria, MOST_OPTIONS, "options", place)
    described = [option for option, text in criteria.items() if _text((*place, option), text)]
    ignored = ["descriptions of options: the model reads their names only"] if described else []
    options = list(criteria)
    return ask(
        name, "choice", state, instructions, options, place=place, status=STATUS, labels=options, ignored=ignored
    )


def _score(state: str, name: str, instructions: str, criteria: Any, place: Place) -> Question:
    if not isinstance(criteria, list):
        message = "criteria of a score must be an array of levels, from the lowest to the highest"
        raise wrong(place, "list_type" if criteria is not None else "missing", message, criteria)
    _count(criteria, MOST_LEVELS, "levels", place)
    for index, level in enumerate(criteria):
        if level is None:
            raise wrong((*place, index), "text_type", "a level must be a text, an object or an array, not null")
        _text((*place, index), level)
    phrases = [text_of(level) for level in criteria]
    return ask(name, "score", state, instructions, phrases, place=place, status=STATUS, labels=criteria)


def _noul(state: str, name: str, instructions: str, criteria: Any, place: Place) -> Question:
    if criteria is not None and not isinstance(criteria, dict):
        raise wrong(place, "object_type", "criteria of a noul must be an object with true, false or both", criteria)
    texts = {case: _text((*place, case), (criteria or {}).get(case)) for case in ("true", "false")}
    given = [case for case, text in texts.items() if text]
    if not instructions and not given:
        message = "a noul needs instructions, or a criterion for true or for false: there is nothing to say yes to"
        raise wrong((*place[:-1], "instructions"), "missing", message)
    shown = "instructions" if instructions else given[0]
    ignored = [f"criteria.{case}: the model reads {shown} only" for case in given if case != shown]
    return ask(
        name,
        "noul",
        state,
        instructions or texts[given[0]],
        YES_NO,
        place=place,
        status=STATUS,
        inverted=shown == "false",
        ignored=ignored,
    )


def _text(place: Place, value: Any) -> str:
    """What a text, object or array says; "" for null."""
    if value is None:
        return ""
    if not isinstance(value, str | dict | list):
        raise wrong(place, "text_type", f"{place[-1]} must be a text, an object, an array or null", value)
    return text_of(value)


def _count(entries: Any, most: int, what: str, place: Place) -> None:
    if not entries:
        raise wrong(place, "too_short", f"there are no {what}; give at least one", entries)
    if len(entries) > most:
        raise wrong(place, "too_long", f"{len(entries)} {what} are more than {most}; give at most {most}", entries)
