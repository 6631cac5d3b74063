"""What a run was paid so far: whether anything, and on which scale."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from twosome.functional.advantages import largest_return, semi_mdp_discounts
from twosome.types import Rollout


class Paid:
    """Keeps what an algorithm must know of all rollouts it saw.

    Attributes:
        met: Whether any reward was met that is not 0.
        unpaid: Rollouts before that.
        unit: The largest power of two that is no more than the largest return met, and at least 1. Settings such as
            the clip range of values are meant for returns of about 1; measured in this unit all returns are. As a power
            of two it rounds nothing, and returns below 2 are measured in 1, that is, left alone.
    """

    def __init__(self) -> None:
        self.met = False
        self.unpaid = 0
        self.unit = 1.0

    def see(self, rewards: Tensor, largest: float, scale: bool) -> float:
        """Take note of a rollout: how many times as large the unit became.

        Args:
            rewards: What was paid.
            largest: The largest return of it; see :func:`twosome.functional.advantages.largest_return`.
            scale: Whether the unit may grow.
        """
        self.met = self.met or bool((rewards != 0).any())
        self.unpaid += not self.met
        before = self.unit
        # What is not finite stops the update further on, with a sentence; no unit is made of it.
        if scale and math.isfinite(largest) and largest >= 2 * before:
            self.unit = math.ldexp(0.5, math.frexp(largest)[1])
        return self.unit / before

    def see_rollout(self, rollout: Rollout, gamma: float) -> float:
        """Take note of a rollout's returns, with time limits no ends: how many times as large the unit became."""
        discounts = semi_mdp_discounts(gamma, rollout.durations, rollout.terminated)
        largest = largest_return(rollout.rewards, discounts, rollout.terminated | rollout.truncated)
        return self.see(rollout.rewards, largest, scale=True)

    def facts(self) -> dict[str, float]:
        """What an update tells of it: the unit, where it is not 1, and how long nothing was met, while that is so."""
        unit = {"return_unit": self.unit} if self.unit != 1 else {}
        return unit if self.met else {**unit, "unpaid_updates": self.unpaid}

    def state_dict(self) -> dict[str, Any]:
        """All of it."""
        return {"met": self.met, "unpaid": self.unpaid, "unit": self.unit}

    def load_state_dict(self, state: Mapping[str, Any] | None) -> None:
        """Put back what :meth:`state_dict` returned; None is of a version that did not wait for a reward."""
        state = state or {"met": True, "unpaid": 0, "unit": 1.0}
        self.met, self.unpaid, self.unit = state["met"], state["unpaid"], state["unit"]


def rounding(*numbers: Tensor) -> float:
    """How far apart equal differences of such numbers may come out in single precision, added up over a trace."""
    return 16 * torch.finfo(torch.float32).eps * max(float(number.abs().max()) for number in numbers)
