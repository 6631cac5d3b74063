"""Measures a world as the table of docs/worlds.md has it, in seeded random play.

    python -m tests.worlds.table babyai:GoToLocal [--model MODEL] [--decisions 300] [--scored 32]

Actions that are offered, tokens of prompts and of all actions together, each as least/median/most; steps per second of
the world with its narrator; decisions per second with the model reading them, as a rollout does, without gradient.
Seconds are of the clock, since some worlds work in a process of their own; so look at the load of the machine, too.
"""

from __future__ import annotations

import argparse
import random
import resource
import statistics
import time
from collections.abc import Sequence

import torch

from twosome.decision import Decision
from twosome.models.loading import load_tokenizer
from twosome.runs.agents import load_agent
from twosome.text.tasks import open_task
from twosome.tokens.encoding import encode_decision


def spread(numbers: Sequence[int]) -> str:
    """Least, median and most."""
    return f"{min(numbers):,}/{int(statistics.median(numbers)):,}/{max(numbers):,}"


def main() -> None:
    """Print one row."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("task")
    parser.add_argument("--model", default="embedded")
    parser.add_argument("--decisions", type=int, default=300)
    parser.add_argument("--scored", type=int, default=32, help="decisions that the model reads; 0 for none")
    parser.add_argument("--widest", action="store_true", help="those with most actions, instead of the first")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    met, seconds = _played(arguments.task, arguments.decisions)
    tokenizer = load_tokenizer(arguments.model)
    encoded = [encode_decision(tokenizer, decision) for decision in dict.fromkeys(met)]
    print(f"task {arguments.task}, {len(met)} decisions, {len(encoded)} different")
    print(f"actions {spread([len(decision.actions) for decision in met])}")
    print(f"prompt tokens {spread([len(one.prompt_ids) for one in encoded])}")
    print(f"tokens of all actions {spread([sum(map(len, one.action_ids)) for one in encoded])}")
    print(f"steps per second {len(met) / seconds:.1f}")
    if arguments.scored:
        different = list(dict.fromkeys(met))  # what was read before is remembered, and would cost nothing
        chosen = sorted(different, key=lambda one: -len(one.actions)) if arguments.widest else different
        _score(arguments.model, chosen[: arguments.scored + 1])
    print(f"memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:,.0f} MB at most")


def _played(task: str, count: int) -> tuple[list[Decision], float]:
    """Decisions of random play, and the seconds it took, without the making of the world."""
    choose, met, over, seed = random.Random(0), [], True, 0
    with open_task(task) as env:
        env.reset(seed=0)
        began = time.perf_counter()
        for _ in range(count):
            if over:
                observation, _ = env.reset(seed=seed)
                seed += 1
            met.append(Decision(observation["prompt"], tuple(observation["actions"])))
            observation, _, terminated, truncated, _ = env.step(choose.randrange(len(met[-1].actions)))
            over = terminated or truncated
        return met, time.perf_counter() - began


def _score(model: str, decisions: list[Decision]) -> None:
    """Print how fast a model reads decisions."""
    policy = load_agent(model=model).policy
    with torch.no_grad():
        policy.action_log_probs(decisions[:1])
        decisions = decisions[1:]
        began, cpu = time.perf_counter(), time.process_time()
        for place in range(0, len(decisions), 8):
            policy.action_log_probs(decisions[place : place + 8])
        seconds = time.perf_counter() - began
    rates = len(decisions) / seconds, len(decisions) / (time.process_time() - cpu)
    print("decisions per second {:.1f}, per second of processor time {:.1f}".format(*rates))


if __name__ == "__main__":
    main()
