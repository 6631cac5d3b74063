"""What an agent is worth on a task, as one line of ``measurements.jsonl`` that a report reads."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from twosome.caching import write_whole
from twosome.envs.exploring import WorldTooLarge
from twosome.errors import ConfigError, RunError
from twosome.evaluation.advised import evaluate_oracle
from twosome.evaluation.exact import evaluate_exactly
from twosome.evaluation.optimum import optimal_play
from twosome.evaluation.sampled import Evaluation, evaluate
from twosome.runs.journal import read_lines
from twosome.types import Policy

MEASUREMENTS_FILE = "measurements.jsonl"
EPISODES = 100
"""Episodes where a task cannot be evaluated exactly, as in the paper."""


@dataclass(frozen=True)
class Subject:
    """Who is measured, and how its decisions are worded.

    Attributes:
        agent: uniform, optimum, zero-shot, random-weights, twosome, twosome-full, ppo, ppo-unmasked, saycan or
            saycan-oracle, or "server " and the name of a decision server.
        trained_on: The task it was trained on, or None.
        normalization: How phrases are scored, or None where none are.
        control: "permuted" where the phrases were permuted across the actions, "renamed" where things had made-up
            names.
        seed: The seed of its training, of its random weights, or of the control; None where nothing is drawn.
    """

    agent: str
    trained_on: str | None = None
    normalization: str | None = None
    control: Literal["permuted", "renamed"] | None = None
    seed: int | None = None


@dataclass(frozen=True)
class Measurement:
    """What a subject is worth on a task.

    Attributes:
        subject: Who was measured.
        task: Where.
        greedy: Whether the most probable action was always taken.
        method: Computed over all states to which it comes, or the mean of episodes.
        episodes: How many, or None.
        success: Fraction of episodes that end in success; None where the world does not say what success is.
        success_interval: Its 95 % interval, or None where it is exact or unknown.
        discounted_return: Mean return, discounted by the task's gamma.
        return_interval: Its 95 % interval, or None where it is exact.
        optimum: Return of the best policy, or None where that is not known.
        calibration_error: Of the probabilities of what it does (:mod:`twosome.calibration`); None where
            they were not computed exactly.
        server: What is known of the decision server that was asked, if it was one: framing, model, rounding.
        missed: Where it was computed, probability that an episode comes to a state that was not asked for
            (:class:`~twosome.evaluation.exact.ExactEvaluation`).
    """

    subject: Subject
    task: str
    greedy: bool
    method: Literal["exact", "episodes"]
    episodes: int | None
    success: float | None
    success_interval: tuple[float, float] | None
    discounted_return: float
    return_interval: tuple[float, float] | None
    optimum: float | None
    calibration_error: float | None = None
    server: Mapping[str, Any] | None = None
    missed: float = 0.0

    @property
    def key(self) -> Key:
        """What no two measurements have in common."""
        return self.subject, self.task, self.greedy

    def to_json(self) -> dict[str, Any]:
        """The line of the file."""
        line = asdict(self)
        line = {**line.pop("subject"), **line}
        line["return"] = line.pop("discounted_return")
        if line["server"] is None:
            del line["server"]
        if not line["missed"]:
            del line["missed"]
        return line

    @classmethod
    def from_json(cls, line: Mapping[str, Any]) -> Measurement:
        """The inverse of :meth:`to_json`.

        Raises:
            RunError: If the line is no measurement.
        """
        values = dict(line)
        try:
            subject = Subject(**{name: values.pop(name) for name in Subject.__dataclass_fields__})
            for name in ("success_interval", "return_interval"):
                if values[name] is not None:
                    low, high = values[name]
                    values[name] = float(low), float(high)
            return cls(subject, discounted_return=values.pop("return"), **values)
        except (KeyError, TypeError, ValueError) as error:
            raise RunError(f"this line of {MEASUREMENTS_FILE} is no measurement ({error!r}): {line!r:.200}") from None


Key = tuple[Subject, str, bool]


def measure(
    policy: Policy,
    subject: Subject,
    task: str,
    *,
    gamma: float,
    greedy: bool,
    environment: Mapping[str, Any],
    within: float = 0.0,
) -> Measurement:
    """Measure a policy: exactly where all states of the task can be looked at, else over 100 episodes.

    ``within`` is the share of episodes that may come to states in which it is not asked.
    """
    try:
        exact = evaluate_exactly(policy, task, gamma=gamma, greedy=greedy, environment=environment, within=within)
    except ConfigError as error:
        if not isinstance(error, WorldTooLarge) and "does not show its states" not in str(error):
            raise
        return _sampled(policy, subject, task, gamma=gamma, greedy=greedy, environment=environment)
    return Measurement(
        subject,
        task,
        greedy,
        method="exact",
        episodes=None,
        success=exact.success,
        success_interval=None,
        discounted_return=exact.discounted_return,
        return_interval=None,
        optimum=exact.optimal_return,
        calibration_error=exact.calibration_error,
        missed=exact.missed,
    )


def measure_optimum(task: str, *, gamma: float, environment: Mapping[str, Any]) -> Measurement | None:
    """What the best play of a task is worth: by search, else what the world's oracle reaches; None without either."""
    best = optimal_play(task, gamma, environment)
    if best is None:
        found = evaluate_oracle(task, episodes=EPISODES, gamma=gamma, environment=environment)
        return None if found is None else _of_episodes(found, Subject("optimum"), task, greedy=True)
    return Measurement(
        Subject("optimum"),
        task,
        greedy=True,
        method="exact",
        episodes=None,
        success=None if best.success is None else float(best.success),
        success_interval=None,
        discounted_return=best.value,
        return_interval=None,
        optimum=best.value,
    )


def _sampled(
    policy: Policy, subject: Subject, task: str, *, gamma: float, greedy: bool, environment: Mapping[str, Any]
) -> Measurement:
    found = evaluate(policy, task, episodes=EPISODES, gamma=gamma, greedy=greedy, environment=environment)
    return _of_episodes(found, subject, task, greedy=greedy)


def _of_episodes(found: Evaluation, subject: Subject, task: str, *, greedy: bool) -> Measurement:
    success, returned = found.success, found.discounted_return
    return Measurement(
        subject,
        task,
        greedy,
        method="episodes",
        episodes=found.episodes,
        success=None if success is None else success.mean,
        success_interval=None if success is None else (success.low, success.high),
        discounted_return=returned.mean,
        return_interval=(returned.low, returned.high),
        optimum=None,
    )


class Measurements:
    """The measurements of a directory: read, added to, and in the end put in order.

    Args:
        directory: Holds ``measurements.jsonl``, or will.

    Raises:
        RunError: If a line of it is no measurement. A torn last line, left by a crash, is dropped.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._file = directory / MEASUREMENTS_FILE
        lines = read_lines(self._file) if self._file.exists() else []
        self._known = {found.key: found for found in map(Measurement.from_json, lines)}

    def __contains__(self, key: Key) -> bool:
        return key in self._known

    def get(self, key: Key) -> Measurement | None:
        """The measurement of that key, if it was made."""
        return self._known.get(key)

    def __len__(self) -> int:
        return len(self._known)

    def add(self, measured: Iterable[Measurement]) -> None:
        """Keep measurements; they are on the disk when this returns.

        The file is always in one order, so it does not depend on which measurement was ready first.
        """
        self._known |= {found.key: found for found in measured}
        self.directory.mkdir(parents=True, exist_ok=True)
        lines = sorted(json.dumps(found.to_json()) for found in self._known.values())
        write_whole(self._file, "".join(f"{line}\n" for line in lines))
