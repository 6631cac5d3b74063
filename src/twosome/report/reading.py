"""Finds and reads the files a report is made of. Whatever is missing is left out; what cannot be read is told.

config.yaml, metrics.jsonl, episodes.jsonl    of every run (see docs/runs.md)
replay.json                                   of a run: episodes with pictures (see docs/report.md)
measurements.jsonl                            of a directory of runs: one measured agent and task per line
language.json                                 of a run or a directory of runs: what became of the language model
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from twosome.errors import RunError

CONFIG_FILE = "config.yaml"
METRICS_FILE = "metrics.jsonl"
EPISODES_FILE = "episodes.jsonl"
REPLAY_FILE = "replay.json"
MEASUREMENTS_FILE = "measurements.jsonl"
LANGUAGE_FILE = "language.json"
RUNS = "runs"
"""Below it, runs lie as AGENT/TASK/NORMALIZATION/seedN."""
TRAINED, FINETUNED = "twosome", "twosome-full"
"""The agent of a run whose place does not name another."""
NORMALIZATIONS = ("sum", "token", "word", "byte")


@dataclass(frozen=True)
class Run:
    """One run directory.

    Attributes:
        path: Where it lies.
        agent: What was trained: twosome, ppo, ...
        task: What it was trained on.
        normalization: How phrases were scored, or None where none are.
        seed: The run's seed.
        config: All its settings.
        metrics: Lines of metrics.jsonl.
        episodes: Lines of episodes.jsonl, without their steps.
        replay: The content of replay.json, or None.
    """

    path: Path
    agent: str
    task: str
    normalization: str | None
    seed: int
    config: Mapping[str, Any]
    metrics: Sequence[Mapping[str, Any]] = field(repr=False)
    episodes: Sequence[Mapping[str, Any]] = field(repr=False)
    replay: Mapping[str, Any] | None = field(repr=False, default=None)

    @property
    def name(self) -> str:
        """What it is called: its directory, or all of its place where that names the agent."""
        return _name(self.path)

    @property
    def decisions(self) -> int:
        """Decisions taken so far."""
        return int(self.metrics[-1]["decisions"]) if self.metrics else 0

    @property
    def finished(self) -> bool:
        """Whether it took all decisions it was to take."""
        return self.decisions >= (number(self.config.get("decisions")) or 0)


@dataclass(frozen=True)
class Measured:
    """One line of measurements.jsonl; the fields are explained in docs/report.md. Success may be unknown."""

    agent: str
    task: str
    success: float | None
    discounted_return: float
    trained_on: str | None = None
    normalization: str | None = None
    control: str | None = None
    seed: int | None = None
    method: str = "episodes"
    episodes: int | None = None
    success_interval: tuple[float, float] | None = None
    return_interval: tuple[float, float] | None = None
    optimum: float | None = None
    greedy: bool = False
    calibration_error: float | None = None


@dataclass(frozen=True)
class Material:
    """Everything that was found.

    Attributes:
        runs: The runs, in the order of their paths.
        measurements: What was measured.
        language: Contents of language.json files, with the name of the place they were found in.
        notes: What could not be read, in sentences.
    """

    runs: Sequence[Run]
    measurements: Sequence[Measured]
    language: Sequence[tuple[str, Mapping[str, Any]]]
    notes: Sequence[str]


def find_runs(directory: Path) -> list[Path]:
    """The run directories that a directory is or holds.

    Raises:
        RunError: If it is no directory.
    """
    if not directory.is_dir():
        raise RunError(f"no directory {str(directory)!r}: give run directories, or one that holds runs")
    if (directory / CONFIG_FILE).is_file():
        return [directory]
    found = sorted(file.parent for file in directory.rglob(CONFIG_FILE) if not _hidden(file, directory))
    return [run for run in found if not any(other in run.parents for other in found)]


def read(directories: Sequence[Path]) -> Material:
    """Read all that lies in the directories.

    Raises:
        RunError: If one is no directory, or there is neither a run nor a measurement in any.
    """
    notes: list[str] = []
    runs: dict[Path, Run] = {}
    measurements: list[Measured] = []
    language: list[tuple[str, Mapping[str, Any]]] = []
    for directory in dict.fromkeys(path.resolve() for path in directories):
        found = find_runs(directory)
        for path in found:
            if path not in runs and (run := _read_run(path, notes)) is not None:
                runs[path] = run
        for place in dict.fromkeys([directory, *found]):
            measurements += _read_measurements(place / MEASUREMENTS_FILE, notes)
            if (place / LANGUAGE_FILE).is_file() and (content := _read_json(place / LANGUAGE_FILE, notes)) is not None:
                language.append((_name(place), content))
    if not runs and not measurements:
        names = ", ".join(repr(str(directory)) for directory in directories)
        raise RunError(
            f"nothing to report in {names}: expected run directories (with {CONFIG_FILE} and {METRICS_FILE}) or "
            f"{MEASUREMENTS_FILE}" + "".join(f"; {note}" for note in notes)
        )
    return Material(list(runs.values()), measurements, language, notes)


def number(value: Any) -> float | None:
    """A finite number, or None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value)


def _read_run(path: Path, notes: list[str]) -> Run | None:
    try:
        config = yaml.safe_load((path / CONFIG_FILE).read_text(encoding="utf-8"))
        if not isinstance(config, Mapping) or not isinstance(config.get("task"), str):
            raise ValueError("it names no task")
        metrics = [line for line in _lines(path / METRICS_FILE) if number(line.get("decisions")) is not None]
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        notes.append(f"The run {path.name} was left out: {_reason(error)}.")
        return None
    place = _place(path)
    agent = place[0] if place else _agent(config)
    scored = str(config.get("normalization", "word")) if agent in (TRAINED, FINETUNED) else None
    named = place[2].replace("-by-", "/") if place else ""
    normalization = named if named.split("/")[0] in NORMALIZATIONS else scored
    replay = _read_json(path / REPLAY_FILE, notes) if (path / REPLAY_FILE).is_file() else None
    return Run(
        path=path,
        agent=agent,
        task=config["task"],
        normalization=normalization,
        seed=int(number(config.get("seed")) or 0),
        config=config,
        metrics=metrics,
        episodes=_read_episodes(path / EPISODES_FILE),
        replay=replay,
    )


def _agent(config: Mapping[str, Any]) -> str:
    """The key of the agent that a run with these settings trains."""
    if config.get("policy") == "vector":
        environment = config.get("environment")
        return "ppo-unmasked" if isinstance(environment, Mapping) and environment.get("all_actions") else "ppo"
    return FINETUNED if config.get("finetune") == "full" else TRAINED


def _read_episodes(path: Path) -> list[Mapping[str, Any]]:
    """Outcomes of episodes; their steps are dropped, because they are most of the file."""
    if not path.is_file():
        return []
    return [{name: value for name, value in line.items() if name != "steps"} for line in _lines(path)]


def _name(run: Path) -> str:
    place = _place(run)
    return "/".join(place) if place else run.name


def _place(run: Path) -> tuple[str, ...]:
    """Agent, task, normalization and seed that the place of a run names, or nothing."""
    parts = run.resolve().parts[-5:]
    return parts[1:] if len(parts) == 5 and parts[0] == RUNS and parts[4].startswith("seed") else ()


def _read_measurements(path: Path, notes: list[str]) -> list[Measured]:
    if not path.is_file():
        return []
    found, refused = [], 0
    for line in _lines(path):
        measured = _measured(line)
        if measured is None:
            refused += 1
        else:
            found.append(measured)
    if refused:
        notes.append(f"{refused} lines of {path.parent.name}/{path.name} are no measurements and were left out.")
    return found


def _measured(line: Mapping[str, Any]) -> Measured | None:
    agent, task = line.get("agent"), line.get("task")
    success, discounted_return = number(line.get("success")), number(line.get("return"))
    if not isinstance(agent, str) or not isinstance(task, str) or discounted_return is None:
        return None
    if success is None and line.get("success", ...) is not None:
        return None
    return Measured(
        agent,
        task,
        success,
        discounted_return,
        trained_on=_word(line.get("trained_on")),
        normalization=_word(line.get("normalization")),
        control=_word(line.get("control")),
        seed=_count(line.get("seed")),
        episodes=_count(line.get("episodes")),
        method=str(line.get("method", "episodes")),
        success_interval=_ends(line.get("success_interval")),
        return_interval=_ends(line.get("return_interval")),
        optimum=number(line.get("optimum")),
        greedy=line.get("greedy") is True,
        calibration_error=number(line.get("calibration_error")),
    )


def _word(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _count(value: Any) -> int | None:
    found = number(value)
    return None if found is None else int(found)


def _ends(value: Any) -> tuple[float, float] | None:
    if not isinstance(value, list) or len(value) != 2:
        return None
    low, high = number(value[0]), number(value[1])
    return (low, high) if low is not None and high is not None else None


def _read_json(path: Path, notes: list[str]) -> Mapping[str, Any] | None:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(content, Mapping):
            raise ValueError("it holds no JSON object")
    except (OSError, ValueError, RecursionError) as error:
        notes.append(f"{path.parent.name}/{path.name} was left out: {_reason(error)}.")
        return None
    return content


def _lines(path: Path) -> Iterator[Mapping[str, Any]]:
    """The records of a JSON Lines file up to the first that is torn, as a crash may leave the last one."""
    with path.open("rb") as file:
        for line in file:
            try:
                record = json.loads(line)
            except (ValueError, RecursionError):
                return
            if isinstance(record, Mapping):
                yield record


def _reason(error: Exception) -> str:
    if isinstance(error, OSError):
        return f"{error.strerror or error}"
    return " ".join(str(error).split())


def _hidden(file: Path, root: Path) -> bool:
    return any(part.startswith(".") for part in file.relative_to(root).parts)
