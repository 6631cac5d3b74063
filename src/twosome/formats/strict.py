"""JSON read strictly: nothing repeated, nothing that is no number, no half characters, nothing bottomless."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from typing import Any, NoReturn

from twosome.formats.refusals import Place, Refusal

DEEPEST = 64
"""Most containers within one another."""


class _Object(dict[str, Any]):
    """A JSON object that knows whether a name stood in it twice."""

    repeated: str | None = None


def read_json(body: bytes, status: int) -> Any:
    """The value that a body holds.

    Args:
        body: UTF-8.
        status: Of the refusal, if it is not what it should be.

    Raises:
        Refusal: If it is no JSON; an object names an entry twice, of which a plain parser keeps the last; a number is
            not finite; a text holds half a surrogate pair, which no tokenizer can read; or it is nested too deep.
    """
    try:
        value = json.loads(
            body.decode("utf-8"), object_pairs_hook=_object, parse_constant=_no_constant, parse_float=_number
        )
    except UnicodeDecodeError as error:
        raise Refusal(
            status, f"the body is not UTF-8: {error.reason} at byte {error.start}", (), "json_invalid"
        ) from None
    except RecursionError:
        raise _too_deep(status, ()) from None
    except json.JSONDecodeError as error:
        message = f"the body is no JSON: {error.msg} at character {error.pos}"
        raise Refusal(status, message, (error.pos,), "json_invalid") from None
    except ValueError as error:  # a number of thousands of digits, or one that is none
        raise Refusal(status, f"the body is no JSON: {str(error)[:200]}", (), "json_invalid") from None
    _check(value, status)
    return value


def text_of(value: Any) -> str:
    """A text as it is; anything else as compact JSON, in the order in which it was sent."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _object(pairs: list[tuple[str, Any]]) -> _Object:
    made = _Object(pairs)
    if len(made) < len(pairs):
        seen: set[str] = set()
        for name, _ in pairs:
            if name in seen:
                made.repeated = name
                break
            seen.add(name)
    return made


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a number that JSON knows; send null, or leave it out")


def _number(digits: str) -> float:
    number = float(digits)
    if math.isinf(number):
        raise ValueError(f"the number {digits[:20]} is too large for 64 bits; send it as a text")
    return number


def _check(value: Any, status: int) -> None:
    """Refuse what a parser lets pass; in a loop, as a request must not choose how deep we call ourselves."""
    waiting: list[tuple[Place, Any]] = [((), value)]
    while waiting:
        place, value = waiting.pop()
        if isinstance(value, str):
            if not _whole(value):
                raise Refusal(
                    status,
                    "a text holds half a surrogate pair, which no tokenizer can read; send whole characters",
                    place,
                    "string_unicode",
                    value,
                )
            continue
        inside: Iterable[tuple[str | int, Any]] = ()
        if isinstance(value, _Object):
            if value.repeated is not None:
                raise Refusal(
                    status,
                    f"{value.repeated[:60]!r} stands twice in one object; names must differ",
                    (*place, value.repeated),
                    "repeated_name",
                )
            inside = value.items()
        elif isinstance(value, list):
            inside = enumerate(value)
        else:
            continue
        if len(place) >= DEEPEST:
            raise _too_deep(status, place[:3])
        for step, entry in inside:
            if isinstance(step, str) and not _whole(step):
                raise Refusal(
                    status,
                    "a name holds half a surrogate pair, which no tokenizer can read; send whole characters",
                    (*place, step),
                    "string_unicode",
                    step,
                )
            if isinstance(entry, str | dict | list):
                waiting.append(((*place, step), entry))


def _whole(text: str) -> bool:
    if text.isascii():
        return True
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _too_deep(status: int, place: Place) -> Refusal:
    return Refusal(status, f"the body is nested deeper than {DEEPEST} levels; send it flatter", place, "json_too_deep")
