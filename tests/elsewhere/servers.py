"""Servers of environments for tests: in this process, or in one that can be killed."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from twosome.elsewhere.client import ElsewhereEnv
from twosome.elsewhere.server import EnvironmentServer, listen

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 60.0


@contextmanager
def serving(task: str, port: int = 0, **settings: Any) -> Iterator[str]:
    """A server in a thread of this process: its address."""
    with listen("127.0.0.1", port) as listening:
        address = f"127.0.0.1:{listening.getsockname()[1]}"
        server = EnvironmentServer(task, listening, tell=lambda line: None, **settings)
        thread = threading.Thread(target=server.serve, daemon=True)
        thread.start()
        try:
            yield address
        finally:
            server.end()
            thread.join(PATIENCE)


class Clients:
    """All environments elsewhere that a run of this process makes, so that they can be told to wait less.

    How long it takes to make one depends on the machine, and so does a run; how long a lost server is waited for does
    not. A run that begins with a generous time-out and turns impatient when it is disturbed tests the latter alone.
    """

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.made: list[ElsewhereEnv] = []
        make = ElsewhereEnv.__init__

        def noted(env: ElsewhereEnv, *arguments: Any, **named: Any) -> None:
            self.made.append(env)
            make(env, *arguments, **named)

        patch.setattr(ElsewhereEnv, "__init__", noted)

    def wait_only(self, seconds: float) -> None:
        """Have those that there are wait that long for an answer, and for a lost server."""
        assert self.made
        for env in self.made:
            env._timeout = seconds


class Served:
    """A server in a process of its own."""

    def __init__(self, task: str, *words: str, before: tuple[str, ...] = (), address: str = "127.0.0.1:0") -> None:
        host, _, port = address.rpartition(":")
        command = [*before, sys.executable, "-m", "twosome", "serve-env", task, "--host", host, "--port", port, *words]
        place = os.pathsep.join([str(ROOT / "src"), str(ROOT), os.environ.get("PYTHONPATH", "")])
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": place}
        )
        assert self.process.stdout is not None
        self.address = self.process.stdout.readline().split()[-1]

    def kill(self) -> None:
        """Kill it, as a power cut would."""
        self.process.kill()
        self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()
