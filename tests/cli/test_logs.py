"""What a run says where nobody watches: little, and nothing that it was not told to say."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.tiny import small_run
from twosome.runs.trainer import Progress
from twosome.settings.config import to_yaml
from twosome.terminal.display import TrainingDisplay


def lines_of(updates: int, seconds: float, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> list[str]:
    """What a run of so many updates and seconds prints without a terminal."""
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    display = TrainingDisplay(updates, None)
    metrics = {"episodes": 1, "discounted_return": 0.5, "success": 1.0}
    for update in range(1, updates + 1):
        now[0] = seconds * update / updates
        display.update(Progress(update, updates, 0, 1, now[0], metrics, "packed rows"))
    return capsys.readouterr().out.splitlines()


@pytest.mark.parametrize(
    ("seconds", "most"), [(1, 3), (120, 10), (3600, 102), (5 * 24 * 3600, 102 + 5 * 24 * 6), (30 * 24 * 3600, 4500)]
)
def test_progress_never_floods_a_log(
    seconds: float, most: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = lines_of(50_000, seconds, monkeypatch, capsys)
    assert 2 <= len(lines) <= most
    assert lines[-1].startswith("  50000/50000 decisions")


def test_a_short_run_tells_its_beginning_and_its_end(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = lines_of(3, 2.0, monkeypatch, capsys)
    assert lines[0] == "scoring: packed rows"
    assert len(lines) == 3


@pytest.fixture(scope="module")
def left_behind(model_directory: str, tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, list[Path]]:
    """What a run in a process with secrets said, and the files it left."""
    place = tmp_path_factory.mktemp("secrets")
    config = replace(small_run(model_directory, decisions=48), env_processes=True, env_timeout=120.0)
    (place / "config.yaml").write_text(to_yaml(config))
    secrets = {"HF_TOKEN": "hf_SecretSecret", "WANDB_API_KEY": "SecretSecret", "MY_PASSWORD": "SecretSecret"}
    command = [sys.executable, "-m", "twosome", "train", "--config", str(place / "config.yaml")]
    process = subprocess.run(
        [*command, "--out", str(place / "run")],
        env={**os.environ, **secrets},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    assert process.returncode == 0, process.stdout.decode()
    return process.stdout, [path for path in (place / "run").rglob("*") if path.is_file()]


def test_no_secret_of_the_environment_is_written_anywhere(left_behind: tuple[bytes, list[Path]]) -> None:
    said, files = left_behind
    assert len(files) > 10
    for name, content in [("the log", said), *((path.name, path.read_bytes()) for path in files)]:
        assert b"SecretSecret" not in content, name
        assert b"WANDB_API_KEY" not in content, name


def test_a_log_that_is_no_terminal_gets_whole_lines(left_behind: tuple[bytes, list[Path]]) -> None:
    said = left_behind[0].decode()
    assert "\r" not in said
    assert "\x1b" not in said
    assert len(said.splitlines()) <= 6, said
