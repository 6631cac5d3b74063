"""A kitchen that misbehaves when asked: once, at a given step, while a file exists.

Its id, ``tests.faults.environments:Misbehaving-v0``, has Gymnasium import this module also in environment processes.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium

from twosome.text.tasks import make_task

TASK = "tests.faults.environments:Misbehaving-v0"
Answer = tuple[Any, Any, Any, Any, Any]


def _kill(answer: Answer) -> Answer:
    os.kill(os.getpid(), signal.SIGKILL)
    return answer


def _leave(answer: Answer) -> Answer:
    os._exit(7)


def _leave_politely(answer: Answer) -> Answer:
    sys.exit(7)


def _hang(answer: Answer) -> Answer:
    while True:
        time.sleep(60)


def _raise(answer: Answer) -> Answer:
    raise RuntimeError("the simulator\nfell over")


def _changed(place: int, value: Any) -> Callable[[Answer], Answer]:
    def change(answer: Answer) -> Answer:
        parts = list(answer)
        parts[place] = value(answer[place]) if callable(value) else value
        return tuple(parts)  # type: ignore[return-value]

    return change


_OBSERVATION, _REWARD, _TERMINATED, _TRUNCATED, _INFO = range(5)

DEADLY: dict[str, tuple[Callable[[Answer], Answer], str]] = {
    "killed": (_kill, "was killed by SIGKILL while taking a step"),
    "left": (_leave, "ended with status 7 while taking a step"),
    "hung": (_hang, "did not answer within env_timeout="),
}
"""What only an environment in a process of its own can do without ending the run, and what is said then."""

WRONG: dict[str, tuple[Callable[[Answer], Answer], str]] = {
    "raised": (_raise, "raised RuntimeError: the simulator"),
    "exited": (_leave_politely, "raised SystemExit: 7"),
    "nan reward": (_changed(_REWARD, float("nan")), "paid nan for"),
    "infinite reward": (_changed(_REWARD, float("-inf")), "paid -inf for"),
    "too large a reward": (_changed(_REWARD, 1e300), r"paid 1e\+300 for"),
    "reward of no type": (_changed(_REWARD, "1"), "returned a reward of type str"),
    "no actions": (_changed(_OBSERVATION, lambda seen: {**seen, "actions": ()}), "the action list is empty"),
    "same action twice": (
        _changed(_OBSERVATION, lambda seen: {**seen, "actions": ("wait", "wait")}),
        "'wait' is listed twice",
    ),
    "action of no type": (
        _changed(_OBSERVATION, lambda seen: {**seen, "actions": ("wait", 3)}),
        "returned 3 of type int",
    ),
    "actions of no type": (_changed(_OBSERVATION, lambda seen: {**seen, "actions": "wait"}), "actions of type str"),
    "prompt of no type": (
        _changed(_OBSERVATION, lambda seen: {**seen, "prompt": None}),
        "returned None of type NoneType",
    ),
    "half a character": (_changed(_OBSERVATION, lambda seen: {**seen, "prompt": "\ud800"}), "half a surrogate pair"),
    "no prompt": (_changed(_OBSERVATION, lambda seen: {"actions": seen["actions"]}), "an observation without 'prompt'"),
    "observation of no type": (_changed(_OBSERVATION, None), "returned the observation as NoneType"),
    "terminated of no type": (_changed(_TERMINATED, "no"), "returned terminated='no' of type str"),
    "truncated of no type": (_changed(_TRUNCATED, None), "returned truncated=None of type NoneType"),
    "info of no type": (_changed(_INFO, []), "returned info as list"),
    "duration of no type": (_changed(_INFO, {"duration": 1.5}), r"returned info\['duration'\]=1.5"),
    "no duration": (_changed(_INFO, {"duration": 0}), r"returned info\['duration'\]=0"),
    "success of no type": (_changed(_INFO, {"success": "yes"}), r"returned info\['success'\]='yes'"),
    "four values": (lambda answer: answer[:4], "returned 4 values instead of the 5"),  # type: ignore[arg-type, return-value]
}
"""What any environment can do wrong, and what is said then (a pattern)."""

MISDEEDS = {**DEADLY, **WRONG}


class Misbehaving(gymnasium.Wrapper[Any, Any, Any, Any]):
    """A kitchen with a fault.

    Args:
        misdeed: A key of :data:`MISDEEDS`.
        at: The step, counted over all episodes of this environment, at which it happens.
        while_exists: It only happens while this file exists.
        further: Arguments of the kitchen.
    """

    def __init__(self, misdeed: str = "", at: int = 0, while_exists: str = "", **further: Any) -> None:
        super().__init__(make_task("tomato-lettuce-salad", **further))
        self._misdeed, self._at, self._file = misdeed, at, Path(while_exists)
        self._taken = 0

    def step(self, action: Any) -> Any:
        self._taken += 1
        answer = self.env.step(action)
        if self._misdeed and self._taken == self._at and self._file.exists():
            return MISDEEDS[self._misdeed][0](answer)
        return answer


gymnasium.register("Misbehaving-v0", entry_point=Misbehaving)
