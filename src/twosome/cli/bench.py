"""``twosome bench WHAT``: measure speed on this machine."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict

from twosome.cli.parsing import Parser, positive
from twosome.errors import ConfigError


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

    from twosome.runs.speed import WORLDS, measure_world

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


BENCHMARKS: dict[str, Callable[[list[str]], int]] = {"worlds": worlds}
"""What can be measured; each takes the words that follow its name."""
