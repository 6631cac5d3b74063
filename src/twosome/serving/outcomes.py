"""``POST /v1/outcomes``: what came of decisions, told when it is known."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from typing import Any

from twosome.errors import RunError
from twosome.formats.refusals import Place, Refusal, wrong
from twosome.journal.records import Chosen, Outcome
from twosome.journal.writing import Contradiction, JournalWriter, Known

STATUS = 422
"""Of a request that is not what it should be."""
MOST_OUTCOMES = 512
_FIELDS = ("decision", "action", "drawn", "reward", "done")
_LATER = ("next", "x_episode", "episode")
_ONE = "episodes are of one decision here: no decision's reward counts for one before it; give each its own reward"


def read(body: Any, journal: JournalWriter) -> list[Outcome]:
    """The outcomes of a request, with what was done filled in where the client did as it was told.

    Raises:
        Refusal: If it breaks a rule of the format, or is about a decision that nobody recorded.
    """
    if not isinstance(body, dict):
        raise wrong((), "object_type", "the body must be a JSON object with outcomes", body)
    outcomes = body.get("outcomes")
    if not isinstance(outcomes, list):
        code = "missing" if "outcomes" not in body else "list_type"
        raise wrong(("outcomes",), code, "outcomes must be an array", outcomes)
    for name in body.keys() - {"outcomes"}:
        raise wrong((name,), "extra_forbidden", "the only field of the body is outcomes; leave this out")
    if not outcomes:
        raise wrong(("outcomes",), "too_short", "outcomes is empty; tell at least one", outcomes)
    if len(outcomes) > MOST_OUTCOMES:
        message = f"{len(outcomes)} outcomes are more than {MOST_OUTCOMES}; send several requests"
        raise wrong(("outcomes",), "too_long", message, outcomes)
    now = round(time.time(), 3)
    return [_outcome(("outcomes", number), outcome, journal, now) for number, outcome in enumerate(outcomes)]


def write(outcomes: Sequence[Outcome], journal: JournalWriter) -> dict[str, Any]:
    """Record outcomes: the body of the answer, which does not wait for the disk.

    Raises:
        Refusal: If one contradicts what was told before, or the journal cannot be written; then none is recorded.
    """
    try:
        new = journal.outcomes(outcomes)
    except Contradiction as error:
        before = error.before
        message = (
            f"an outcome of this decision was told before, with the reward {before.reward:g} for action "
            f"{before.action}; what is told once stays"
        )
        raise Refusal(409, message, ("outcomes", error.number), "conflict") from None
    except RunError:
        raise unwritable() from None
    return {"object": "outcomes", "recorded": new, "known": len(outcomes) - new}


def unwritable() -> Refusal:
    """What is said where the disk does not take it."""
    return Refusal(503, "the journal cannot be written; is the disk full? Send the outcomes again later")


def _outcome(place: Place, told: Any, journal: JournalWriter, now: float) -> Outcome:
    if not isinstance(told, dict):
        raise wrong(place, "object_type", "an outcome must be an object with decision and reward", told)
    for name in told:
        if name in _LATER:
            raise wrong((*place, name), "extra_forbidden", _ONE)
        if name not in _FIELDS:
            raise wrong((*place, name), "extra_forbidden", f"there is no such field; there are {', '.join(_FIELDS)}")
    if "done" in told and told["done"] is not True:
        raise wrong((*place, "done"), "literal_error", f"done must be true or absent: {_ONE}", told["done"])
    decision, where = told.get("decision"), (*place, "decision")
    if not isinstance(decision, str):
        code = "missing" if "decision" not in told else "string_type"
        raise wrong(where, code, "decision must be the x_decision of an answer, a text", decision)
    known = journal.known(decision)
    if known is None:
        message = "no decision of this name was recorded here; send x_decision of an answer as it came"
        raise Refusal(404, message, where, "unknown_decision", decision)
    action, chosen = _action(place, told, known)
    return Outcome(decision, now, action, chosen, _reward((*place, "reward"), told))


def _action(place: Place, told: dict[str, Any], known: Known) -> tuple[int, Chosen]:
    """What was done, and who chose it."""
    given, where = told.get("action"), (*place, "action")
    drawn = told.get("drawn", False)
    if not isinstance(drawn, bool):
        raise wrong((*place, "drawn"), "bool_type", "drawn must be true or false", drawn)
    if given is None:
        if drawn:
            message = "drawn says that the client drew the action from the probabilities; name it as action"
            raise wrong(where, "missing", message)
        return (known.best, "best") if known.sampled is None else (known.sampled, "sampled")
    if isinstance(given, str):
        if given not in known.actions:
            message = "this decision had no such action; name one of its phrases as they were sent, or its number"
            raise wrong(where, "unknown_action", message, given)
        action = known.actions.index(given)
    elif isinstance(given, int) and not isinstance(given, bool) and 0 <= given < len(known.actions):
        action = given
    else:
        last = len(known.actions) - 1
        raise wrong(where, "unknown_action", f"action must be a phrase or a number from 0 to {last}", given)
    if drawn:
        return action, "drawn"
    if known.sampled is not None:
        return action, "sampled" if action == known.sampled else "client"
    return action, "best" if action == known.best else "client"


def _reward(place: Place, told: dict[str, Any]) -> float:
    reward = told.get("reward")
    if isinstance(reward, bool) or not isinstance(reward, int | float):
        raise wrong(place, "missing" if "reward" not in told else "float_type", "reward must be a number", reward)
    try:
        number = float(reward)
    except OverflowError:
        number = math.inf
    if not abs(number) <= 1e9:
        raise wrong(place, "out_of_range", "reward must be between -1e9 and 1e9; measure it in another unit", reward)
    return number
