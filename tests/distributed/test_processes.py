"""Real processes, as torchrun starts them: the same bytes as one, one voice, and one end for all."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from socket import socket

import psutil
import pytest

from tests.faults.environments import TASK
from tests.runs.outcome import outcome
from tests.tiny import small_run
from twosome.runs.trainer import train
from twosome.settings.config import LoadingConfig, RunConfig, to_yaml

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="torch for Windows has no gloo over these sockets")
LIMIT = 45.0
"""Seconds within which all are gone after one died: torchrun kills what is left after 30 (docs/distributed.md)."""


def command(count: int, *words: str) -> list[str]:
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", str(count)]
    return [*launcher, "-m", "twosome", "train", *words]


def environment() -> dict[str, str]:
    return {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(sys.path)}


def run(count: int, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(count, *words), env=environment(), capture_output=True, text=True, timeout=280)


@contextmanager
def running(
    directory: Path, count: int, *words: str, updates: int = 3
) -> Iterator[tuple[psutil.Popen, dict[str, psutil.Process]]]:
    """A launcher and its processes by rank, once there were some updates; none of them is left behind."""
    process = psutil.Popen(
        command(count, *words), env=environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    file, deadline = directory / "metrics.jsonl", time.monotonic() + 240
    while not (file.exists() and file.read_bytes().count(b"\n") >= updates):
        assert process.poll() is None, process.stdout.read()
        assert time.monotonic() < deadline
        time.sleep(0.02)
    ranks = {child.environ()["RANK"]: child for child in process.children()}
    try:
        yield process, ranks
    finally:
        for each in (process, *ranks.values()):
            if each.is_running():
                each.kill()


def settings(config: RunConfig, directory: Path) -> str:
    file = directory / "settings.yaml"
    file.write_text(to_yaml(config))
    return str(file)


def test_two_processes_make_the_run_of_one(model_directory: str, tmp_path: Path) -> None:
    """Started by their environment variables alone, as other launchers than torchrun do it, too."""
    config = small_run(model_directory, decisions=2 * 24)
    words = ["train", "--config", settings(config, tmp_path), "--out", str(tmp_path / "two")]
    with socket() as free:
        free.bind(("127.0.0.1", 0))
        meeting = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free.getsockname()[1]), "WORLD_SIZE": "2"}
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", "twosome", *words],
            env={**environment(), **meeting, "RANK": str(rank), "LOCAL_RANK": str(rank)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    train(replace(config, shares=2), tmp_path / "one")
    (told, complained), (silent, also_silent) = (process.communicate(timeout=240) for process in processes)
    assert [process.returncode for process in processes] == [0, 0], complained + also_silent
    assert outcome(tmp_path / "two") == outcome(tmp_path / "one")
    assert (tmp_path / "two/config.yaml").read_text() == (tmp_path / "one/config.yaml").read_text()
    assert "done; " in told
    assert silent == ""


@pytest.mark.slow
def test_what_one_process_refuses_is_said_once(model_directory: str, tmp_path: Path) -> None:
    """A mistake that all make, one that rank 0 alone sees, and one that another process alone meets."""
    made = run(2, "no-such-task")
    assert made.returncode == 1
    assert made.stderr.count("twosome: error: ") == 1
    assert "twosome: error: unknown task 'no-such-task'" in made.stderr

    config = small_run(model_directory, decisions=8 * 24)
    made = run(2, "--config", settings(config, tmp_path), "--threads", "64", "--out", str(tmp_path / "many"))
    assert made.stderr.count("twosome: error: ") == 1
    assert "2 processes of threads=64 each are more than" in made.stderr

    (tmp_path / "armed").touch()
    misbehaving = {"misdeed": "raised", "at": 5, "while_exists": str(tmp_path / "armed")}
    broken = replace(config, task=TASK, num_envs=1, environment=misbehaving)  # which the last process has
    made = run(2, "--config", settings(broken, tmp_path), "--out", str(tmp_path / "broken"))
    sentence = f"environment 0 of {TASK}, at step 5 of the episode with seed"
    assert f"twosome: error: rank 1: {sentence}" in made.stderr
    assert f"twosome: error: rank 1 stopped the run: {sentence}" in made.stderr
    assert (tmp_path / "broken/adapter/adapter_model.safetensors").is_file()


@pytest.mark.slow
@pytest.mark.parametrize("rank", ["0", "1"])
def test_a_killed_process_ends_all_and_the_run_goes_on_to_the_same_bytes(
    rank: str, model_directory: str, tmp_path: Path
) -> None:
    config = small_run(model_directory, decisions=10 * 24, shares=2)
    train(config, tmp_path / "whole")
    words = ["--config", settings(config, tmp_path), "--out", str(tmp_path / "run")]
    with running(tmp_path / "run", 2, *words) as (process, ranks):
        ranks[rank].kill()
        began = time.monotonic()
        said, _ = process.communicate(timeout=LIMIT)
        assert process.returncode == 1
        psutil.wait_procs(list(ranks.values()), timeout=max(0.0, began + LIMIT - time.monotonic()))
        assert not any(each.is_running() for each in ranks.values())
    if rank == "1":
        assert "twosome: error: rank 1 is gone" in said or "interrupted" in said
    made = run(4, "--resume", str(tmp_path / "run"))
    assert made.returncode == 0, made.stderr
    assert outcome(tmp_path / "run") == outcome(tmp_path / "whole")


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_launcher_that_is_stopped_leaves_nothing_behind(
    number: signal.Signals, model_directory: str, tmp_path: Path
) -> None:
    config = small_run(model_directory, decisions=30 * 24)
    words = ["--config", settings(config, tmp_path), "--out", str(tmp_path / "run")]
    with running(tmp_path / "run", 2, *words) as (process, ranks):
        process.send_signal(number)
        process.wait(timeout=LIMIT)
        _, left = psutil.wait_procs(list(ranks.values()), timeout=LIMIT)
        assert not left
    assert (tmp_path / "run/adapter/adapter_model.safetensors").is_file(), "what was learned is saved"


@pytest.mark.slow
def test_a_process_that_hangs_ends_the_run_after_rank_timeout(model_directory: str, tmp_path: Path) -> None:
    config = small_run(model_directory, decisions=30 * 24, rank_timeout=20.0)
    words = ["--config", settings(config, tmp_path), "--out", str(tmp_path / "run")]
    with running(tmp_path / "run", 2, *words) as (process, ranks):
        ranks["1"].suspend()
        said, _ = process.communicate(timeout=20.0 + 2 * LIMIT)
        assert not any(each.is_running() for each in ranks.values())
    assert "did not answer within rank_timeout=20 seconds" in said


@pytest.mark.slow
@pytest.mark.parametrize("loading", [LoadingConfig(), LoadingConfig(token_budget=64, recompute=True)])
def test_a_base_in_pieces_gives_the_same_bytes(loading: LoadingConfig, model_directory: str, tmp_path: Path) -> None:
    """Also where processes have to read unequally often: without care they would wait for each other for ever."""
    config = small_run(model_directory, decisions=3 * 24, shares=3, loading=loading)
    train(config, tmp_path / "whole")
    words = ["--config", settings(config, tmp_path), "--out", str(tmp_path / "run"), "--loading.shard", "true"]
    made = run(2, *words)
    assert made.returncode == 0, made.stderr
    assert outcome(tmp_path / "run") == outcome(tmp_path / "whole")
