"""Makes `constraints.txt`: the newest versions of everything that go together."""

from __future__ import annotations

import subprocess

from development import environment, packages, project
from development.messages import diagnose, say

BUILD_TOOLS = ("uv", "hatchling", "editables")  # pinned beside the dependencies; no user of the package needs them

UNPINNED = ("alfworld",)
"""Extras that are left out: to ask alfworld what it needs, it has to be built, for minutes, and no test installs it."""

LOCK_HEADER = (
    "# The versions this project is tested with. Made by `python3 dev.py lock`; do not edit by hand.",
    "# uv resolved pyproject.toml with all extras but alfworld, and the build tools, for every Python from 3.11 and",
    "# every system; torch is pinned in development/project.py. The CUDA packages of torch are left out: they follow",
    "# from the build of torch that is installed, and a constraints file serves all of its builds.",
)


def renew() -> None:
    """Resolve the newest versions of everything and rewrite constraints.txt.

    Raises:
        Failure: If they cannot be resolved.
    """
    python = str(environment.interpreter(project.VENV))
    # An old environment will do: the present pins may be what makes a new one fail.
    if "uv" not in packages.distributions(project.VENV):
        python = environment.set_up(("test",))
    command = [python, "-m", "uv", "pip", "compile", "pyproject.toml", "-", "--quiet", "--no-header"]
    command += [f"--extra={extra}" for extra in packages.extras() if extra not in UNPINNED]
    # One version for every Python and system (where one exists), so that one file serves all of them.
    command += ["--universal", "--fork-strategy", "fewest", "--python-version", "{}.{}".format(*project.OLDEST_PYTHON)]
    wishes = "\n".join([f"torch=={project.TORCH_PIN}", *BUILD_TOOLS])
    process = subprocess.run(
        [*command, "--annotation-style", "line"], cwd=project.ROOT, input=wishes, capture_output=True, encoding="utf-8"
    )
    if process.returncode:
        say(process.stderr)
        raise diagnose(process.stderr, "resolving the versions", process.returncode)
    lines = constraint_lines(process.stdout)
    project.CONSTRAINTS.write_text("\n".join([*LOCK_HEADER, *lines]) + "\n", encoding="utf-8", newline="\n")
    say(f"constraints.txt: {len(lines)} versions, torch {project.TORCH_PIN}; run the tests before you commit it")


def constraint_lines(resolution: str) -> list[str]:
    """The lines of uv's ``resolution`` without comments of their own and without packages of GPU builds."""
    lines = [line.rstrip() for line in resolution.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    return [line for line in lines if not packages.gpu_packages([line.split("==")[0].strip()])]
