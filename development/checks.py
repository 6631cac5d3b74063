"""Lint, types and tests: how each is run, and the summary of all."""

from __future__ import annotations

import os
import re
import time

from development import processes, project
from development.messages import say


def lint(python: str) -> list[tuple[str, int, float]]:
    """Run the checks that do not run the code: name, exit status and seconds of each."""
    checks = [
        ("ruff check", ["ruff", "check", "."]),
        ("ruff format --check", ["ruff", "format", "--check", "."]),
        ("mypy", ["mypy"]),
    ]
    return [check(name, [python, "-m", *command]) for name, command in checks]


def check(name: str, command: list[str], **variables: str) -> tuple[str, int, float]:
    """Run one check under a heading: its name, exit status and seconds."""
    say(f"== {name}")
    start = time.perf_counter()
    status = processes.run(command, project.ROOT, **variables)
    return name, status, time.perf_counter() - start


def core_count() -> int:
    """The number of cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def pytest_arguments(arguments: list[str], cores: int) -> list[str]:
    """The arguments for pytest: the user's, and as many workers as pay (each imports torch first)."""
    serial = {"-n", "--numprocesses", "--pdb", "--trace", "--co", "--collect-only", "-s"}
    if any(argument.split("=")[0] in serial or re.fullmatch(r"-n\w+", argument) for argument in arguments):
        return arguments
    return ["-n", str(max(1, min(cores, 4))), "--dist", "worksteal", *arguments]


def summarise(results: list[tuple[str, int, float]]) -> int:
    """Print one line per check; the exit status is 0 when all of them passed."""
    say("\nsummary")
    for name, status, seconds in results:
        say(f"  {name:<20} {'ok' if status == 0 else f'FAILED ({status})':<12} {seconds:6.1f} s")
    failed = [name for name, status, _ in results if status]
    if any(name.startswith("ruff") for name in failed):
        say("  `python3 dev.py format` repairs most of what ruff finds")
    say(f"failed: {', '.join(failed)}" if failed else "everything passed")
    return 1 if failed else 0
