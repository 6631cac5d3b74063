"""Kills, damages and starves runs at random, resumes them, and counts how many end with the same bytes.

    python -m tests.faults --kills 500 --damages 200 --full-disks 50

Every trial is a real process, forked from this one so that libraries are imported once. Linux and macOS. The fast part
of this is in the ordinary tests (``tests/runs/test_resume.py``).
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path


def main() -> int:
    # Inside the function, because every environment process begins by importing this module.
    from tests.faults.campaign import Arena, Outcome
    from tests.faults.faults import FAULTS
    from twosome.algorithms import ALGORITHMS

    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__.splitlines()[0])
    for name, fault in FAULTS.items():
        parser.add_argument(
            f"--{name}", type=int, default=fault.trials, help=f"{fault.summary} (default {fault.trials})"
        )
    parser.add_argument("--only", action="append", choices=FAULTS, help="only this fault; may be repeated")
    parser.add_argument("--algorithm", choices=ALGORITHMS, default="ppo", help="what trains (default: ppo)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=3600, help="begin no trial after this (default 3600)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    arguments = parser.parse_args()

    began = time.monotonic()
    counts: dict[str, Counter[Outcome]] = {name: Counter() for name in FAULTS}
    wrong: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        arena = Arena(Path(folder), arguments.algorithm)
        for name in arguments.only or FAULTS:
            fault = FAULTS[name]
            for trial in range(getattr(arguments, name.replace("-", "_"))):
                if time.monotonic() - began > arguments.seconds:
                    break
                outcome, detail = fault.try_once(arena, random.Random(f"{arguments.seed} {name} {trial}"))
                counts[name][outcome] += 1
                if outcome is Outcome.WRONG:
                    wrong.append(f"{name} trial {trial}: {detail}")
                if sys.stderr.isatty():
                    print(f"\r{name} {trial + 1}  wrong {len(wrong)}  ", end="", file=sys.stderr)
            print(f"{name}: " + ", ".join(f"{number} {o.value}" for o, number in counts[name].items()), file=sys.stderr)
    table = {name: {outcome.value: number for outcome, number in counter.items()} for name, counter in counts.items()}
    if arguments.json:
        print(json.dumps({"seconds": round(time.monotonic() - began), "table": table, "wrong": wrong}))
    else:
        for name, row in table.items():
            print(f"{name:<12} " + ", ".join(f"{number} {outcome}" for outcome, number in row.items()))
        print(*wrong, sep="\n")
        print(f"{time.monotonic() - began:.0f} s")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
