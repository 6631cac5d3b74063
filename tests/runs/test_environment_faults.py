"""A run whose environments die, hang or misbehave stops with one sentence, is kept, and goes on to the same end.

Every kind of fault is tried in ``tests/text/test_guard.py`` and, at random steps of whole runs, in ``tests/faults``.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tests.faults.environments import MISDEEDS, TASK
from tests.runs.outcome import outcome
from tests.tiny import small_run, trained
from twosome.cli import main
from twosome.errors import ConfigError, EnvironmentFault, NumericalError
from twosome.runs.trainer import resume, train
from twosome.settings.config import RunConfig, from_mapping, same_numbers, to_yaml


@pytest.fixture(scope="module")
def config(model_directory: str) -> RunConfig:
    return small_run(model_directory, task=TASK, decisions=5 * 24)


@pytest.fixture(scope="module")
def undisturbed(config: RunConfig, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trained(config, tmp_path_factory)


def with_fault(config: RunConfig, file: Path, misdeed: str, at: int) -> RunConfig:
    file.touch()
    fault = {"misdeed": misdeed, "at": at, "while_exists": str(file)}
    return replace(config, environment={**config.environment, **fault})


def test_environment_processes_change_no_byte(config: RunConfig, undisturbed: Path, tmp_path: Path) -> None:
    """Also not their number: a rollout is made of the same environments, wherever they run."""
    train(replace(config, env_processes=True, env_timeout=60), tmp_path / "run")
    assert outcome(tmp_path / "run") == outcome(undisturbed)


@pytest.mark.parametrize(
    ("misdeed", "processes"), [("killed", True), ("hung", True), ("nan reward", False), ("no actions", False)]
)
def test_a_run_survives_its_environments(
    misdeed: str, processes: bool, config: RunConfig, undisturbed: Path, tmp_path: Path
) -> None:
    settings = replace(config, env_processes=processes, env_timeout=10.0 if misdeed == "hung" else 60.0)
    faulty = with_fault(settings, tmp_path / "now", misdeed, at=29)
    with pytest.raises(EnvironmentFault, match=MISDEEDS[misdeed][1]):
        train(faulty, tmp_path / "run")
    assert json.loads((tmp_path / "run" / "versions.json").read_text())["status"] == "interrupted"
    (tmp_path / "now").unlink()
    resume(tmp_path / "run")
    assert outcome(tmp_path / "run") == outcome(undisturbed)


def test_the_command_tells_a_fault_in_one_sentence_with_what_to_do(
    config: RunConfig, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    faulty = with_fault(config, tmp_path / "now", "raised", at=29)
    (tmp_path / "config.yaml").write_text(to_yaml(faulty))
    assert main(["train", "--config", str(tmp_path / "config.yaml"), "--out", str(tmp_path / "run")]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert said.startswith("twosome: error: environment 0 of ")
    assert f"train --resume {tmp_path / 'run'}` goes on" in said
    (tmp_path / "now").unlink()
    assert main(["train", "--resume", str(tmp_path / "run")]) == 0


def test_how_environments_are_waited_for_may_change_on_the_way_and_nothing_else(config: RunConfig) -> None:
    """A run that stopped because env_timeout was too short must be able to go on with a longer one."""
    assert same_numbers(config, replace(config, env_timeout=7.0, env_processes=True))
    assert not same_numbers(config, replace(config, seed=1))
    assert not same_numbers(config, replace(config, save_every=1))


def test_a_run_of_before_a_setting_existed_goes_on(
    config: RunConfig, undisturbed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Settings that came later have their defaults; once the texts of the configurations were compared."""
    from twosome.runs import trainer

    def older(run: RunConfig) -> str:
        return "".join(line for line in to_yaml(run).splitlines(keepends=True) if not line.startswith("long_prompts"))

    assert same_numbers(from_mapping({}), RunConfig())
    faulty = with_fault(config, tmp_path / "now", "raised", at=29)
    with monkeypatch.context() as patch:
        patch.setattr(trainer, "to_yaml", older)
        with pytest.raises(EnvironmentFault):
            train(faulty, tmp_path / "run")
    (tmp_path / "now").unlink()
    resume(tmp_path / "run")
    assert outcome(tmp_path / "run") == outcome(undisturbed)


def test_a_loss_that_is_no_number_stops_the_run_before_it_changes_a_weight(
    config: RunConfig, undisturbed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from twosome.algorithms import ppo

    right, calls = ppo.value_loss, [0]

    def wrong(*arguments: torch.Tensor) -> torch.Tensor:
        calls[0] += 1
        return right(*arguments) * (torch.nan if calls[0] == 3 else 1)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(ppo, "value_loss", wrong)
        with pytest.raises(NumericalError, match="nothing was changed by this step"):
            train(config, tmp_path / "run")
    resume(tmp_path / "run")
    assert outcome(tmp_path / "run") == outcome(undisturbed)


def test_weights_that_grow_beyond_bounds_stop_the_run(config: RunConfig, tmp_path: Path) -> None:
    wild = replace(config, ppo=replace(config.ppo, policy_learning_rate=1e30, target_kl=None))
    with pytest.raises(NumericalError):
        train(wild, tmp_path / "run")
    for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines():
        json.loads(line, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))


def test_a_full_environment_name_is_needed_by_processes(config: RunConfig, tmp_path: Path) -> None:
    """What was registered in this process only is not known in others; that is a refusal, not a crash."""
    with pytest.raises(ConfigError, match=r"cannot make the task 'Misbehaving-v0'"):
        train(replace(config, task="Misbehaving-v0", env_processes=True, env_timeout=60), tmp_path / "run")
    assert not (tmp_path / "run").exists()
