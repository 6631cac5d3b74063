"""What the server understands, as an OpenAPI document and as a page."""

from __future__ import annotations

import html
import json
from importlib.metadata import version
from typing import Any

from twosome.formats.questions import MOST_LEVELS, MOST_OPTIONS, MOST_QUESTIONS
from twosome.serving.outcomes import MOST_OUTCOMES

_TEXT = {"anyOf": [{"type": "string"}, {"type": "object"}, {"type": "array"}]}
_OPTIONAL_TEXT = {"anyOf": [*_TEXT["anyOf"], {"type": "null"}]}
_PROBABILITY = {"type": "number", "minimum": 0, "maximum": 1}
_EXTRAS = {
    "x_logits": {
        "type": "object",
        "additionalProperties": {"type": ["number", "null"]},
        "description": "The policy's logits by phrase: log-probabilities after its normalisation.",
    },
    "x_label_mass": {
        **_PROBABILITY,
        "description": "How probable it is that the model goes on with one of the phrases at all.",
    },
    "x_trained": {"type": "boolean", "description": "Whether practice taught the agent this kind of question."},
    "x_value": {"type": "number", "description": "What the critic expects from here, where there is a critic."},
    "x_cut_tokens": {"type": "integer", "description": "Tokens of the prompt that the model did not read."},
    "x_decision": {"type": "string", "description": "Name of the decision for /v1/outcomes; where it is recorded."},
    "x_action": {"type": "string", "description": "The phrase that the server drew; where it samples."},
    "x_propensity": {**_PROBABILITY, "description": "How probable x_action was."},
    "x_ignored": {"type": "array", "items": {"type": "string"}, "description": "Parts that no model was shown."},
}


def document(agents: list[str], most_bytes: int, *, secured: bool) -> dict[str, Any]:
    """The OpenAPI document of a server."""
    errors = {
        str(status): {"description": text, "content": _json({"$ref": "#/components/schemas/Error"})}
        for status, text in _ERRORS.items()
    }

    def ask(format_: str, wrong: int) -> dict[str, Any]:
        answer = {"description": "An answer to every question.", "content": _json(_ref(f"{format_}Answer"))}
        return {
            "post": {
                "summary": f"Ask questions in the format of {_FORMATS[format_]}",
                "operationId": f"ask{format_}",
                "requestBody": {"required": True, "content": _json(_ref(f"{format_}Request"))},
                "responses": {
                    "200": answer,
                    **{
                        status: error for status, error in errors.items() if status not in {"400", "422"} - {str(wrong)}
                    },
                },
            }
        }

    tell = {
        "post": {
            "summary": "Tell what came of decisions, where the server records them",
            "operationId": "tellOutcomes",
            "requestBody": {"required": True, "content": _json(_ref("OutcomesRequest"))},
            "responses": {
                "200": {"description": "All are on the disk.", "content": _json(_ref("OutcomesAnswer"))},
                **{
                    str(status): {"description": text, "content": _json(_ref("Error"))}
                    for status, text in {**_ERRORS, **_OF_OUTCOMES}.items()
                    if status != 429
                },
            },
        }
    }

    def get(summary: str) -> dict[str, Any]:
        return {"get": {"summary": summary, "responses": {"200": {"description": summary}}}}

    paths = {
        "/v1/systemone": ask("SystemOne", 422),
        "/systemone": ask("SystemOne", 422),
        "/v1/decisions": ask("Decisions", 400),
        "/decisions": ask("Decisions", 400),
        "/v1/outcomes": tell,
        "/outcomes": {"post": {**tell["post"], "operationId": "tellOutcomesWithoutVersion"}},
        "/v1/models": get("The agents, in both formats in one body"),
        "/health": get("Whether the server lives"),
        "/ready": get("Whether it takes questions, and what it did so far"),
    }
    for path in ("/systemone", "/decisions"):
        paths[path]["post"]["operationId"] += "WithoutVersion"
    components: dict[str, Any] = {"schemas": _schemas()}
    made: dict[str, Any] = {
        "openapi": "3.1.0",
        "info": {
            "title": "twosome",
            "version": version("twosome"),
            "description": f"Agents: {', '.join(agents)}. Bodies of at most {most_bytes} bytes, plain, gzip or zstd. "
            "Fields that begin with x_ are this server's own.",
        },
        "paths": paths,
        "components": components,
    }
    if secured:
        components["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
        made["security"] = [{"key": []}]
    return made


def page(document: dict[str, Any]) -> str:
    """The document to read; nothing on the page is fetched from elsewhere."""
    rows = [
        f"<tr><td><code>{method.upper()} {html.escape(path)}</code></td><td>{html.escape(told['summary'])}</td></tr>"
        for path, methods in document["paths"].items()
        for method, told in methods.items()
    ]
    schemas = [
        f"<h3>{html.escape(name)}</h3><pre>{html.escape(json.dumps(schema, indent=1))}</pre>"
        for name, schema in document["components"]["schemas"].items()
    ]
    info = document["info"]
    return (
        f"<!doctype html><html lang=en><meta charset=utf-8><title>{html.escape(info['title'])}</title>"
        "<style>body{font:16px/1.5 sans-serif;max-width:60em;margin:2em auto;padding:0 1em}"
        "td{padding:.2em 1em .2em 0}pre{background:#f4f4f4;padding:1em;overflow:auto}</style>"
        f"<h1>{html.escape(info['title'])} {html.escape(info['version'])}</h1><p>{html.escape(info['description'])}</p>"
        f"<p>The same for programs: <a href=/openapi.json>openapi.json</a></p><table>{''.join(rows)}</table>"
        f"{''.join(schemas)}</html>"
    )


_FORMATS = {"SystemOne": "System One", "Decisions": "OpenAI Decisions"}
_ERRORS = {
    400: "The request is not what it should be.",
    401: "The key is missing or wrong.",
    413: "The body is too large.",
    415: "The media type or the encoding is not known.",
    422: "The request is not what it should be.",
    429: "Too much is waiting; come again.",
    503: "The server is ending.",
}
_OF_OUTCOMES = {
    404: "A decision was not recorded here, or nothing is.",
    409: "An outcome contradicts what was told before.",
    503: "The server is ending, or its journal cannot be written.",
}


def _json(schema: dict[str, Any]) -> dict[str, Any]:
    return {"application/json": {"schema": schema}}


def _ref(name: str) -> dict[str, Any]:
    return {"$ref": f"#/components/schemas/{name}"}


def _object(properties: dict[str, Any], *required: str) -> dict[str, Any]:
    return {"type": "object", "properties": properties, **({"required": list(required)} if required else {})}


def _schemas() -> dict[str, Any]:
    probabilities = {"type": "object", "additionalProperties": _PROBABILITY}
    model = {"type": ["string", "null"], "description": "Name of an agent; any other name asks the first one."}
    usage = _object(
        {"input_tokens": {"type": "integer"}, "output_tokens": {"const": 0}, "total_tokens": {"type": "integer"}},
        "input_tokens",
        "output_tokens",
    )
    score = {"type": "number", "minimum": 0}
    kind = {"type": {"enum": ["choice", "score", "noul"]}}
    question = _object(
        {
            **kind,
            "instructions": _OPTIONAL_TEXT,
            "criteria": {
                "description": f"choice: an object of 1 to {MOST_OPTIONS} options with descriptions or null; score: an "
                f"array of 1 to {MOST_LEVELS} levels; noul: null or an object with true, false or both.",
                "anyOf": [{"type": "object"}, {"type": "array"}, {"type": "null"}],
            },
        },
        "type",
    )
    named = {"name": {"type": ["string", "null"]}}
    instructions = {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "object"}}, {"type": "null"}]}
    described = {"description": {"type": ["string", "null"]}}
    choice = _object({"value": {"type": ["string", "boolean"]}, **described}, "value")
    level = _object({"label": {"type": "string"}, **described}, "label")
    listed = _object({"value": {}, "label": {"type": "string"}, "probability": _PROBABILITY}, "value", "probability")
    return {
        "SystemOneRequest": _object(
            {
                "model": model,
                "state": _TEXT,
                "questions": {
                    "type": "object",
                    "minProperties": 1,
                    "maxProperties": MOST_QUESTIONS,
                    "additionalProperties": question,
                },
            },
            "state",
            "questions",
        ),
        "SystemOneAnswer": _object(
            {
                "model": {"type": "string"},
                "answers": {
                    "type": "object",
                    "additionalProperties": _object(
                        {
                            **kind,
                            "noul": _PROBABILITY,
                            "choice": {"type": "string"},
                            "score": score,
                            "legend": {"type": "object"},
                            "probabilities": probabilities,
                            "confidence": _PROBABILITY,
                            **_EXTRAS,
                        },
                        "type",
                    ),
                },
                "usage": usage,
                "x_id": {"type": "string"},
            },
            "model",
            "answers",
            "usage",
        ),
        "DecisionsRequest": _object(
            {
                "model": model,
                "input": {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "object"}}]},
                "questions": {
                    "type": "array",
                    "minItems": 1,
                    "maxItems": MOST_QUESTIONS,
                    "items": _object(
                        {
                            "type": {"enum": ["choice", "score", "predicate"]},
                            **named,
                            "instructions": instructions,
                            "choices": {"type": "array", "minItems": 1, "maxItems": MOST_OPTIONS, "items": choice},
                            "levels": {"type": "array", "minItems": 1, "maxItems": MOST_LEVELS, "items": level},
                        },
                        "type",
                    ),
                },
            },
            "input",
            "questions",
        ),
        "DecisionsAnswer": _object(
            {
                "model": {"type": "string"},
                "answers": {
                    "type": "array",
                    "items": _object(
                        {
                            "type": {"enum": ["choice", "score", "predicate"]},
                            **named,
                            "choice": {"type": ["string", "boolean"]},
                            "score": score,
                            "probability": _PROBABILITY,
                            "probabilities": {"type": "array", "items": listed},
                            "confidence": _PROBABILITY,
                            **_EXTRAS,
                        },
                        "type",
                        "name",
                    ),
                },
                "usage": usage,
                "x_id": {"type": "string"},
            },
            "model",
            "answers",
            "usage",
        ),
        "OutcomesRequest": _object(
            {
                "outcomes": {
                    "type": "array",
                    "minItems": 1,
                    "maxItems": MOST_OUTCOMES,
                    "items": {
                        **_object(
                            {
                                "decision": {"type": "string", "description": "x_decision of an answer."},
                                "action": {
                                    "type": ["string", "integer", "null"],
                                    "description": "What was done: a phrase, or its number from 0. Absent: x_action, "
                                    "or the most probable phrase where the server did not sample.",
                                },
                                "drawn": {
                                    "type": "boolean",
                                    "description": "Whether the client drew the action by the probabilities itself.",
                                },
                                "reward": {"type": "number", "minimum": -1e9, "maximum": 1e9},
                                "done": {"const": True, "description": "Episodes are of one decision."},
                            },
                            "decision",
                            "reward",
                        ),
                        "additionalProperties": False,
                    },
                }
            },
            "outcomes",
        ),
        "OutcomesAnswer": _object(
            {
                "object": {"const": "outcomes"},
                "recorded": {"type": "integer", "description": "How many are new."},
                "known": {"type": "integer", "description": "How many were told before, alike."},
                "x_id": {"type": "string"},
            },
            "object",
            "recorded",
            "known",
        ),
        "Error": _object(
            {
                "error": _object(
                    {
                        "message": {"type": "string"},
                        "type": {"type": "string"},
                        "param": {"type": ["string", "null"]},
                        "code": {"type": "string"},
                    },
                    "message",
                    "type",
                    "param",
                    "code",
                ),
                "detail": {"anyOf": [{"type": "array"}, {"type": "object"}]},
            },
            "error",
            "detail",
        ),
    }
