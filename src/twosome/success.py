"""Whether an episode ended in success, and whether a world says so at all: one rule for everything that counts.

What the world tells of an end counts (``info["success"]``). Where it tells nothing, the last reward has to say it:

* an end that pays, and more than every step before it, is a success;
* an end that pays nothing, or costs, is none; nor is an episode that a limit cut;
* an end that pays no more than a step before it says nothing: many worlds pay for every step that goes on.

A rate is known where some end was told, or where some end was paid and none said nothing. Otherwise nobody can tell
success from failure, and any percentage would be wrong.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple

Way = Literal["told", "paid"]
"""How a world says what success is: in ``info["success"]``, or by the last reward."""

UNKNOWN = (
    'the world does not say what success is: give info["success"] at the end of an episode, or pay its last step, and '
    "more than any step before it, where it is a success"
)
PAID = "success: the last step paid, and more than any before it; the world does not tell info['success']"


class Outcome(NamedTuple):
    """How an episode ended.

    Attributes:
        success: Whether in success; None where nothing says so.
        told: Whether the world itself said so.
    """

    success: bool | None
    told: bool


def judge(told: bool | None, *, terminated: bool, rewards: Sequence[float]) -> Outcome:
    """Return how an episode ended.

    Args:
        told: What the world tells of the end, or None.
        terminated: Whether it came to an end, rather than being cut by a limit.
        rewards: What its steps paid, in order.
    """
    if told is not None:
        return Outcome(bool(told), True)
    last, before = rewards[-1], max(rewards[:-1], default=0.0)
    return Outcome(paid_for(last, before) if terminated else False, False)


def paid_for(last: float, before: float) -> bool | None:
    """Whether the pay of a last step makes it a success: None where a step before it paid as much, ``before``."""
    if last <= 0:
        return False
    return True if last > before else None


class Tally:
    """Counts outcomes as they come, and knows whether they say what success is."""

    def __init__(self, *, told: bool = False, paid: bool = False, unclear: bool = False) -> None:
        self._told, self._paid, self._unclear = told, paid, unclear

    def add(self, outcomes: Iterable[Outcome]) -> None:
        """Take notice of outcomes."""
        for outcome in outcomes:
            self._told |= outcome.told
            self._paid |= outcome.success is True and not outcome.told
            self._unclear |= outcome.success is None

    @property
    def way(self) -> Way | None:
        """How the world says what success is, or None where it does not."""
        if self._told:
            return "told"
        return "paid" if self._paid and not self._unclear else None

    def state_dict(self) -> dict[str, bool]:
        """What was noticed so far; the arguments of a new one."""
        return {"told": self._told, "paid": self._paid, "unclear": self._unclear}


def way(outcomes: Iterable[Outcome]) -> Way | None:
    """How these outcomes say what success is, or None where they do not."""
    tally = Tally()
    tally.add(outcomes)
    return tally.way


def rate(outcomes: Sequence[Outcome]) -> float | None:
    """Return the fraction of successes; None where nothing says what success is, and where there are no outcomes."""
    if way(outcomes) is None:
        return None
    return sum(outcome.success is True for outcome in outcomes) / len(outcomes)
