"""What was measured of a model's language, and the file ``language.json`` it is kept in.

{"model": base model, "adapter_sha256": of its weights, "confidence": 0.95, "measures": [measure, ...]}; a measure is

name         what, and of what: "loss/everyday", "copying/acc"
off, on      with the adapter off and on; null where only the change between them has a meaning
difference   on - off, or the size of the change; 0 says that nothing changed
interval     its 95 % interval [low, high]; null where there are too few units
n, unit      how many independent units (documents, decisions, examples) it rests on
better       "higher" or "lower", null where neither is better
method       how the interval was made: "paired bootstrap" or "paired score (Tango)"
part         what is computed in one go
settings     what the part was computed with; with the same settings it is not computed again
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Literal

from twosome.errors import RunError
from twosome.language.intervals import Interval
from twosome.runs.files import write_json

LANGUAGE_FILE = "language.json"

Better = Literal["higher", "lower"]
Method = Literal["paired bootstrap", "paired score (Tango)"]


@dataclass(frozen=True)
class LanguageMeasure:
    """One number with the adapter off and on; the module's docstring tells the fields."""

    name: str
    off: float | None
    on: float | None
    difference: float
    interval: Interval | None
    n: int
    unit: str
    better: Better | None
    method: Method


@dataclass(frozen=True)
class Part:
    """What is computed in one go, and with which settings."""

    name: str
    settings: Mapping[str, Any]


class LanguageReport:
    """The measures of one model and adapter, kept in a file while they come in.

    Args:
        model: The base model.
        adapter_sha256: Digest of the adapter's weights; measures of other weights are dropped.
        file: Where to keep it; None for nowhere.

    Raises:
        RunError: If the file is there and cannot be read.
    """

    def __init__(self, model: str, adapter_sha256: str, file: Path | None = None) -> None:
        self.model = model
        self.adapter_sha256 = adapter_sha256
        self.file = file
        self._rows: list[tuple[Part, LanguageMeasure]] = self._read() if file is not None and file.exists() else []

    @property
    def measures(self) -> list[LanguageMeasure]:
        """All measures, in the order in which their parts were finished."""
        return [measure for _, measure in self._rows]

    def has(self, part: Part) -> bool:
        """Whether the part was finished with the same settings."""
        return any(known == part for known, _ in self._rows)

    def put(self, part: Part, measures: Sequence[LanguageMeasure]) -> None:
        """Keep the measures of a part, in place of what it had before, and write the file."""
        self._rows = [row for row in self._rows if row[0].name != part.name]
        self._rows += [(part, measure) for measure in measures]
        if self.file is not None:
            write_json(self.file, self.to_json())

    def to_json(self) -> dict[str, Any]:
        """What the file holds."""
        rows = [{**asdict(measure), "part": part.name, "settings": dict(part.settings)} for part, measure in self._rows]
        return {"model": self.model, "adapter_sha256": self.adapter_sha256, "confidence": 0.95, "measures": rows}

    def _read(self) -> list[tuple[Part, LanguageMeasure]]:
        assert self.file is not None
        try:
            content = json.loads(self.file.read_text(encoding="utf-8"))
            if (content["model"], content["adapter_sha256"]) != (self.model, self.adapter_sha256):
                return []
            return [(Part(row["part"], row["settings"]), _measure(row)) for row in content["measures"]]
        except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
            raise RunError(
                f"cannot read {str(self.file)!r} ({type(error).__name__}: {error}); remove it to measure anew"
            ) from None


def _measure(row: Mapping[str, Any]) -> LanguageMeasure:
    values = {field.name: row[field.name] for field in fields(LanguageMeasure)}
    interval = values["interval"]
    return LanguageMeasure(**{**values, "interval": None if interval is None else (interval[0], interval[1])})
