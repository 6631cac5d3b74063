"""A run that starts from an adapter acts as the adapter does, and needs it no more once it has begun."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.runs.outcome import outcome
from tests.runs.test_resume import stop_after
from tests.tiny import small_run, trained
from twosome import Decision
from twosome.cli.train import parse
from twosome.errors import ConfigError, RunError
from twosome.models.policy import LanguageModelPolicy
from twosome.runs.agents import load_agent
from twosome.runs.building import new_policy
from twosome.runs.starting import adopt, describe_start, load_start
from twosome.runs.trainer import resume, train
from twosome.settings.config import LoraConfig, RunConfig

SEEN = [Decision("You are at the board. What now? You", ("chop", "walk away", "serve the dish"))]


@pytest.fixture(scope="module")
def config(model_directory: str) -> RunConfig:
    return small_run(model_directory, decisions=48)


@pytest.fixture(scope="module")
def first(config: RunConfig, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trained(config, tmp_path_factory)


def started(config: RunConfig, start: Path) -> LanguageModelPolicy:
    torch.manual_seed(7)
    config = replace(config, start=str(start))
    policy = new_policy(config)
    load_start(policy, config)
    assert isinstance(policy, LanguageModelPolicy)
    return policy


def test_it_begins_with_the_probabilities_and_values_of_the_run(config: RunConfig, first: Path) -> None:
    policy, source = started(config, first), load_agent(first).language
    with torch.no_grad():
        assert torch.equal(policy.action_log_probs(SEEN), source.action_log_probs(SEEN))
        assert torch.equal(policy.values(SEEN), source.values(SEEN))
        assert not torch.equal(policy.action_log_probs(SEEN), policy.reference_action_log_probs(SEEN))
    assert all(parameter.requires_grad for parameter in policy.actor_parameters())


def test_a_bare_adapter_comes_with_a_new_critic(config: RunConfig, first: Path) -> None:
    policy, source = started(config, first / "adapter"), load_agent(first).language
    with torch.no_grad():
        assert torch.equal(policy.action_log_probs(SEEN), source.action_log_probs(SEEN))
        assert not torch.equal(policy.values(SEEN), source.values(SEEN))
    assert "a new critic" in describe_start(replace(config, start=str(first / "adapter")))
    assert "its critic" in describe_start(replace(config, start=str(first / "best")))


@pytest.mark.parametrize("update", [1, 2])
def test_once_it_has_begun_it_needs_the_start_no_more(
    update: int, config: RunConfig, first: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(first, tmp_path / "start")
    following = replace(config, start=str(tmp_path / "start"), seed=1, decisions=24 * 3, save_every=2)
    train(following, tmp_path / "whole")
    stop_after(following, tmp_path / "stopped", update, monkeypatch)
    shutil.rmtree(tmp_path / "start")
    resume(tmp_path / "stopped")
    assert outcome(tmp_path / "stopped") == outcome(tmp_path / "whole")


def test_settings_come_from_the_start_and_conflicts_are_named(config: RunConfig, first: Path) -> None:
    asked = replace(config, start=str(first), lora=LoraConfig(rank=8), model="embedded")
    adopted = adopt(asked, explicit=())
    assert (adopted.lora, adopted.critic, adopted.model) == (config.lora, config.critic, config.model)
    with pytest.raises(ConfigError, match=r"lora\.rank is 8, but the start .* has 2"):
        adopt(asked, explicit={"lora.rank"})
    for flag, value in (("lora.rank", "4"), ("lora.alpha", "3"), ("critic.hidden", "[9]")):
        with pytest.raises(ConfigError, match=rf"{flag} is .*, but the start"):
            parse(["tomato-salad", "--start", str(first), f"--{flag}", value])


@pytest.mark.parametrize(
    ("setting", "name"),
    [({"rank": 4}, "lora.rank"), ({"alpha": 3.0}, "lora.alpha"), ({"targets": ["q_proj"]}, "lora.targets")],
)
def test_an_adapter_that_is_not_what_the_settings_say_is_refused_before_anything_is_written(
    setting: dict[str, Any], name: str, config: RunConfig, first: Path, tmp_path: Path
) -> None:
    """With another alpha the weights fit, and mean something else."""
    odd = replace(config, start=str(first), lora=replace(config.lora, **setting))
    with pytest.raises(ConfigError, match=name.replace(".", r"\.")):
        train(odd, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_an_adapter_that_computes_something_else_is_refused_by_name(
    config: RunConfig, first: Path, tmp_path: Path
) -> None:
    adapter = tmp_path / "adapter"
    for name, value in (("use_rslora", True), ("rank_pattern", {"q_proj": 4}), ("bias", "all")):
        shutil.copytree(first / "adapter", adapter, dirs_exist_ok=True)
        file = adapter / "adapter_config.json"
        file.write_text(json.dumps({**json.loads(file.read_text()), name: value}))
        with pytest.raises(ConfigError, match=name):
            started(config, adapter)


@pytest.mark.parametrize("damage", ["nan", "one weight less", "no weights", "no adapter"])
def test_weights_that_do_not_arrive_whole_are_refused(
    damage: str, config: RunConfig, first: Path, tmp_path: Path
) -> None:
    adapter = tmp_path / "adapter"
    shutil.copytree(first / "adapter", adapter)
    weights = load_file(adapter / "adapter_model.safetensors")
    if damage == "nan":
        next(iter(weights.values())).fill_(torch.nan)
    weights = dict(list(weights.items())[1:]) if damage == "one weight less" else weights
    save_file(weights, adapter / "adapter_model.safetensors")
    if damage == "no weights":
        (adapter / "adapter_model.safetensors").write_bytes(b"")
    with pytest.raises((RunError, ConfigError), match=r"start|weights"):
        started(config, tmp_path if damage == "no adapter" else adapter)


def test_what_trains_no_adapter_starts_from_none() -> None:
    for settings in ({"policy": "vector"}, {"finetune": "full"}):
        with pytest.raises(ConfigError, match="start names an adapter"):
            RunConfig(start="somewhere", **settings)  # type: ignore[arg-type]
