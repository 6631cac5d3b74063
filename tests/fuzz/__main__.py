"""Tries inputs nobody would think of, and counts those that are neither taken nor refused in one sentence.

    python -m tests.fuzz --inputs 100000 --seconds 3600 --seed 0

Inputs are made by hypothesis, which also finds the smallest one that shows a fault. A few of every target run in the
ordinary tests (``tests/test_fuzz.py``).
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
import warnings
from pathlib import Path

from tests.fuzz.bench import Bench
from tests.fuzz.targets import TARGETS, Target, try_inputs

BATCH = 250
"""Inputs between two looks at the clock."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__.splitlines()[0])
    parser.add_argument("--inputs", type=int, default=100_000, help="over all targets (default 100000)")
    parser.add_argument("--seconds", type=float, default=3600, help="begin no batch after this (default 3600)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--target", action="append", choices=TARGETS, help="only this one; may be repeated")
    parser.add_argument("--first", action="store_true", help="tell the first input of a fault, not the smallest: quick")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")

    began, chosen = time.monotonic(), arguments.target or list(TARGETS)
    shares = sum(TARGETS[name].share for name in chosen)
    table: dict[str, dict[str, float]] = {}
    tracebacks: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder))
        for name in chosen:
            target = TARGETS[name]
            wanted = round(arguments.inputs * target.share / shares)
            deadline = began + arguments.seconds
            tried, spent, found = _hunt(name, target, bench, wanted, arguments.seed, deadline, not arguments.first)
            table[name] = {"inputs": tried, "tracebacks": len(found), "cpu_seconds": round(spent, 1)}
            tracebacks += [f"{name}: {fault}" for fault in found]
            print(f"{name:<14} {tried:>7} inputs  {len(found)} tracebacks  {spent:6.0f} CPU s", file=sys.stderr)
    total = sum(row["inputs"] for row in table.values())
    if arguments.json:
        print(json.dumps({"inputs": total, "table": table, "tracebacks": tracebacks}))
    else:
        print(*tracebacks, sep="\n\n")
        print(f"{total} inputs, {len(tracebacks)} tracebacks, {time.monotonic() - began:.0f} s")
    return 1 if tracebacks else 0


def _hunt(
    name: str, target: Target, bench: Bench, wanted: int, seed: int, deadline: float, smallest: bool
) -> tuple[int, float, list[str]]:
    """Try a target in batches: inputs tried, CPU seconds, and what each batch that went wrong came to."""
    tried, began, found = 0, time.process_time(), []
    for batch in range(-(-wanted // BATCH)):
        if time.monotonic() > deadline or len(found) >= 5:
            break
        size = min(BATCH, wanted - batch * BATCH)
        count, faults = try_inputs(target, bench, size, f"{seed} {name} {batch}", smallest=smallest)
        tried += count
        found += faults
    return tried, time.process_time() - began, found


if __name__ == "__main__":
    sys.exit(main())
