"""``twosome bench WHAT``: measure speed on this machine."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING

from twosome.cli.parsing import Parser, positive
from twosome.errors import ConfigError

if TYPE_CHECKING:
    from twosome.bench.scoring_report import Report


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


def worlds(words: list[str]) -> int:
    """Decisions per second of the worlds, bare and in words, and frames per second."""
    parser = Parser(
        prog="twosome bench worlds",
        description="Decisions per second of processor time through env.step, resets included, against the published "
        "environments; the same in words; and pictures per second. Medians of several repetitions in one process.",
    )
    parser.add_argument("--steps", type=positive, default=50_000, help="decisions per repetition (default: 50000)")
    parser.add_argument("--repetitions", type=positive, default=5)
    parser.add_argument("--json", action="store_true", help="print one JSON line")
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
        "against the plain way: a padded row per prompt and action, the critic by a pass of its own, nothing "
        "remembered. First both must agree; if they do not, the exit status is 1. Medians of alternating repetitions.",
    )
    parser.add_argument("--size", default="3m", help="3m, 30m, 125m or 7b (default: 3m)")
    parser.add_argument(
        "--workload",
        default="overcooked",
        help="overcooked, virtualhome, instruction (300 shared tokens), 100-tokens (and 8 actions of 5), or 5-, 20-, "
        "100-, 1000-actions (default: overcooked)",
    )
    parser.add_argument("--unique", type=float, default=0.3, help="fraction of distinct decisions (default: 0.3)")
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), default="float32", help="of our frozen weights")
    parser.add_argument("--top-layers", type=positive, help="our adapter on the last so many layers only")
    parser.add_argument("--repetitions", type=positive, default=5)
    parser.add_argument(
        "--sampled", type=positive, default=2, help="steps of the plain way per repetition (default: 2)"
    )
    parser.add_argument("--threads", type=positive, default=1)
    parser.add_argument("--device", default="cpu", help="cpu (default) or cuda")
    parser.add_argument("--token-budget", type=positive, help="most tokens in one of our passes")
    parser.add_argument(
        "--attention", choices=("segments", "sparse"), default="segments", help="of our packs; sparse takes a GPU"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON line only")
    arguments = vars(parser.parse_args(words))
    threads, as_json = arguments.pop("threads"), arguments.pop("json")

    import torch

    from twosome.bench.scoring import ScoringBench
    from twosome.bench.scoring_report import Setup

    setup = Setup(**arguments)
    torch.set_num_threads(threads)
    bench = ScoringBench(setup)
    problems = bench.agreement().problems(bench.exact, threads == 1 and setup.device == "cpu")
    for problem in problems:
        print(f"the two ways disagree: {problem}", file=sys.stderr)
    if problems:
        return 1
    report = bench.run(on_progress=lambda line: print(line, file=sys.stderr))
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
    parser.add_argument("--size", default="3m", help="3m, 30m, 125m or 7b (default: 3m)")
    parser.add_argument("--repetitions", type=positive, default=5)
    parser.add_argument("--json", action="store_true", help="print one JSON line only")
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


def print_scoring(report: Report, threads: int) -> None:
    """The report as a table."""
    setup, agreement = report.setup, report.agreement
    print(f"{setup.size} {setup.dtype}, {setup.workload}, {setup.unique:.0%} distinct, {threads} thread(s)")
    print(f"ours: {report.reader}")
    print(
        f"agreement: {agreement.log_probs:.1e} nats, gradient {agreement.gradient:.1e}, "
        f"|ratio - 1| in other packs {agreement.ratio:g}"
    )
    print(f"tokens read in a warm cycle: {report.reference_tokens:,} the plain way, {report.tokens:,} ours")
    print(f"matrix products: {report.peak:,.0f} GFLOP/s at best; {report.busy:.0%} of that in the policy update")
    plain, cold, warm = (
        report.rate(*which)
        for which in (("cycle, warm", "reference"), ("cycle, cold", "ours"), ("cycle, warm", "ours"))
    )
    print(
        f"decisions per second through a cycle: {plain:,.1f} the plain way, ours {cold:,.1f} cold and {warm:,.1f} "
        f"warm, when it reads {report.token_rate:,.0f} tokens per second"
    )
    print(f"{'seconds':<34} {'plain':>10} {'ours':>10} {'ratio':>8}")
    for phase in report.phases:
        print(f"{phase.name:<34} {phase.reference:>10.3f} {phase.ours:>10.3f} {phase.ratio:>7.1f}x")


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


BENCHMARKS: dict[str, Callable[[list[str]], int]] = {"worlds": worlds, "scoring": scoring, "actions": actions}
"""What can be measured; each takes the words that follow its name."""
