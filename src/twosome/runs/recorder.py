"""Writes what happens in a run, line by line: ``metrics.jsonl`` and ``episodes.jsonl``.

A line of ``metrics.jsonl`` describes one update: ``update``, ``decisions`` (so far), ``episodes`` (that ended in it),
``success``, ``discounted_return``, ``episode_decisions`` (their means; null where no episode ended, ``success`` also as
long as nothing has said what success is, see :mod:`twosome.success`), each metric of the algorithm and, where
``long_prompts`` allows it, ``cut_prompts`` (decisions whose prompt the model read only a part of).
``unpaid_updates`` (how many) is there until a reward was met, ``return_unit`` once returns are measured in more than 1.

A line of ``episodes.jsonl`` describes one episode: ``index``, ``seed``, ``success`` (null where nothing says so),
``told`` (false where not the environment but its rewards say so, else absent), ``truncated``, ``decisions``,
``duration``, ``discounted_return``; every n-th also has ``steps``, each with ``prompt``, ``actions``,
``probabilities``, ``action`` (index), ``reward``, ``duration`` and ``value``.

Neither holds a time: the same run writes the same bytes. ``timing.jsonl`` has ``update``, ``seconds`` of training since
the process began, ``cpu_seconds`` (of its processor time, that of environment processes not among them) and, for a
language model, what this update took with its rollout: ``tokens`` that went through the
model, ``decisions`` that it was asked for and how many were ``scored`` rather than remembered, ``prompts`` that the
critic was asked for and how many were ``read``. A resumed run remembers nothing at first, so these are not the same
twice.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Any

from twosome.episodes import Episode
from twosome.errors import ConfigError
from twosome.runs.journal import Journal
from twosome.success import Tally
from twosome.types import UpdateReport

METRICS_FILE = "metrics.jsonl"
EPISODES_FILE = "episodes.jsonl"
TIMING_FILE = "timing.jsonl"


class Recorder:
    """Appends to the three files of a run directory, and to TensorBoard if asked.

    Args:
        directory: The run directory.
        gamma: Discount per primitive step of the returns it reports.
        record_every: Every n-th episode is written with its steps.
        tensorboard: Also write event files.
    """

    def __init__(self, directory: Path, *, gamma: float, record_every: int = 10, tensorboard: bool = False) -> None:
        self._gamma = gamma
        self._record_every = record_every
        self._metrics = Journal(directory / METRICS_FILE)
        self._episodes = Journal(directory / EPISODES_FILE)
        self._timing = Journal(directory / TIMING_FILE)
        self._writer = _tensorboard_writer(directory) if tensorboard else None
        self._outcomes = Tally()

    def update(
        self,
        update: int,
        decisions: int,
        seconds: float,
        report: UpdateReport,
        episodes: Sequence[Episode],
        effort: Mapping[str, float],
    ) -> dict[str, Any]:
        """Record one update and the episodes that ended in it; returns the line of metrics."""
        self._outcomes.add(episode.outcome for episode in episodes)
        known = self._outcomes.way is not None
        line = {
            "update": update,
            "decisions": decisions,
            "episodes": len(episodes),
            "success": _mean([float(episode.success is True) for episode in episodes]) if known else None,
            "discounted_return": _mean([episode.discounted_return(self._gamma) for episode in episodes]),
            "episode_decisions": _mean([float(episode.length) for episode in episodes]),
            "optimizer_steps": report.optimizer_steps,
            "stopped_early": report.stopped_early,
            **report.metrics,
        }
        self._metrics.write(line)
        self._timing.write({"update": update, "seconds": round(seconds, 3), **effort})
        for episode in episodes:
            steps = episode.index % self._record_every == 0
            self._episodes.write(episode_record(episode, self._gamma, steps=steps))
        self._log_scalars(line, decisions)
        return line

    def state_dict(self) -> dict[str, Any]:
        """What the files hold: an exact continuation cuts off what a crash wrote after this."""
        return {
            "metrics": self._metrics.state_dict(),
            "episodes": self._episodes.state_dict(),
            "outcomes": self._outcomes.state_dict(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Cut the files to what they held.

        Raises:
            RunError: If something of that was lost or changed; the files are left as they are.
        """
        self._metrics.check(state["metrics"])
        self._episodes.check(state["episodes"])
        # Before there was a rule, every end was taken for told.
        self._outcomes = Tally(**state.get("outcomes", {"told": True}))
        self._metrics.load_state_dict(state["metrics"])
        self._episodes.load_state_dict(state["episodes"])

    def clear(self) -> None:
        """Begin the files anew."""
        self._outcomes = Tally()
        self._metrics.clear()
        self._episodes.clear()

    def close(self) -> None:
        """Close the files."""
        for journal in (self._metrics, self._episodes, self._timing):
            journal.close()
        if self._writer is not None:
            self._writer.close()

    def __enter__(self) -> Recorder:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _log_scalars(self, line: dict[str, Any], decisions: int) -> None:
        if self._writer is not None:
            for name, number in line.items():
                if isinstance(number, float):
                    self._writer.add_scalar(name, number, decisions)


def episode_record(episode: Episode, gamma: float, *, steps: bool) -> dict[str, Any]:
    """One line of ``episodes.jsonl``."""
    record: dict[str, Any] = {
        "index": episode.index,
        "seed": episode.seed,
        "success": episode.success,
        **({} if episode.told else {"told": False}),
        "truncated": episode.truncated,
        "decisions": episode.length,
        "duration": episode.duration,
        "discounted_return": episode.discounted_return(gamma),
    }
    if steps:
        record["steps"] = [
            {
                "prompt": step.decision.prompt,
                "actions": list(step.decision.actions),
                "probabilities": [round(probability, 6) for probability in step.probabilities],
                "action": step.action,
                "reward": step.reward,
                "duration": step.duration,
                "value": step.value,
            }
            for step in episode.steps
        ]
    return record


def _mean(numbers: Sequence[float]) -> float | None:
    return sum(numbers) / len(numbers) if numbers else None


def check_tensorboard() -> None:
    """Look whether event files can be written.

    Raises:
        ConfigError: If TensorBoard is not installed.
    """
    if find_spec("tensorboard") is None:
        raise ConfigError('tensorboard is not installed: pip install "twosome[tensorboard]"')


def _tensorboard_writer(directory: Path) -> Any:
    from torch.utils.tensorboard import SummaryWriter

    return SummaryWriter(str(directory / "tensorboard"))
