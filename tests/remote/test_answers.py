"""What is no answer: nothing is repaired in silence, whatever a server sends."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.remote.stub import Reply, Stub
from twosome.decision import Decision
from twosome.errors import RemoteError
from twosome.remote import RemotePolicy, ServerSettings
from twosome.remote.formats import read_answer

LADDER = Decision("You see a ladder. You should now", ("climb", "go", "sit"))
FAIR = {"climb": 0.5, "go": 0.25, "sit": 0.25}


def systemone(probabilities: Any, **more: Any) -> str:
    return json.dumps({"model": "m", "answers": {"action": {"type": "choice", "probabilities": probabilities, **more}}})


def decisions(*pairs: Any, kind: str = "choice") -> str:
    listed = [{"value": value, "probability": probability} for value, probability in pairs]
    return json.dumps({"model": "m", "answers": [{"type": kind, "name": "action", "probabilities": listed}]})


@pytest.mark.parametrize(
    ("reply", "why"),
    [
        ("", "Expecting value"),
        ("[]", "no answers"),
        ('{"model": "m"}', "no answers"),
        (json.dumps({"answers": {}}), "not to the one question"),
        (json.dumps({"answers": {"action": {}, "other": {}}}), "not to the one question"),
        (json.dumps({"answers": {"action": []}}), "of the type None"),
        (systemone(FAIR, type="noul"), "of the type 'noul'"),
        (systemone(None), "no object of options"),
        (systemone({"climb": 0.6, "go": 0.4}), "'sit' has no probability"),
        (systemone({**FAIR, "fly": 0.0}), "'fly', which is none of the options"),
        (systemone({**FAIR, "climb": -0.01}), "-0.01, which is not from 0 to 1"),
        (systemone({**FAIR, "climb": 1.5}), "1.5, which is not from 0 to 1"),
        (systemone({**FAIR, "climb": True}), "no number but True"),
        (systemone({**FAIR, "climb": "0.5"}), "no number but '0.5'"),
        (systemone({**FAIR, "climb": None}), "no number but None"),
        (systemone({"climb": 0.25, "go": 0.125, "sit": 0.125}), "sum to 0.5"),
        (systemone({"climb": 0.65, "go": 0.25, "sit": 0.25}), "sum to 1.15"),
        (systemone(dict.fromkeys(FAIR, 0.0)), "sum to 0"),
        (systemone(FAIR).replace("0.5", "NaN"), "NaN is no number"),
        (systemone(FAIR).replace("0.5", "Infinity"), "Infinity is no number"),
        (systemone(FAIR).replace("0.5", "1e400"), "inf, which is not from 0 to 1"),
        (systemone(FAIR).replace('"go"', '"climb"'), "names 'climb' twice"),
        ("[" * 100_000, "nested too deeply"),
    ],
)
def test_what_cannot_be_used_is_an_error_that_says_why(reply: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        read_answer("systemone", LADDER, reply)


@pytest.mark.parametrize(
    ("reply", "why"),
    [
        (json.dumps({"answers": {}}), "not a list of one"),
        (json.dumps({"answers": []}), "not a list of one"),
        (decisions(kind="refusal"), "refused to answer"),
        (decisions(("climb", 0.5), ("go", 0.5)), "'sit' has no probability"),
        (decisions(("climb", 0.5), ("go", 0.25), ("go", 0.25)), "'go' has two probabilities"),
        (decisions(("climb", 0.5), ("go", 0.25), (True, 0.25)), "no option with its probability"),
        (decisions(("climb", 0.5), ("go", 0.25), ("sit", None)), "no number but None"),
    ],
)
def test_the_other_format_is_held_to_the_same(reply: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        read_answer("decisions", LADDER, reply)


def test_a_sum_may_be_off_by_rounding_and_by_no_more() -> None:
    """Two decimals and 30 options: each may be off by .005, together by .15."""
    many = Decision("Choose", tuple(f"option {number}" for number in range(30)))
    low = dict.fromkeys(many.actions, 0.03)
    assert read_answer("systemone", many, systemone(low)).total == pytest.approx(0.9)
    lower = {action: 0.02 if number < 6 else 0.03 for number, action in enumerate(many.actions)}
    with pytest.raises(ValueError, match=r"sum to 0\.84, further from 1 than 0\.15"):
        read_answer("systemone", many, systemone(lower))


def test_an_answer_that_shows_one_decimal_is_not_allowed_more() -> None:
    """Ten options: if .5 and zeros were taken for rounding to one decimal, they might sum to a half."""
    ten = Decision("Choose", tuple(f"option {number}" for number in range(10)))
    with pytest.raises(ValueError, match=r"sum to 0\.5, further from 1 than 0\.05"):
        read_answer("systemone", ten, systemone({**dict.fromkeys(ten.actions, 0.0), "option 0": 0.5}))


def test_numbers_are_read_with_their_decimals() -> None:
    reply = systemone(FAIR).replace("0.5", "0.500", 1)
    assert read_answer("systemone", LADDER, reply).decimals == 3
    assert read_answer("systemone", LADDER, systemone({"climb": 1, "go": 0, "sit": 0})).decimals == 0
    assert read_answer("systemone", LADDER, systemone({"climb": 1.0, "go": 1.5e-05, "sit": 0})).decimals == 6


def test_option_names_are_compared_to_the_letter() -> None:
    twins = Decision("Choose", ("caf\u00e9", "cafe\u0301"))  # one looks like the other
    answer = read_answer("systemone", twins, systemone({"cafe\u0301": 0.25, "caf\u00e9": 0.75}))
    assert answer.probabilities == (0.75, 0.25)


def test_a_bad_answer_ends_the_run_with_the_decision_and_is_not_kept(stub: Stub) -> None:
    stub.replies = [Reply(200, systemone({"climb": 0.6, "go": 0.4}))]
    policy = RemotePolicy(ServerSettings(stub.url, decimals=2))
    with pytest.raises(RemoteError, match=r"answer to 'You see a ladder.*'sit' has no probability; expected .* 3 opt"):
        policy.action_log_probs([LADDER])
    assert not list(Path(policy.facts()["kept_in"]).glob("*"))
    assert len(stub.requests) == 1  # a bad answer is no reason to ask again
