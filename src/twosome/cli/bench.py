"""``twosome bench WHAT``: measure speed on this machine."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING

from twosome.errors import ConfigError
from twosome.terminal.benchmarks import print_errors, print_scoring
from twosome.terminal.parsing import (
    Parser,
    add_device_argument,
    add_json_argument,
    add_seed_argument,
    add_threads_argument,
    positive,
)

if TYPE_CHECKING:
    import argparse

DTYPES = ("float32", "bfloat16", "float16")


def run(words: list[str]) -> int:
    """Run the command."""
    names = ", ".join(BENCHMARKS)
    parser = Parser(
        prog="twosome bench",
        description=f"Measure speed on this machine: {names}.",
        epilog="`twosome bench WHAT --help` tells more.",
    )
    parser.add_argument("what", metavar="WHAT", help=f"one of: {names}")
    arguments = parser.parse_args(words[:1])
    if arguments.what not in BENCHMARKS:
        raise ConfigError(f"unknown benchmark {arguments.what!r}; choose one of: {names}")
    return BENCHMARKS[arguments.what](words[1:])


def _add_repetitions(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--repetitions", type=positive, default=5, help="of which the median is told (default: 5)")


def _add_size(parser: argparse._ActionsContainer) -> None:
    parser.add_argument("--size", default="3m", help="3m, 30m, 125m or 7b (default: 3m)")


def worlds(words: list[str]) -> int:
    """Decisions per second of the worlds, bare and in words, and frames per second."""
    parser = Parser(
        prog="twosome bench worlds",
        description="Decisions per second of processor time through env.step, resets included, against the published "
        "environments; the same in words; and pictures per second. Medians of several repetitions in one process.",
    )
    parser.add_argument("--steps", type=positive, default=50_000, help="decisions per repetition (default: 50000)")
    _add_repetitions(parser)
    add_json_argument(parser, "one JSON line only")
    arguments = parser.parse_args(words)

    from twosome.bench.worlds import WORLDS, measure_world

    speeds = [measure_world(task, steps=arguments.steps, repetitions=arguments.repetitions) for task in WORLDS]
    if arguments.json:
        print(json.dumps({"benchmark": "worlds", "worlds": [asdict(speed) for speed in speeds]}))
        return 0
    print(f"{'per second of one core':<22} {'steps':>10} {'published':>10} {'ratio':>8} {'in words':>10} {'frames':>8}")
    for speed in speeds:
        print(
            f"{speed.task:<22} {speed.steps:>10,.0f} {speed.published:>10,.0f} {speed.ratio:>7,.0f}x "
            f"{speed.text_steps:>10,.0f} {speed.frames:>8,.0f}"
        )
    return 0


def scoring(words: list[str]) -> int:
    """A PPO cycle against the plain way, phase by phase; agreement first."""
    parser = Parser(
        prog="twosome bench scoring",
        description="Processor time of a PPO cycle (4 environments, 32 steps, one epoch) on a LLaMA of random weights, "
        "or on a trained model (--model), against the plain way: a padded row per prompt and action, the critic by a "
        "pass of its own, nothing remembered, measured on a few samples and scaled. First both must agree, a trained "
        "model's readings with a higher precision; if they do not, the exit status is 1. Medians of alternating "
        "repetitions.",
    )
    model, decisions = parser.add_mutually_exclusive_group(), parser.add_mutually_exclusive_group()
    _add_size(model)
    decisions.add_argument(
        "--workload",
        default="overcooked",
        help="overcooked, virtualhome, instruction (300 shared tokens), 100-tokens (and 8 actions of 5), or 5-, 20-, "
        "100-, 1000-actions (default: overcooked)",
    )
    model.add_argument("--model", help="a trained model in place of a size: hub id or directory")
    decisions.add_argument("--task", help="a task in place of a workload, its decisions as play meets them")
    parser.add_argument(
        "--play", choices=("uniform", "untrained"), default="uniform", help="of the task (default: uniform)"
    )
    add_seed_argument(parser, "of play and of a trained model's adapter")
    parser.add_argument("--rank", type=positive, default=8, help="of a trained model's adapter (default: 8)")
    parser.add_argument(
        "--decisions", type=positive, default=8, help="on which a trained model's errors are measured (default: 8)"
    )
    parser.add_argument("--unique", type=float, default=0.3, help="fraction of distinct decisions (default: 0.3)")
    parser.add_argument("--dtype", choices=DTYPES, default="float32", help="of our frozen weights (default: float32)")
    parser.add_argument("--top-layers", type=positive, help="our adapter on the last so many layers only")
    _add_repetitions(parser)
    parser.add_argument(
        "--sampled", type=positive, default=2, help="steps of the plain way per repetition (default: 2)"
    )
    parser.add_argument(
        "--accumulation",
        type=positive,
        default=8,
        help="minibatches of 4 to an optimizer step; 32 are a rollout (default: 8)",
    )
    add_threads_argument(parser)
    add_device_argument(parser)
    parser.add_argument("--token-budget", type=positive, help="most tokens in one of our passes")
    parser.add_argument(
        "--attention",
        choices=("segments", "sparse"),
        default="segments",
        help="of our packs; sparse takes a GPU (default: segments)",
    )
    add_json_argument(parser, "one JSON line only")
    arguments = vars(parser.parse_args(words))
    threads, as_json = arguments.pop("threads"), arguments.pop("json")

    import torch

    from twosome.bench.scoring import ScoringBench
    from twosome.bench.scoring_report import Setup

    setup = Setup(**arguments)
    torch.set_num_threads(threads)
    bench = ScoringBench(setup, on_progress=tell)
    agreement = bench.agreement()
    problems = agreement.problems(bench.exact, threads == 1 and setup.device == "cpu")
    for problem in problems:
        print(f"the two ways disagree: {problem}", file=sys.stderr)
    if problems:
        return 1
    report = bench.run(agreement)
    line = json.dumps({**report.as_dict(), "threads": threads, **machine()})
    if not as_json:
        print_scoring(report, threads)
    print(line)
    return 0


def actions(words: list[str]) -> int:
    """What many actions cost, in time and memory."""
    parser = Parser(
        prog="twosome bench actions",
        description="Processor time and memory of scoring four decisions with a gradient, as their actions grow in "
        "number, against the plain way, measured after it: a padded row per prompt and action. Medians.",
    )
    _add_size(parser)
    _add_repetitions(parser)
    add_json_argument(parser, "one JSON line only")
    arguments = parser.parse_args(words)

    import torch

    from twosome.bench.actions import REFERENCE_UP_TO, measure_actions
    from twosome.bench.workloads import SIZES

    if arguments.size not in SIZES:
        raise ConfigError(f"unknown size {arguments.size!r}; choose one of: {', '.join(SIZES)}")
    torch.set_num_threads(1)
    costs = [
        measure_actions(arguments.size, number, repetitions=arguments.repetitions, reference=number <= REFERENCE_UP_TO)
        for number in (5, 20, 100, 1000)
    ]
    if arguments.json:
        print(json.dumps({"benchmark": "actions", "costs": [asdict(cost) for cost in costs], **machine()}))
        return 0
    print(
        f"{'actions':>8} {'seconds':>9} {'growth':>8} {'plain':>9} {'growth':>8} {'ratio':>7} {'memory':>9} "
        f"{'recompute':>10} {'memory':>9}"
    )
    first = costs[0]
    for cost in costs:
        line = f"{cost.actions:>8} {cost.seconds:>9.3f} {cost.seconds / first.seconds:>7.1f}x "
        if cost.reference is not None and first.reference is not None:
            growth = cost.reference / first.reference
            line += f"{cost.reference:>9.2f} {growth:>7.1f}x {cost.reference / cost.seconds:>6.1f}x "
        else:
            line += " " * 27
        print(f"{line}{cost.megabytes:>6.0f} MB {cost.recompute:>10.3f} {cost.recompute_megabytes:>6.0f} MB")
    return 0


def precision(words: list[str]) -> int:
    """How far our reading, and reading one sequence at a time, are from a reading of higher precision."""
    parser = Parser(
        prog="twosome bench precision",
        description="Errors of log-probabilities on decisions that uniform play meets: of ours, and of reading one "
        "sequence at a time, both against one sequence at a time in a higher precision (float64 for float32, float32 "
        "for half precision). If ours errs more than a way of reading may, the exit status is 1.",
    )
    parser.add_argument("--model", default="embedded", help="hub id or directory (default: the embedded one)")
    parser.add_argument("--task", default="all", help="a task, several with commas, or all (default)")
    parser.add_argument("--decisions", type=positive, default=32, help="over all tasks (default: 32)")
    parser.add_argument("--actions", type=positive, default=2, help="actions sampled of each decision (default: 2)")
    parser.add_argument("--dtype", choices=DTYPES, default="float32", help="of the model (default: float32)")
    add_seed_argument(parser, "of play and sample")
    add_threads_argument(parser)
    add_device_argument(parser)
    add_json_argument(parser, "one JSON line only")
    arguments = parser.parse_args(words)

    import time

    import torch

    from twosome.bench.precision import Comparison, by_task, decisions_of
    from twosome.models.loading import load_model
    from twosome.scorer import Scorer
    from twosome.text.tasks import TASKS

    torch.set_num_threads(arguments.threads)
    tasks = list(TASKS) if arguments.task == "all" else arguments.task.split(",")
    decisions = decisions_of(tasks, arguments.decisions, arguments.seed)
    began = time.process_time()
    tell(f"loading {arguments.model} in {arguments.dtype}")
    model, tokenizer = load_model(arguments.model, dtype=arguments.dtype, device=arguments.device)
    scorer = Scorer(model, tokenizer)
    distinct = list(dict.fromkeys(decision for its in decisions.values() for decision in its))
    comparison = Comparison(scorer, distinct, arguments.actions, arguments.seed, on_progress=tell)
    errors, ratio = by_task(comparison, decisions), comparison.ratio()
    whole = list(errors.values())[-1]
    problems = [whole.problem(model.dtype)]
    if arguments.threads == 1 and arguments.device == "cpu" and ratio:
        problems.append(f"the same decisions in other company differ by {ratio:.1e} nats")
    report = {
        "benchmark": "precision",
        **{name: getattr(arguments, name) for name in ("model", "dtype", "seed", "threads")},
        "reader": scorer.reader.describe(),
        "errors": {name: its.as_dict() for name, its in errors.items()},
        "ratio": ratio,
        "seconds": time.process_time() - began,
        **machine(),
    }
    if not arguments.json:
        print(f"{arguments.model} {arguments.dtype}, {arguments.threads} thread(s); ours: {scorer.reader.describe()}")
        print_errors(errors)
        print(f"largest difference in other company: {ratio:g}")
    print(json.dumps(report))
    for problem in filter(None, problems):
        print(f"ours is not right: {problem}", file=sys.stderr)
    return 1 if any(problems) else 0


def tell(line: str) -> None:
    """Say on standard error how far it is."""
    print(line, file=sys.stderr, flush=True)


def machine() -> dict[str, object]:
    """What the numbers were measured on."""
    import os
    import platform

    import torch
    import transformers

    return {
        "processor": platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "load": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "transformers": transformers.__version__,
    }


BENCHMARKS: dict[str, Callable[[list[str]], int]] = {
    "worlds": worlds,
    "scoring": scoring,
    "actions": actions,
    "precision": precision,
}
"""What can be measured; each takes the words that follow its name."""
