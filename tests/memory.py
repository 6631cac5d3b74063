"""Measures what a long run takes: memory of the process, and bytes of its files per decision.

    python -m tests.memory --decisions 100000

A tiny model on a real task, so that 100,000 decisions take minutes. Exit status 1 if the memory after all decisions is
more than a tenth above that after a fifth of them, by when every cache has met most of what it will ever meet.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Any

import psutil
import torch

from tests.tiny import save_model, small_run
from twosome.runs.trainer import train

ALLOWED_GROWTH = 1.1


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.memory", description=__doc__.splitlines()[0])
    parser.add_argument("--decisions", type=int, default=100_000)
    parser.add_argument("--task", default="tomato-lettuce-salad")
    arguments = parser.parse_args()
    if arguments.decisions < 5000:
        parser.error("at least 5,000 decisions are needed to tell growth from warming up")
    torch.set_num_threads(1)

    process, taken = psutil.Process(), {}
    every = max(1, arguments.decisions // 10)

    def look(progress: Any) -> None:
        mark = progress.decisions // every * every
        if mark and mark not in taken:
            taken[mark] = process.memory_info().rss / 2**20
            print(f"{progress.decisions:>8} decisions  {taken[mark]:7.1f} MiB", flush=True)

    with tempfile.TemporaryDirectory() as folder:
        model, run = save_model(Path(folder) / "model"), Path(folder) / "run"
        settings = {"num_envs": 8, "rollout_steps": 64, "environment": {}, "save_every": 10, "record_every": 10}
        config = small_run(model, task=arguments.task, decisions=arguments.decisions, **settings)
        train(config, run, look)
        decisions = config.updates * config.decisions_per_update
        for name in ("metrics.jsonl", "episodes.jsonl", "timing.jsonl"):
            size = (run / name).stat().st_size
            each = f"{size / decisions:.1f} per decision, {size / config.updates:.0f} per update"
            print(f"{name:<16} {size:>10} bytes, {each}")
        saved = sum(path.stat().st_size for path in (run / "checkpoints").rglob("*") if path.is_file())
        print(f"{'checkpoints':<16} {saved:>10} bytes, whatever the number of decisions")
    marks = list(taken.values())
    growth = marks[-1] / marks[len(marks) // 5 - 1]
    print(f"memory at the end is {growth:.3f} of that after a fifth of the decisions")
    return 0 if growth <= ALLOWED_GROWTH else 1


if __name__ == "__main__":
    sys.exit(main())
