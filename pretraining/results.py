"""What was measured, as ``pretraining/results/`` keeps it: JSON that the model's card and the figure are made from."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import asdict, astuple, dataclass
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from pretraining.zero_shot import NORMALIZATIONS, Worth

DIRECTORY = Path(__file__).resolve().parent / "results"
DIGITS = 5
# Student's t, 97.5 %, for 1 to 20 degrees of freedom; beyond, that of 20, which is a little too wide.
_T975 = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131)
_T975 += (2.120, 2.110, 2.101, 2.093, 2.086)


@dataclass(frozen=True)
class Spread:
    """Several exact values: their mean and its 95 % t interval (None for a single value)."""

    count: int
    mean: float
    low: float | None
    high: float | None

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Return the spread of at least one value."""
        mean, low, high = fmean(values), None, None
        if len(values) > 1:
            half = _T975[min(len(values) - 2, len(_T975) - 1)] * stdev(values) / len(values) ** 0.5
            low, high = mean - half, mean + half
        return cls(len(values), mean, low, high)

    def above(self, other: Spread) -> bool:
        """Whether the intervals are apart, this one above; a single exact value is an interval of its own."""
        return (self.mean if self.low is None else self.low) > (other.mean if other.high is None else other.high)


@dataclass(frozen=True)
class Sample:
    """Exact values of one condition in one task; one of each list per member (a seed, a noun, a wording).

    Attributes:
        task: The task.
        condition: What was changed, such as "random weights".
        normalization: Of the scores; None for uniform play.
        members: What sets the values apart.
        success: See :class:`pretraining.zero_shot.Worth`, as the others.
        mean_return: Discounted.
        accuracy: Of the likeliest action.
    """

    task: str
    condition: str
    normalization: str | None
    members: tuple[str, ...]
    success: tuple[float, ...]
    mean_return: tuple[float, ...]
    accuracy: tuple[float, ...]

    def spread(self, name: str) -> Spread:
        """Return the spread of one of the values, by name."""
        return Spread.of(getattr(self, name))


def sample(task: str, condition: str, normalization: str | None, worths: Iterable[tuple[str, Worth]]) -> Sample:
    """Return the sample of some members' worths, rounded."""
    members, values = zip(*worths, strict=True)
    columns = [[round(value, DIGITS) for value in column] for column in zip(*map(astuple, values), strict=True)]
    return Sample(task, condition, normalization, members, *map(tuple, columns))


def samples(task: str, condition: str, members: Sequence[tuple[str, dict[str, Worth]]]) -> list[Sample]:
    """Return one sample per normalisation."""
    return [
        sample(task, condition, name, [(member, found[name]) for member, found in members]) for name in NORMALIZATIONS
    ]


def find(rows: Iterable[Sample], task: str, condition: str, normalization: str | None) -> Sample | None:
    """Return the one sample of this task, condition and normalisation, if it was taken."""
    wanted = task, condition, normalization
    return next((row for row in rows if (row.task, row.condition, row.normalization) == wanted), None)


def to_rows(values: Iterable[dict[str, Any]]) -> list[Sample]:
    """Return samples as they were written."""
    return [Sample(**{key: tuple(x) if isinstance(x, list) else x for key, x in value.items()}) for value in values]


def from_rows(rows: Iterable[Sample]) -> list[dict[str, Any]]:
    """Return samples as JSON takes them."""
    return [asdict(row) for row in rows]


def load(name: str, directory: Path = DIRECTORY) -> dict[str, Any]:
    """Return a file of results, empty if there is none yet."""
    path = directory / f"{name}.json"
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return found


def store(name: str, values: dict[str, Any], directory: Path = DIRECTORY) -> None:
    """Write a file of results whole: an object per line of every list, so that changes can be read."""
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / f"{name}.json"
    partial = path.with_suffix(".partial")
    partial.write_text(_lines(values) + "\n", encoding="utf-8")
    os.replace(partial, path)


def _lines(values: dict[str, Any]) -> str:
    parts = []
    for key, value in values.items():
        text = json.dumps(value)
        if isinstance(value, list) and value and isinstance(value[0], dict):
            text = "[\n" + ",\n".join(f"    {json.dumps(item)}" for item in value) + "\n  ]"
        parts.append(f"  {json.dumps(key)}: {text}")
    return "{\n" + ",\n".join(parts) + "\n}"


def weights_hash(model: Path) -> str:
    """Return the SHA-256 of a model directory's weights: what results belong to."""
    return hashlib.sha256((model / "model.safetensors").read_bytes()).hexdigest()
