"""What training did to the language model itself, as language.json tells it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from twosome.report.reading import number


@dataclass(frozen=True)
class Ability:
    """One measure with the adapter off and on.

    Attributes:
        name: The measure.
        off: Adapter off, or None where it does not apply.
        on: Adapter on.
        difference: On minus off.
        interval: The ends of the difference's 95 % interval, or None.
        items: How many items it stands on, or None.
    """

    name: str
    off: float | None
    on: float | None
    difference: float | None
    interval: tuple[float, float] | None
    items: int | None

    @property
    def changed(self) -> bool | None:
        """Whether the interval leaves out 0; None without one."""
        return None if self.interval is None else not self.interval[0] <= 0 <= self.interval[1]


@dataclass(frozen=True)
class Abilities:
    """The table of one language.json."""

    place: str
    model: str
    rows: Sequence[Ability]


def abilities(contents: Sequence[tuple[str, Mapping[str, Any]]]) -> list[Abilities]:
    """Tables of those files that have measures; what is no measure is left out."""
    tables = []
    for place, content in contents:
        listed = content.get("measures")
        rows = [_row(row) for row in listed if isinstance(row, Mapping)] if isinstance(listed, list) else []
        if rows:
            tables.append(Abilities(place, str(content.get("model", "")), rows))
    return tables


def _row(row: Mapping[str, Any]) -> Ability:
    off, on, difference = (number(row.get(name)) for name in ("off", "on", "difference"))
    if difference is None and off is not None and on is not None:
        difference = on - off
    ends = row.get("interval")
    low, high = (number(ends[0]), number(ends[1])) if isinstance(ends, list) and len(ends) == 2 else (None, None)
    items = number(row.get("n"))
    return Ability(
        str(row.get("name", "")),
        off,
        on,
        difference,
        (low, high) if low is not None and high is not None else None,
        None if items is None else int(items),
    )
