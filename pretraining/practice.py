"""What the prior is worth in practice: decisions until a share of the optimum, and processor time by size of the model.

Pretrained and random weights practise with the same preset, tuned for the pretrained ones, and the same seeds.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

from transformers import AutoTokenizer

from pretraining import results
from pretraining.controls import RANDOM, random_model
from pretraining.train import TrainConfig, build_model
from pretraining.trainings import TRAININGS
from twosome.cli.train import parse
from twosome.evaluation.exact import evaluate_exactly
from twosome.models.loading import EMBEDDED, EMBEDDED_DIRECTORY
from twosome.runs.agents import load_agent
from twosome.runs.config import RunConfig, to_yaml
from twosome.runs.directory import CONFIG_FILE, RunDirectory
from twosome.runs.journal import read_lines
from twosome.runs.recorder import EPISODES_FILE, METRICS_FILE
from twosome.runs.trainer import Progress, resume, train
from twosome.types import Policy

WINDOW = 20
SHARES = (0.9, 0.95)
PRETRAINED = "pretrained"
WARM_UP_UPDATES, REPETITIONS = 1, 2
SIZES = ("small", "standard", "large")


def practise(
    task: str,
    seeds: Sequence[int],
    directory: Path,
    decisions: int | None = None,
    others: Mapping[str, Path] | None = None,
    out: Path = results.DIRECTORY,
) -> None:
    """Train pretrained, random and other weights on a task and write ``practice.json``.

    What is there for these weights and settings is not done again, and a run under way is taken up.

    Args:
        task: The task.
        seeds: Of the practice; random weights are drawn anew for each.
        directory: Where the runs are; one with the same settings that is there already, from wherever, is used.
        decisions: To train for; None for the preset's.
        others: Further model directories by what the results call them.
        out: Where the results are.
    """
    weights = results.weights_hash(EMBEDDED_DIRECTORY)
    known = results.load("practice", out)
    rows: list[dict[str, Any]] = known["rows"] if known.get("weights") == weights else []
    for seed in seeds:
        models = {PRETRAINED: EMBEDDED, RANDOM: str(_random_directory(directory, seed))}
        models |= {name: str(path) for name, path in (others or {}).items()}
        for name, model in models.items():
            words = [task, "--seed", str(seed), "--model", model]
            config, _ = parse(words + (["--decisions", str(decisions)] if decisions else []))
            key = task, name, config.updates * config.decisions_per_update, seed
            settings = hashlib.sha256(to_yaml(replace(config, model="")).encode()).hexdigest()[:12]
            rows = [row for row in rows if _key(row) != key or row.get("settings") == settings]
            if any(_key(row) == key for row in rows):
                continue
            run = directory / "-".join(str(part).replace(" ", "-") for part in key)
            rows.append({"model": name, **_practise_once(config, run), "settings": settings})
            print(json.dumps(rows[-1]), flush=True)
            rows.sort(key=_key)
            results.store("practice", {"weights": weights, "window": WINDOW, "rows": rows}, out)


def _key(row: Mapping[str, Any]) -> tuple[str, str, int, int]:
    return row["task"], row["model"], row["decisions"], row["seed"]


def _random_directory(directory: Path, seed: int) -> Path:
    """Return a model directory with random weights, made if it is not there."""
    path = directory / f"random-{seed}"
    if not (path / "config.json").exists():
        _save(random_model(EMBEDDED_DIRECTORY, seed), path)
    return path


def _save(model: Any, path: Path) -> None:
    model.save_pretrained(str(path))
    AutoTokenizer.from_pretrained(EMBEDDED_DIRECTORY).save_pretrained(str(path))


def _practise_once(config: RunConfig, directory: Path) -> dict[str, Any]:
    policy = _trained(config, directory)
    end = evaluate_exactly(policy, config.task, gamma=config.ppo.gamma)
    lines = [read_lines(directory / name) for name in (METRICS_FILE, EPISODES_FILE)]
    reached = decisions_until(*lines, end.optimal_return)
    return {
        "task": config.task,
        "seed": config.seed,
        "decisions": config.updates * config.decisions_per_update,
        **{f"until_{round(share * 100)}": count for share, count in zip(SHARES, reached, strict=True)},
        "success": round(end.success, results.DIGITS),
        "mean_return": round(end.discounted_return, results.DIGITS),
        "optimum": round(end.optimal_return, results.DIGITS),
    }


def _trained(config: RunConfig, directory: Path) -> Policy:
    """The policy at the end of a run, which is made or taken up if need be; one with other settings is made anew."""
    if (directory / CONFIG_FILE).is_file():
        run = RunDirectory.open(directory)
        if run.config == config:
            return load_agent(directory).policy if run.finished else resume(directory)
        shutil.rmtree(directory)
    return train(config, directory)


def decisions_until(
    metrics: Sequence[Mapping[str, Any]], episodes: Sequence[Mapping[str, Any]], optimum: float
) -> list[int | None]:
    """Return the decisions taken when the mean return of the last episodes first reaches each share of the optimum.

    Args:
        metrics: Lines of ``metrics.jsonl``, one per update.
        episodes: Lines of ``episodes.jsonl``, in the order in which the episodes ended.
        optimum: The best possible return.

    Returns:
        For each of :data:`SHARES` a number of decisions, whole updates; None if it was not reached.
    """
    found: dict[float, int | None] = dict.fromkeys(SHARES)
    ended = 0
    for update in metrics:
        ended += update["episodes"]
        last = [episode["discounted_return"] for episode in episodes[max(0, ended - WINDOW) : ended]]
        for share in SHARES:
            if found[share] is None and len(last) == WINDOW and sum(last) / WINDOW >= share * optimum:
                found[share] = update["decisions"]
    return list(found.values())


def measure_cost(directory: Path, updates: int = 5, out: Path = results.DIRECTORY) -> None:
    """Measure the processor time of a PPO update on tomato salad by size of the model, in turns; write ``cost.json``.

    All sizes have random weights and no KL limit, so that they do the same work; an update's time is the median over
    updates and repetitions, the first update of each left out.
    """
    sizes = {training.name: training.changes for training in TRAININGS if training.name in SIZES}
    seconds: dict[str, list[float]] = {name: [] for name in sizes}
    counts: dict[str, int] = {}
    for _ in range(REPETITIONS):
        for name, changes in sizes.items():
            model = build_model(TrainConfig(**changes))
            counts[name] = sum(weight.numel() for weight in model.parameters())
            _save(model, directory / f"cost-{name}")
            seconds[name] += _update_seconds(directory / f"cost-{name}", directory / f"cost-{name}-run", updates)
    one = median(seconds["standard"])
    rows = [
        {
            "model": name,
            "parameters": counts[name],
            "cpu_seconds": round(median(found), 3),
            "ratio": round(median(found) / one, 2),
            "updates": len(found),
        }
        for name, found in seconds.items()
    ]
    for row in rows:
        print(json.dumps(row), flush=True)
    results.store("cost", {"task": "tomato-salad", "rows": rows}, out)


def _update_seconds(model: Path, run: Path, updates: int) -> list[float]:
    words = ["tomato-salad", "--model", str(model), "--ppo.target_kl", "null"]
    size = parse(words)[0].decisions_per_update
    config, _ = parse([*words, "--decisions", str(updates * size)])
    stamps = [time.process_time()]

    def stamp(progress: Progress) -> None:
        stamps.append(time.process_time())

    shutil.rmtree(run, ignore_errors=True)
    train(config, run, stamp)
    return [after - before for before, after in pairwise(stamps[WARM_UP_UPDATES:])]
