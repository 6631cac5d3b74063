"""The best policy a run had, kept beside the last one.

    best/                   a directory that can be read like a run: ``twosome evaluate RUN/best``
        best.json           which policy it is, how its episodes went, SHA-256 of the weights
        config.yaml         the run's
        adapter/ ...        the weights, as in the run

Training may lose what it had learned, and then neither the last weights nor the newest checkpoints have it. Episodes
are judged as they end, by the mean of the last :data:`WINDOW`, and kept are the weights that *played* them: those after
the update are worth nobody knows what.
"""

from __future__ import annotations

import json
import statistics
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError

from twosome.caching import file_sha256
from twosome.errors import RunError
from twosome.runs.files import (
    put_back,
    remove_directory,
    replace_directory,
    staging,
    write_json,
    write_text,
)
from twosome.settings.config import RunConfig, to_yaml
from twosome.types import TrainablePolicy

DIRECTORY = "best"
BEST_FILE = "best.json"
WINDOW = 20
"""Episodes whose mean return says how good a policy is."""


@dataclass(frozen=True)
class Standing:
    """How the last episodes went.

    Attributes:
        update: Updates that the policy which played the last of them had seen.
        decisions: Decisions until then, these episodes included.
        episodes: How many they are.
        discounted_return: Their mean.
        error: Standard error of that mean; 0 for one episode.
    """

    update: int
    decisions: int
    episodes: int
    discounted_return: float
    error: float

    def beats(self, other: Standing | None) -> bool:
        """Whether it is the better one. More episodes always are, up to a window: a first lucky one proves nothing."""
        if other is None:
            return True
        return (self.episodes, self.discounted_return) > (other.episodes, other.discounted_return)

    def fell_to(self, last: Standing) -> bool:
        """Whether ``last`` is worse by more than a twentieth and than episodes differ by chance."""
        drop = self.discounted_return - last.discounted_return
        size = max(abs(self.discounted_return), abs(last.discounted_return))
        return drop > 0.05 * size and drop > 2 * (self.error**2 + last.error**2) ** 0.5


class Best:
    """Keeps the best policy of a run in its directory.

    Attributes:
        best: How its episodes went; None before one ended.
        last: How the last ones went.
    """

    def __init__(self, run: Path, config: RunConfig) -> None:
        self.best: Standing | None = None
        self.last: Standing | None = None
        self._run = run
        self._config = config
        self._recent: list[float] = []

    def see(
        self, policy: TrainablePolicy, returns: Sequence[float], update: int, decisions: int, *, played: bool = True
    ) -> None:
        """Judge ``policy`` by the returns of episodes that ended; keep it if it ``played`` them, the best so far.

        Raises:
            RunError: If it cannot be written; the one that is there stays.
        """
        if not returns:
            return
        self._recent = [*self._recent, *returns][-WINDOW:]
        error = statistics.stdev(self._recent) / len(self._recent) ** 0.5 if len(self._recent) > 1 else 0.0
        self.last = Standing(update, decisions, len(self._recent), statistics.fmean(self._recent), error)
        if played and self.last.beats(self.best):
            self._keep(policy, self.last)
            self.best = self.last

    def state_dict(self) -> dict[str, Any]:
        """What a continuation needs beside the directory."""
        return {"recent": list(self._recent), "last": asdict(self.last) if self.last else None}

    def load_state_dict(self, state: Mapping[str, Any] | None) -> None:
        """Put back what :meth:`state_dict` returned, and look which policy was kept; None is of an older version."""
        state = state or {"recent": [], "last": None}
        self._recent = list(state["recent"])
        self.last = Standing(**state["last"]) if state["last"] else None
        self.best = self._kept()
        if self.last is not None and self.best is None:
            print(f"{DIRECTORY}/ is missing or damaged: the best policy is looked for from here on", file=sys.stderr)

    def clear(self) -> None:
        """Begin anew."""
        self.best = self.last = None
        self._recent = []
        remove_directory(self._run / DIRECTORY)

    def _keep(self, policy: TrainablePolicy, standing: Standing) -> None:
        try:
            with staging(self._run) as ready:
                place = ready / DIRECTORY
                place.mkdir()
                policy.save(place)
                weights = sorted(path for path in place.rglob("*.safetensors"))
                digests = {path.relative_to(place).as_posix(): file_sha256(path) for path in weights}
                write_json(place / BEST_FILE, {**asdict(standing), "sha256": digests})
                write_text(place / "config.yaml", to_yaml(self._config))
                replace_directory(place, self._run / DIRECTORY)
        except (OSError, SafetensorError) as error:
            raise RunError(f"cannot write the best policy to {str(self._run)!r}: {error}") from None

    def _kept(self) -> Standing | None:
        """The standing of the policy in the directory, if it is whole."""
        place = self._run / DIRECTORY
        put_back(place)
        try:
            content = json.loads((place / BEST_FILE).read_text(encoding="utf-8"))
            digests = content.pop("sha256")
            whole = bool(digests) and all(file_sha256(place / name) == digest for name, digest in digests.items())
            return Standing(**content) if whole else None
        except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
            return None


def best_directory(run: Path) -> Path:
    """Where the best policy of a run is.

    Raises:
        RunError: If none was kept.
    """
    place = run / DIRECTORY
    put_back(place)
    if not (place / BEST_FILE).is_file():
        raise RunError(
            f"no best policy in {str(run)!r}: no episode ended in training, or an older version trained it; leave out "
            "--best"
        )
    return place
