"""Named numbers of an update, added up."""

from __future__ import annotations

import math
from collections import defaultdict

from torch import Tensor

from twosome.errors import NumericalError


class Averages:
    """Collects named numbers and returns their means."""

    def __init__(self) -> None:
        self._numbers: defaultdict[str, list[float]] = defaultdict(list)

    def add(self, **numbers: float) -> None:
        """Take one more of each."""
        for name, number in numbers.items():
            self._numbers[name].append(number)

    def means(self) -> dict[str, float]:
        """The mean of each."""
        return {name: sum(numbers) / len(numbers) for name, numbers in self._numbers.items()}


class Sums:
    """Adds up named per-sample numbers over the parts of a step."""

    def __init__(self) -> None:
        self._sums: defaultdict[str, float] = defaultdict(float)

    def add(self, **numbers: Tensor) -> None:
        """Add the sum of each."""
        for name, number in numbers.items():
            self._sums[name] += number.detach().sum().item()

    def over(self, count: int) -> dict[str, float]:
        """Each sum divided by ``count``."""
        return {name: total / count for name, total in self._sums.items()}


def require_finite(name: str, value: float) -> None:
    """Refuse a number that is none.

    Raises:
        NumericalError: If it is not finite.
    """
    if not math.isfinite(value):
        raise NumericalError(
            f"{name} is {value}: a reward, a value or a probability is not finite, or the learning rate is too high; "
            "nothing was changed by this step"
        )
