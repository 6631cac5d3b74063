"""How far a run is, as a display shows it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from twosome.runs.best import Standing


@dataclass(frozen=True)
class Progress:
    """What a progress display needs after every update.

    Attributes:
        update: Updates so far.
        updates: Updates the run will take.
        first: Updates that were there when this process began.
        decisions_per_update: Decisions in one update.
        seconds: Seconds of training in this process.
        metrics: The update's line of ``metrics.jsonl``.
        scoring: How the model is read.
        best: How the episodes of the best policy so far went; None before one ended.
        last: How the last ones went.
    """

    update: int
    updates: int
    first: int
    decisions_per_update: int
    seconds: float
    metrics: dict[str, Any]
    scoring: str
    best: Standing | None = None
    last: Standing | None = None

    @property
    def decisions(self) -> int:
        """Decisions so far."""
        return self.update * self.decisions_per_update

    @property
    def total(self) -> int:
        """Decisions the run will take."""
        return self.updates * self.decisions_per_update

    @property
    def rate(self) -> float:
        """Decisions per second, in this process."""
        return (self.update - self.first) * self.decisions_per_update / max(self.seconds, 1e-9)

    @property
    def seconds_left(self) -> float:
        """Time left at that rate."""
        return (self.total - self.decisions) / self.rate
