"""What holds for every run holds with every algorithm: stopped it ends the same, and its files are read by all."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tests.runs.outcome import files_of, outcome
from tests.runs.test_resume import stop_after
from tests.tiny import SETTINGS, small_run, trained
from twosome.algorithms import ALGORITHMS, WITHOUT_CRITIC
from twosome.algorithms.config import GroupsConfig
from twosome.cli import main
from twosome.cli.report import record_episodes
from twosome.errors import ConfigError
from twosome.report import write_report
from twosome.runs.agents import load_agent
from twosome.runs.best import best_directory
from twosome.runs.journal import read_lines
from twosome.runs.starting import adopt, describe_start
from twosome.runs.trainer import resume, train
from twosome.settings.config import RunConfig

WITHIN = {"trust_region": "tv", "entropy_coefficient_end": 0.0, "reference_kl_coefficient": 0.01, "target_kl": None}


@pytest.fixture(scope="module", params=[*ALGORITHMS, "trust region"])
def config(request: pytest.FixtureRequest, model_directory: str) -> RunConfig:
    run = small_run(model_directory, decisions=8 * 24)
    if request.param == "trust region":
        return replace(run, ppo=replace(run.ppo, reference_kl_target=0.01, **WITHIN))
    return replace(run, algorithm=request.param, **SETTINGS.get(request.param, {}))


@pytest.fixture(scope="module")
def undisturbed(config: RunConfig, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trained(config, tmp_path_factory)


def test_it_trains_its_actor(config: RunConfig, undisturbed: Path) -> None:
    lines = read_lines(undisturbed / "metrics.jsonl")
    assert sum(line["optimizer_steps"] for line in lines) > 0
    assert (
        (undisturbed / "critic.safetensors").is_file() == config.has_critic == (config.algorithm not in WITHOUT_CRITIC)
    )
    seen = [step["value"] for line in read_lines(undisturbed / "episodes.jsonl") for step in line["steps"]]
    assert all((value is None) == (not config.has_critic) for value in seen)
    read = [line["read"] for line in read_lines(undisturbed / "timing.jsonl")]
    assert (sum(read) > 0) == config.has_critic  # no prompt is read for a critic that is not there


@pytest.mark.parametrize("update", [1, 3, 6])
def test_stopped_at_any_update_it_ends_the_same(
    update: int, config: RunConfig, undisturbed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop_after(config, tmp_path / "run", update, monkeypatch)
    resume(tmp_path / "run")
    assert outcome(tmp_path / "run", files_of(config)) == outcome(undisturbed, files_of(config))


def test_its_agent_plays_and_its_best_does(
    config: RunConfig, undisturbed: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    agent = load_agent(undisturbed)
    assert (agent.language.critic is not None) == config.has_critic
    assert load_agent(best_directory(undisturbed)).trained
    for further in ([], ["--best"]):
        assert main(["evaluate", str(undisturbed), "--episodes", "2", "--json", *further]) == 0
    assert "discounted_return" in capsys.readouterr().out


def test_the_report_shows_it(config: RunConfig, undisturbed: Path, tmp_path: Path) -> None:
    copy = tmp_path / "run"
    shutil.copytree(undisturbed, copy)
    record_episodes([copy])
    page = write_report([copy], tmp_path / "report.html").read_text()
    assert "tomato-lettuce-salad" in page
    assert '"value":null' in page.replace(" ", "") or config.has_critic


def test_a_finished_run_goes_on(config: RunConfig, undisturbed: Path, tmp_path: Path) -> None:
    copy = tmp_path / "run"
    shutil.copytree(undisturbed, copy)
    resume(copy, decisions=10 * 24)
    lines, before = read_lines(copy / "metrics.jsonl"), read_lines(undisturbed / "metrics.jsonl")
    assert len(lines) == 10
    assert lines[:8] == before


def test_another_run_starts_from_its_adapter_whatever_that_is_trained_by(
    config: RunConfig, undisturbed: Path, tmp_path: Path
) -> None:
    learned = load_agent(undisturbed).language.state_dict()
    for name in ALGORITHMS:
        fresh = small_run(config.model, algorithm=name, decisions=24, start=str(undisturbed), **SETTINGS.get(name, {}))
        fresh = adopt(replace(fresh, ppo=replace(fresh.ppo, policy_learning_rate=0.0)), set())
        its = "no" if not fresh.has_critic else "its" if config.has_critic else "a new"
        assert f"with {its} critic" in describe_start(fresh)
        train(fresh, tmp_path / name)
        after = load_agent(tmp_path / name).language.state_dict()
        adapter = [weight for weight in learned if weight.startswith("adapter.")]
        assert all(torch.equal(after[weight], learned[weight]) for weight in adapter)


def test_groups_must_divide_the_environments(model_directory: str) -> None:
    with pytest.raises(ConfigError, match=r"num_envs=3 environments cannot be divided into groups\.size=2"):
        small_run(model_directory, algorithm="groups", groups=GroupsConfig(size=2))
