"""Killed at any moment, a run goes on and ends with the same bytes."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import gymnasium
import pytest
import torch
from filelock import FileLock

from tests.runs.outcome import outcome
from tests.tiny import small_run, trained
from twosome.errors import EnvironmentFault, RunError
from twosome.runs import trainer
from twosome.runs.checkpoint import newest_checkpoint, write_checkpoint
from twosome.runs.trainer import Progress, resume, train
from twosome.settings.config import RunConfig, to_yaml
from twosome.text.tasks import make_task


@pytest.fixture(scope="module")
def config(model_directory: str) -> RunConfig:
    return small_run(model_directory, decisions=8 * 24)


@pytest.fixture(scope="module")
def undisturbed(config: RunConfig, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trained(config, tmp_path_factory)


class Stop(BaseException):
    """Ends a run without any chance to tidy up."""


def stop_after(config: RunConfig, directory: Path, update: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run until some update, and leave the directory as a kill would: nothing is saved on the way out."""

    def stop(progress: Progress) -> None:
        if progress.update == update:
            raise Stop

    with monkeypatch.context() as patch:
        patch.setattr(trainer.RunDirectory, "saving", _no_farewell)
        with pytest.raises(Stop):
            train(config, directory, stop)


def _no_farewell(run: Any, policy: Any) -> Any:
    import contextlib

    return contextlib.nullcontext()


@pytest.mark.parametrize("update", [1, 2, 3, 5, 7])
def test_a_run_stopped_at_any_update_ends_the_same(
    update: int, config: RunConfig, undisturbed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop_after(config, tmp_path / "run", update, monkeypatch)
    resume(tmp_path / "run")
    assert outcome(tmp_path / "run") == outcome(undisturbed)


def test_a_run_that_keeps_readings_ends_the_same(
    config: RunConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A gradient is summed pack by pack, and what is read together depends on what came before the stop."""
    keeping = replace(config, loading=replace(config.loading, keep_readings=True))
    assert keeping.ppo.policy_minibatch * keeping.ppo.accumulation_steps >= keeping.decisions_per_update  # or no effect
    train(keeping, tmp_path / "whole")
    for update in (3, 6):
        stop_after(keeping, tmp_path / f"run{update}", update, monkeypatch)
        resume(tmp_path / f"run{update}")
        assert outcome(tmp_path / f"run{update}") == outcome(tmp_path / "whole")


def test_stopped_again_and_again_it_ends_the_same(
    config: RunConfig, undisturbed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / "run"
    stop_after(config, run, 3, monkeypatch)
    for update in (4, 5, 7):

        def stop(progress: Progress, update: int = update) -> None:
            if progress.update == update:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            resume(run, stop)
    resume(run)
    assert outcome(run) == outcome(undisturbed)


@pytest.mark.parametrize(("kind", "delay"), [("SIGKILL", 0.0), ("SIGKILL", 0.7), ("SIGKILL", 1.3), ("SIGTERM", 0.5)])
def test_a_stopped_process_can_be_taken_up(
    kind: str, delay: float, config: RunConfig, undisturbed: Path, tmp_path: Path
) -> None:
    """Stopped while it trains, some time after its first update."""
    file, run = tmp_path / "config.yaml", tmp_path / "run"
    file.write_text(to_yaml(config))
    command = [sys.executable, "-m", "twosome", "train", "--config", str(file), "--out", str(run)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while not ((run / "metrics.jsonl").exists() and (run / "metrics.jsonl").stat().st_size):
        assert process.poll() is None, "it ended before it trained"
        assert time.monotonic() < deadline
        time.sleep(0.02)
    time.sleep(delay)
    process.send_signal(getattr(signal, kind))
    assert process.wait() in (-signal.SIGKILL, 130, 0)  # 0: it was faster
    if kind == "SIGTERM":
        assert (run / "adapter" / "adapter_model.safetensors").is_file()
    if "finished" not in (run / "versions.json").read_text():
        resume(run)
    assert outcome(run) == outcome(undisturbed)


@pytest.mark.parametrize("name", ["manifest.json", "state.json", "tensors.safetensors"])
@pytest.mark.parametrize("damage", ["cut", "flipped", "missing"])
def test_a_damaged_checkpoint_is_passed_over(
    name: str,
    damage: str,
    config: RunConfig,
    undisturbed: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    stop_after(config, tmp_path / "run", 7, monkeypatch)
    newest = sorted((tmp_path / "run" / "checkpoints").glob("update-*"))[-1]
    content = (newest / name).read_bytes()
    if damage == "cut":
        (newest / name).write_bytes(content[: len(content) // 2])
    elif damage == "flipped":
        middle = len(content) // 2
        (newest / name).write_bytes(content[:middle] + bytes([content[middle] ^ 0x10]) + content[middle + 1 :])
    else:
        (newest / name).unlink()
    resume(tmp_path / "run")
    assert outcome(tmp_path / "run") == outcome(undisturbed)
    assert f"passing over the damaged checkpoint {newest.name}" in capsys.readouterr().err


def test_only_the_newest_checkpoints_are_kept(undisturbed: Path) -> None:
    names = sorted(path.name for path in (undisturbed / "checkpoints").iterdir())
    assert names == ["update-000006", "update-000008"]


def test_a_checkpoint_gives_back_what_it_was_given(tmp_path: Path) -> None:
    state = {
        "numbers": [1, 2.5, None, True, "text"],
        "tuple": (1, (2.0, torch.arange(3))),
        "keyed by int": {0: torch.zeros(2, 2, dtype=torch.bfloat16), 7: {"tensor": "not one"}},
        "empty": {},
    }
    write_checkpoint(tmp_path, 3, state)
    checkpoint = newest_checkpoint(tmp_path)
    assert checkpoint is not None
    assert checkpoint.update == 3
    assert repr(checkpoint.state) == repr(state)


def test_what_a_checkpoint_cannot_hold_is_refused_and_the_last_one_stays(tmp_path: Path) -> None:
    write_checkpoint(tmp_path, 1, {"a": 1})
    with pytest.raises(TypeError, match="cannot hold object"):
        write_checkpoint(tmp_path, 2, {"a": object()})
    checkpoint = newest_checkpoint(tmp_path)
    assert checkpoint is not None
    assert checkpoint.update == 1


def test_a_checkpoint_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    path = write_checkpoint(tmp_path, 1, {"a": 1})
    manifest = json.loads((path / "manifest.json").read_text())
    (path / "manifest.json").write_text(json.dumps({**manifest, "format": 99, "twosome": "9.0"}))
    with pytest.raises(RunError, match=r"format 99.*9\.0"):
        newest_checkpoint(tmp_path)


def test_a_finished_run_is_not_resumed(undisturbed: Path) -> None:
    before = outcome(undisturbed)
    with pytest.raises(RunError, match="finished"):
        resume(undisturbed)
    assert outcome(undisturbed) == before


def test_two_processes_do_not_write_one_run(config: RunConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stop_after(config, tmp_path / "run", 2, monkeypatch)
    with FileLock(tmp_path / "run" / ".lock"), pytest.raises(RunError, match="another process"):
        resume(tmp_path / "run")


def test_lost_metrics_are_told_rather_than_made_up(
    config: RunConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop_after(config, tmp_path / "run", 3, monkeypatch)
    file = tmp_path / "run" / "metrics.jsonl"
    content = file.read_text()
    for damaged in ("", content[:100], content.replace("1", "2", 1)):
        file.write_text(damaged)
        with pytest.raises(RunError, match=r"metrics\.jsonl are not what was written"):
            resume(tmp_path / "run")
        assert file.read_text() == damaged


def test_a_run_copied_elsewhere_goes_on_there(
    config: RunConfig, undisturbed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop_after(config, tmp_path / "run", 4, monkeypatch)
    shutil.copytree(tmp_path / "run", tmp_path / "copy")
    resume(tmp_path / "copy")
    assert outcome(tmp_path / "copy") == outcome(undisturbed)


def test_settings_cannot_change_on_the_way(undisturbed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from twosome.cli import main

    assert main(["train", "--resume", str(undisturbed), "--seed", "3"]) == 2
    assert "unrecognized arguments: --seed 3" in capsys.readouterr().err


def test_a_changed_configuration_is_refused(config: RunConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stop_after(config, tmp_path / "run", 2, monkeypatch)
    file = tmp_path / "run" / "config.yaml"
    file.write_text(file.read_text().replace("gamma: 0.99", "gamma: 0.98"))
    with pytest.raises(RunError, match="settings cannot change"):
        resume(tmp_path / "run")


class Drifting(gymnasium.Wrapper[Any, Any, Any, Any]):
    """A kitchen that pays differently every time, which no seed determines."""

    paid = 0.0

    def step(self, action: Any) -> Any:
        Drifting.paid += 1.0
        observation, _, *rest = self.env.step(action)
        return observation, Drifting.paid, *rest


def test_a_checkpoint_that_is_not_whole_is_refused_and_what_was_learned_stays(
    config: RunConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A resume that was refused once saved the new, untrained adapter over the trained one."""
    run = tmp_path / "run"
    stop_after(config, run, 7, monkeypatch)
    adapter = (run / "adapter" / "adapter_model.safetensors").read_bytes()
    checkpoint = newest_checkpoint(run)
    assert checkpoint is not None
    weights = {name: tensor for name, tensor in checkpoint.state["policy"].items() if "lora_A" not in name}
    write_checkpoint(run, checkpoint.update, {**checkpoint.state, "policy": weights})
    with pytest.raises(RunError, match="weights are missing"):
        resume(run)
    assert (run / "adapter" / "adapter_model.safetensors").read_bytes() == adapter


def test_an_environment_that_does_not_replay_is_found_out(
    config: RunConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gymnasium.register("Drifting-v0", entry_point=lambda: Drifting(make_task("tomato-salad")))
    drifting = replace(config, task="Drifting-v0", environment={})
    stop_after(drifting, tmp_path / "run", 2, monkeypatch)
    with pytest.raises(EnvironmentFault, match="not determined by its seed"):
        resume(tmp_path / "run")


def test_a_disk_that_takes_nothing_more_is_told_and_nothing_is_lost(
    config: RunConfig, undisturbed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*arguments: Any, **further: Any) -> None:
        raise OSError(28, "No space left on device")

    stop_after(config, tmp_path / "run", 3, monkeypatch)
    with monkeypatch.context() as patch:
        patch.setattr("twosome.runs.checkpoint.save_file", full)
        with pytest.raises(RunError, match=r"cannot write the checkpoint after update 4.*No space left"):
            resume(tmp_path / "run")
    resume(tmp_path / "run")
    assert outcome(tmp_path / "run") == outcome(undisturbed)
