"""Runs other programs: the quiet ones that install, and those that the user came for."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from development import project
from development.messages import diagnose, say


def tool_environment() -> dict[str, str]:
    """The environment variables for pip and uv, without what would lead them past `.venv`."""
    ours = {
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "PIP_NO_INPUT": "1",
        "PIP_USER": "0",
        "VIRTUAL_ENV": str(project.VENV),
    }
    strays = {"PYTHONHOME", "PYTHONPATH", "PYTHONDONTWRITEBYTECODE", "PIP_TARGET", "PIP_PREFIX", "__PYVENV_LAUNCHER__"}
    return {**{name: value for name, value in os.environ.items() if name not in strays}, **ours}


def install(command: list[str], step: str) -> None:
    """Run one installing ``command``; show its progress on a terminal, its last words on failure, else nothing.

    Raises:
        Failure: If it fails, with a reason read from its output.
    """
    shown = sys.stdout.isatty()
    process = subprocess.run(
        command,
        cwd=project.ROOT,
        env=tool_environment(),
        stdin=subprocess.DEVNULL,
        stdout=None if shown else subprocess.PIPE,
        stderr=subprocess.PIPE if shown else subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
    )
    if process.returncode:
        output = (process.stdout or "") + (process.stderr or "")
        for line in output.strip().splitlines()[-12:]:
            say(f"    | {line}")
        raise diagnose(output, step, process.returncode)


def run(command: list[str], cwd: Path | None = None, **variables: str) -> int:
    """Run ``command`` in the foreground and return its exit status.

    Ctrl-C reaches the command by itself and is its affair (a training run saves what it has), so this only waits.
    """
    process = subprocess.Popen(command, cwd=cwd, env={**os.environ, **variables})
    previous = signal.signal(signal.SIGTERM, lambda *_: process.terminate())
    try:
        while True:
            try:
                status = process.wait()
                return status if status >= 0 else 128 - status
            except KeyboardInterrupt:
                continue
    finally:
        signal.signal(signal.SIGTERM, previous)
