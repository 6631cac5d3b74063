"""Every setting is reachable, and nonsense is refused by name."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from twosome.cli.train import parse
from twosome.errors import ConfigError
from twosome.settings.config import (
    PRESET_DIRECTORY,
    PRESETS,
    RunConfig,
    from_mapping,
    preset_config,
    preset_files,
    to_yaml,
)
from twosome.text.tasks import TASKS


@pytest.mark.parametrize("file", sorted(PRESET_DIRECTORY.glob("*.yaml")), ids=lambda file: file.name)
def test_every_shipped_preset_is_valid(file: Path) -> None:
    values = yaml.safe_load(file.read_text(encoding="utf-8"))
    assert isinstance(from_mapping(values), RunConfig)


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("preset", PRESETS)
def test_every_task_has_every_preset(task: str, preset: str) -> None:
    config, out = parse([task, "--preset", preset])
    assert config.task == task
    assert task in str(out)
    assert (config.model == "embedded") == (preset != "paper")
    assert (config.policy == "vector") == (preset == "ppo")


def test_the_paper_preset_holds_the_published_settings() -> None:
    config, _ = parse(["tomato-salad", "--preset", "paper"])
    assert (config.num_envs, config.rollout_steps, config.decisions) == (4, 32, 500_000)
    ppo = config.ppo
    assert (ppo.policy_learning_rate, ppo.value_learning_rate) == (5e-7, 1e-5)
    assert (ppo.epochs, ppo.policy_minibatch, ppo.accumulation_steps, ppo.value_minibatch) == (1, 4, 8, 32)
    assert (ppo.gamma, ppo.gae_lambda, ppo.clip, ppo.value_clip, ppo.target_kl) == (0.99, 0.95, 0.2, 0.2, 0.02)
    assert (ppo.entropy_coefficient, ppo.value_coefficient, ppo.max_gradient_norm) == (0.01, 0.5, 0.5)
    assert ppo.normalize_advantages == "minibatch"
    assert not ppo.bootstrap_truncated
    assert (config.lora.rank, config.lora.alpha, config.lora.targets) == (8, 16, ["q_proj", "v_proj"])
    assert (config.critic.hidden, config.critic.bias, config.normalization) == ([1024, 512], False, "word")


def test_a_tasks_preset_overrides_its_worlds_and_that_the_general_one() -> None:
    config, _ = parse(["entertainment", "--preset", "paper"])
    assert config.decisions == 200_000  # its own
    assert config.ppo.gamma == 0.95  # the world's
    assert config.environment == {"faithful": True, "wording": "everyday"}  # the words that other models know
    assert config.critic.hidden == [1024, 512]  # the general one
    assert [file.name for file in preset_files("somebody:Else-v0", "tiny")] == ["tiny.yaml"]


def test_a_world_of_others_has_its_preset_by_any_of_its_names() -> None:
    for task in ("babyai:GoToLocal", "BabyAI-GoToLocal-v0"):
        config, _ = parse([task, "--preset", "fitted"])
        assert (config.algorithm, config.fitted.guess_visits, config.environment) == ("fitted", 1, {"told": "mission"})


def test_flags_override_the_file_and_the_file_the_preset(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("decisions: 256\nppo:\n  clip: 0.3\n  epochs: 7\n")
    config, _ = parse(["tomato-salad", "--config", str(file), "--ppo.epochs", "5"])
    assert (config.decisions, config.ppo.clip, config.ppo.epochs) == (256, 0.3, 5)
    assert config.lora.targets == "all-linear"  # from the preset


def test_a_written_configuration_reads_back(tmp_path: Path) -> None:
    config, _ = parse(
        ["tomato-lettuce-salad", "--seed", "3", "--environment", '{"view_radius": 1}', "--model", "some/model"]
    )
    file = tmp_path / "config.yaml"
    file.write_text(to_yaml(config))
    again, _ = parse(["--config", str(file)])
    assert again == config
    assert from_mapping(yaml.safe_load(to_yaml(config))) == config


def test_every_setting_is_a_flag(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse(["--help"])
    text = capsys.readouterr().out

    settings = yaml.safe_load(to_yaml(RunConfig()))
    nested = {f"{group}.{name}" for group, values in settings.items() if isinstance(values, dict) for name in values}
    flat = {name for name, values in settings.items() if not isinstance(values, dict) or not values}
    assert {name for name in nested | flat if f"--{name}" not in text} == set()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["tomato-salad", "--ppo.policy_learning_rate", "-1"], "ppo.policy_learning_rate must not be negative"),
        (["tomato-salad", "--ppo.bogus", "1"], "ppo.bogus"),
        (["tomato-salad", "--decisions", "many"], "decisions"),
        (["tomato-salad", "--decisions", "0"], "decisions must be at least 1"),
        (["tomato-salad", "--seed", "-1"], "seed"),
        (["tomato-salad", "--preset", "huge"], "unknown preset 'huge'"),
        (["tomato-salad", "--lora.rank", "0"], "lora.rank"),
        (["tomato-salad", "--critic.hidden", "[]"], "critic.hidden"),
        (["tomato-salad", "--vector.hidden", "[0]"], "vector.hidden"),
        (["tomato-salad", "--policy", "table"], "policy"),
        (["tomato-salad", "--finetune", "half"], "finetune"),
        (["tomato-salad", "--ppo.policy_minibatch", "500"], "ppo.policy_minibatch"),
        (["tomato-salad", "--config", "no-such-file.yaml"], "no-such-file.yaml"),
        (["--seed", "1"], "name a task"),
    ],
)
def test_nonsense_is_refused_by_name(words: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message.replace(".", r"\.")):
        parse(words)


def test_an_unknown_key_in_a_file_is_refused_by_name(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("ppo:\n  learning_rate: 1\n")
    with pytest.raises(ConfigError, match="learning_rate"):
        parse(["tomato-salad", "--config", str(file)])


def test_an_unknown_preset_is_refused() -> None:
    with pytest.raises(ConfigError, match="expected one of tiny, small, paper, ppo"):
        preset_files("tomato-salad", "large")


WRITTEN = """
task: tomato-salad
decisions: 1e4
num_envs: "2e0"
loading: {revision: 12e45, token_budget: 2E3}
ppo: {policy_learning_rate: 5e-5, value_learning_rate: 5E-5, gamma: .9e0}
critic: {hidden: [1e3, 512]}
environment: {time_limit: 30, nested: {cost: 1e-3, costs: [5e-5, 1]}}
"""


@pytest.mark.parametrize("way", ["--config", "a run's file"])
def test_a_number_without_a_point_is_a_number(way: str, tmp_path: Path) -> None:
    """YAML 1.1 takes 5e-5 for a text."""
    file = tmp_path / "mine.yaml"
    file.write_text(WRITTEN)
    config = from_mapping(yaml.safe_load(WRITTEN)) if way != "--config" else parse(["--config", str(file)])[0]
    assert (config.decisions, config.num_envs, config.loading.token_budget) == (10_000, 2, 2000)
    assert (config.ppo.policy_learning_rate, config.ppo.value_learning_rate, config.ppo.gamma) == (5e-5, 5e-5, 0.9)
    assert config.critic.hidden == [1000, 512]
    assert config.environment["nested"] == {"cost": 1e-3, "costs": [5e-5, 1]}
    assert config.loading.revision == "12e45"  # the name of a branch
    assert from_mapping(yaml.safe_load(to_yaml(config))) == config


def test_a_number_without_a_point_is_a_number_as_a_flag() -> None:
    words = ["tomato-salad", "--decisions", "1e4", "--lora.rank=1E1", "--critic.hidden", "[1e3, 64]", "--model", "1e5"]
    config, _ = parse(words)
    assert (config.decisions, config.lora.rank, config.critic.hidden, config.model) == (10_000, 10, [1000, 64], "1e5")


@pytest.mark.parametrize("value", ["1e-4", "25e-1", "1e999", "1e4 envs"])
def test_what_is_no_whole_number_is_refused_as_it_was_written(value: str) -> None:
    with pytest.raises(ConfigError, match=f"num_envs must be a whole number, got '{value}'"):
        from_mapping({"task": "tomato-salad", "num_envs": value})
    with pytest.raises(ConfigError, match="num_envs"):
        parse(["tomato-salad", "--num_envs", value])


def test_a_preset_is_read_once_and_nobody_can_change_it() -> None:
    """A plan of a reproduction read the same files 400 times, for seconds."""
    first = preset_config("food-preparation", "paper")
    expected = to_yaml(first)
    assert first.environment == {"faithful": True}
    first.environment["faithful"] = False
    first.critic.hidden.append(1)
    assert isinstance(first.lora.targets, list)
    first.lora.targets.clear()
    assert to_yaml(preset_config("food-preparation", "paper")) == expected
