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
