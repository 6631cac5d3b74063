"""Ours beside Stable-Baselines3: the same task, networks and settings, several seeds, evaluated exactly.

python -m tests.baselines --task food-preparation --decisions 10000 --seeds 5

What has no counterpart in the library is off: durations, value clipping, annealing, the KL stop. Left to each: ours
clips the gradients of actor and critic apart, the library together; draws and weights differ by their generators.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np
import torch

from tests.baselines.library import comparable, copy_weights, make_library_agent
from twosome.evaluation.exact import evaluate_exactly
from twosome.runs.building import vector_policy
from twosome.runs.trainer import train
from twosome.settings.config import RunConfig
from twosome.types import Policy


def settings(task: str, decisions: int, seed: int) -> RunConfig:
    """The preset, without what the library does not have."""
    return replace(comparable(task), decisions=decisions, seed=seed)


def ours(config: RunConfig) -> Policy:
    """Our agent, trained."""
    with tempfile.TemporaryDirectory() as directory:
        return train(config, Path(directory) / "run")


def theirs(config: RunConfig) -> Policy:
    """The library's agent, trained, as one of ours so that it can be evaluated exactly."""
    agent = make_library_agent(config)
    agent.learn(config.updates * config.decisions_per_update)
    policy = vector_policy(config)
    copy_weights(agent, policy)
    return policy


def permutation_test(first: Sequence[float], second: Sequence[float]) -> float:
    """How often as large a difference of means comes about if the numbers were dealt out at random; exact."""
    numbers, observed = [*first, *second], abs(np.mean(first) - np.mean(second))

    def differences() -> Iterator[float]:
        for chosen in combinations(range(len(numbers)), len(first)):
            picked = [numbers[i] for i in chosen]
            rest = (sum(numbers) - sum(picked)) / len(second)
            yield abs(sum(picked) / len(first) - rest)

    found = list(differences())
    return sum(difference >= observed - 1e-12 for difference in found) / len(found)


def interval(first: Sequence[float], second: Sequence[float]) -> list[float]:
    """95 % bootstrap interval of the difference of means, seeds resampled within each side."""
    draw = np.random.default_rng(0)
    means = [draw.choice(side, (10_000, len(side))).mean(1) for side in (np.array(first), np.array(second))]
    return [float(x) for x in np.quantile(means[0] - means[1], [0.025, 0.975])]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.baselines")
    parser.add_argument("--task", default="food-preparation")
    parser.add_argument("--decisions", type=int, default=10_000)
    parser.add_argument("--seeds", type=int, default=5)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    returns: dict[str, list[float]] = {"ours": [], "stable-baselines3": []}
    for seed in range(arguments.seeds):
        config = settings(arguments.task, arguments.decisions, seed)
        for name, make in (("ours", ours), ("stable-baselines3", theirs)):
            result = evaluate_exactly(
                make(config),
                config.task,
                gamma=config.ppo.gamma,
                environment={**config.environment, **config.narration},
            )
            returns[name].append(result.discounted_return)
            print(
                f"{config.task} seed {seed} {name:<18} {result.success:.4f} {result.discounted_return:.4f}", flush=True
            )
    summary = {
        "task": arguments.task,
        "decisions": arguments.decisions,
        "seeds": arguments.seeds,
        "returns": returns,
        "means": {name: float(np.mean(numbers)) for name, numbers in returns.items()},
        "difference_interval": interval(*returns.values()),
        "p": permutation_test(*returns.values()),
    }
    print(json.dumps(summary))


if __name__ == "__main__":
    main()
