"""What a decision server answered, checked: every option, none besides, each a probability, together about one."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, NoReturn

from twosome.decision import Decision
from twosome.errors import RemoteError

SLACK = 0.05
"""How far probabilities may sum from 1, unless their rounding explains more."""
FEWEST_DECIMALS = 2
"""No server is known that rounds to fewer; an answer of 1.0 and 0.0 shows one."""
SHOWN = 300
"""Characters of an answer, or of a prompt, that an error shows."""


@dataclass(frozen=True)
class Answer:
    """What a server said of one decision.

    Attributes:
        probabilities: As sent, in the order of the decision's actions.
        decimals: The most decimals that one of them shows.
        model: What the server calls the model that answered, or None.
    """

    probabilities: tuple[float, ...]
    decimals: int
    model: str | None

    @property
    def total(self) -> float:
        """Their sum, which is about 1."""
        return math.fsum(self.probabilities)

    @property
    def zeros(self) -> int:
        """How many were rounded to zero."""
        return sum(probability == 0 for probability in self.probabilities)


class Number(float):
    """A JSON number that remembers how many decimals it was written with."""

    decimals: int

    def __new__(cls, text: str) -> Number:
        """Read it as it was written."""
        number = super().__new__(cls, text)
        exponent = Decimal(text).as_tuple().exponent
        number.decimals = max(0, -exponent) if isinstance(exponent, int) else 0
        return number


def parse(text: str) -> Any:
    """The JSON value of an answer; objects that name a field twice, and numbers that are none, are no answer.

    Raises:
        ValueError: If it is none.
    """
    try:
        return json.loads(
            text, parse_float=Number, parse_int=Number, parse_constant=_no_constant, object_pairs_hook=_without_twins
        )
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def checked(decision: Decision, found: Iterable[tuple[str, Any]], model: Any) -> Answer:
    """The answer to a decision.

    Args:
        decision: What was asked.
        found: Option and probability, as the server paired them.
        model: What the server calls itself.

    Raises:
        ValueError: If it leaves something out, knows something else, or is no distribution.
    """
    by_option: dict[str, Number] = {}
    for option, probability in found:
        if option in by_option:
            raise ValueError(f"the option {option!r} has two probabilities")
        if option not in decision.actions:
            raise ValueError(f"it has a probability for {option!r}, which is none of the options")
        if not isinstance(probability, Number):
            raise ValueError(f"the probability of {option!r} is no number but {probability!r}")
        if not 0 <= probability <= 1:  # which infinity fails, too
            raise ValueError(f"the probability of {option!r} is {float(probability)}, which is not from 0 to 1")
        by_option[option] = probability
    missing = [action for action in decision.actions if action not in by_option]
    if missing:
        raise ValueError(f"the option {missing[0]!r} has no probability")
    numbers = [by_option[action] for action in decision.actions]
    answer = Answer(
        tuple(map(float, numbers)),
        max(number.decimals for number in numbers),
        str(model) if isinstance(model, str) else None,
    )
    slack = max(SLACK, len(numbers) * 0.5 * 10.0 ** -max(answer.decimals, FEWEST_DECIMALS))
    if abs(answer.total - 1) > slack or answer.total == 0:
        raise ValueError(f"the probabilities sum to {answer.total:.4g}, further from 1 than {slack:.3g}")
    return answer


def unusable(decision: Decision, text: str, why: str) -> RemoteError:
    """The error for an answer that cannot be used: what it was to, why, and what it was."""
    return RemoteError(
        f"the decision server's answer to {_tail(decision.prompt)!r} cannot be used: {why}; expected one probability "
        f"for each of {len(decision.actions)} options, got {text[:SHOWN]!r}"
    )


def _tail(prompt: str) -> str:
    return prompt if len(prompt) <= SHOWN else f"...{prompt[-SHOWN:]}"


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number in JSON")


def _without_twins(pairs: list[tuple[str, Any]]) -> Mapping[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twin = next(name for index, name in enumerate(names) if name in names[:index])
        raise ValueError(f"it names {twin!r} twice")
    return found
