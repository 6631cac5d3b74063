"""Runs in a world of others that are stopped, or lose a process, and go on: shared by the tests of the worlds."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from tests.runs.outcome import outcome
from tests.tiny import small_run
from twosome.errors import EnvironmentFault
from twosome.runs import trainer
from twosome.runs.trainer import Progress, resume, train
from twosome.settings.config import RunConfig


class Stop(BaseException):
    """Ends a run without any chance to tidy up."""


def run_in(model_directory: str, task: str) -> RunConfig:
    """A short run of a tiny model in a world whose prompts are longer than it can read."""
    return small_run(
        model_directory,
        task=task,
        environment={},
        num_envs=2,
        decisions=4 * 16,
        long_prompts="keep_end",
        env_timeout=120.0,
    )


def stop(config: RunConfig, directory: Path, monkeypatch: pytest.MonkeyPatch, update: int = 3) -> None:
    """Run until an update, and leave the directory as a kill would."""

    def interrupt(progress: Progress) -> None:
        if progress.update == update:
            raise Stop

    with monkeypatch.context() as patch:
        patch.setattr(trainer.RunDirectory, "saving", lambda run, policy: nullcontext())
        with pytest.raises(Stop):
            train(config, directory, interrupt)


def killed_and_resumed(config: RunConfig, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stopped at an update, and again with a worker killed, a run ends with the bytes of one that was not."""
    train(config, folder / "undisturbed")
    stop(config, folder / "stopped", monkeypatch)
    resume(folder / "stopped")
    assert outcome(folder / "stopped") == outcome(folder / "undisturbed")
    lose_a_worker(config, folder / "killed")
    resume(folder / "killed")
    assert outcome(folder / "killed") == outcome(folder / "undisturbed")


def lose_a_worker(config: RunConfig, directory: Path) -> list[psutil.Process]:
    """Kill one of the processes of a run that has them: it ends with a sentence that says so.

    Returns:
        The processes that the killed one had started.
    """
    orphans: list[psutil.Process] = []

    def kill(progress: Progress) -> None:
        if progress.update == 3:
            workers = [child for child in psutil.Process().children() if "spawn_main" in " ".join(child.cmdline())]
            orphans.extend(workers[0].children(recursive=True))
            workers[0].kill()

    with pytest.raises(EnvironmentFault, match="was killed by SIGKILL"):
        train(replace(config, env_processes=True), directory, kill)
    return orphans
