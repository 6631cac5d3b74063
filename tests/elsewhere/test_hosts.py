"""Hosts that are cut off and brought back: two network namespaces of this machine, and the cable between them."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.elsewhere.servers import Clients, Served
from tests.runs.outcome import outcome
from tests.tiny import small_run
from twosome.errors import EnvironmentFault
from twosome.runs.trainer import resume, train
from twosome.text.tasks import make_task

SALAD = "tomato-salad"


class Host:
    """Another host, on a cable of its own."""

    def __init__(self) -> None:
        self.name = f"twosome-{os.getpid() % 100_000}"
        self.net = f"10.231.{os.getpid() % 250}"
        near, self.far = f"tn{os.getpid() % 100_000}", f"tf{os.getpid() % 100_000}"
        self._ip("netns", "add", self.name)
        try:
            self._ip("link", "add", near, "type", "veth", "peer", "name", self.far, "netns", self.name)
            self._ip("addr", "add", f"{self.net}.1/24", "dev", near)
            self._ip("link", "set", near, "up")
            self._ip("-n", self.name, "addr", "add", f"{self.net}.2/24", "dev", self.far)
            self.cable("up")
        except BaseException:
            self.remove()
            raise

    def serve(self, task: str) -> Served:
        """A server there."""
        before = ("ip", "netns", "exec", self.name)
        return Served(task, "--quiet", before=before, address=f"{self.net}.2:0")

    def cable(self, state: str) -> None:
        """Pull the cable out (``down``) or put it back (``up``)."""
        self._ip("-n", self.name, "link", "set", self.far, state)

    def remove(self) -> None:
        """Leave nothing behind; the cable goes with the host."""
        self._ip("netns", "del", self.name)

    def _ip(self, *words: str) -> None:
        subprocess.run(["ip", *words], check=True, capture_output=True, text=True, timeout=20)


@pytest.fixture
def host() -> Iterator[Host]:
    if shutil.which("ip") is None:
        pytest.skip("network namespaces need the command ip (iproute2)")
    try:
        made = Host()
    except subprocess.CalledProcessError as error:
        pytest.skip(f"network namespaces cannot be made here: {error.stderr.strip()}")
    yield made
    made.remove()


def wait_for(number: int, server: Served) -> list[psutil.Process]:
    """The environment processes of a server, as soon as there are as many; else those after five minutes."""
    deadline = time.monotonic() + 300
    while True:
        children = psutil.Process(server.process.pid).children(recursive=True)
        kept = []
        for child in children:
            with suppress(psutil.NoSuchProcess):
                if "resource_tracker" not in " ".join(child.cmdline()):
                    kept.append(child)
        if len(kept) == number or time.monotonic() > deadline:
            return kept
        time.sleep(0.2)


def test_a_host_that_is_cut_off_stops_the_episode_in_time_or_changes_nothing(host: Host) -> None:
    with closing(make_task(SALAD)) as env:
        env.reset(seed=5)
        expected = [env.step(action)[:4] for action in (0, 1, 0)]
    server = host.serve(SALAD)
    try:
        env = make_task(SALAD, servers=[server.address], server_timeout=30.0)
        short = make_task(SALAD, servers=[server.address], server_timeout=30.0)
        short.unwrapped._timeout = 2.0  # type: ignore[attr-defined]  # it is made, which takes longer
        with closing(env), closing(short):
            env.reset(seed=5)
            short.reset(seed=5)
            seen = [env.step(0)[:4]]
            host.cable("down")
            back = threading.Timer(3.0, host.cable, ["up"])
            back.start()
            began = time.monotonic()
            with pytest.raises(EnvironmentFault, match="did not answer within env_timeout=2 seconds while taking a st"):
                short.step(0)
            assert time.monotonic() - began < 2.5
            seen += [env.step(1)[:4], env.step(0)[:4]]
            back.join()
            assert seen == expected
        assert wait_for(0, server) == []
    finally:
        server.kill()


@pytest.mark.slow
def test_a_run_whose_host_is_cut_off_for_long_stops_and_goes_on_to_the_same_bytes(
    host: Host, model_directory: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    local = replace(small_run(model_directory, task=SALAD, decisions=4 * 24, save_every=1), env_timeout=600.0)
    train(local, tmp_path / "here")
    server = host.serve(SALAD)
    config = replace(local, environment={**local.environment, "servers": [server.address]})
    clients = Clients(monkeypatch)

    def cut(progress: Any) -> None:
        if progress.update == 2:
            host.cable("down")
            clients.wait_only(2.0)

    try:
        with pytest.raises(EnvironmentFault, match="did not answer within env_timeout=2 seconds"):
            train(config, tmp_path / "run", cut)
        assert len(wait_for(3, server)) == 3  # it does not know yet
        host.cable("up")
        assert wait_for(0, server) == []
        resume(tmp_path / "run")
        assert wait_for(0, server) == []
    finally:
        server.kill()
    assert outcome(tmp_path / "run") == outcome(tmp_path / "here")
