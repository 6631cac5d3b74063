"""A run from nothing to a directory that is complete by itself."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer

from tests.runs.outcome import outcome
from tests.tiny import build_model, byte_level, small_run, trained
from twosome import Decision
from twosome.errors import ModelError, RunError, TokenizationError
from twosome.models.policy import LanguageModelPolicy
from twosome.runs.agents import load_agent
from twosome.runs.curve import draw_learning_curve
from twosome.runs.directory import RunDirectory
from twosome.runs.journal import read_lines
from twosome.runs.trainer import train
from twosome.settings.config import RunConfig


@pytest.fixture(scope="module")
def config(model_directory: str) -> RunConfig:
    small = {"decisions": 32, "num_envs": 2, "environment": {"time_limit": 8}}
    return small_run(model_directory, task="tomato-salad", **small)


@pytest.fixture(scope="module")
def run(config: RunConfig, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trained(config, tmp_path_factory)


def test_the_directory_is_complete(run: Path) -> None:
    names = {path.name for path in run.iterdir()}
    expected = {"config.yaml", "versions.json", "metrics.jsonl", "episodes.jsonl", "timing.jsonl"}
    visible = {name for name in names if not name.startswith(".")}
    assert visible == expected | {"adapter", "critic.safetensors", "learning_curve.png", "checkpoints", "best"}
    assert (run / "learning_curve.png").read_bytes().startswith(b"\x89PNG")
    versions = json.loads((run / "versions.json").read_text())
    assert versions["status"] == "finished"
    assert versions["scoring"].startswith("packed rows, shared prefixes")
    assert versions["torch"] == torch.__version__


def test_metrics_and_episodes_tell_what_happened(run: Path) -> None:
    metrics = read_lines(run / "metrics.jsonl")
    assert [line["decisions"] for line in metrics] == [16, 32]
    assert metrics[0]["entropy"] > 0
    episodes = read_lines(run / "episodes.jsonl")
    assert sum(line["episodes"] for line in metrics) == len(episodes) > 0
    steps = episodes[0]["steps"]
    assert len(steps) == episodes[0]["decisions"]
    assert sum(step["duration"] for step in steps) == episodes[0]["duration"] >= 8
    for step in steps:
        assert len(step["probabilities"]) == len(step["actions"])
        assert sum(step["probabilities"]) == pytest.approx(1, abs=1e-4)


def test_what_an_update_took_is_counted(run: Path, config: RunConfig) -> None:
    for line in read_lines(run / "timing.jsonl"):
        assert 0 < line["scored"] <= line["decisions"]
        assert 0 <= line["read"] <= line["prompts"]
        assert line["decisions"] >= config.decisions_per_update
        assert line["tokens"] > line["scored"]  # many tokens each
    assert len(read_lines(run / "timing.jsonl")) == 2


def test_the_adapter_loads_with_plain_peft_and_gives_the_same_policy(run: Path, config: RunConfig) -> None:
    decision = Decision("You should now", ("pick up the tomato", "take the bowl"))
    base = AutoModelForCausalLM.from_pretrained(config.model)
    model = PeftModel.from_pretrained(base, str(run / "adapter")).eval()
    with torch.no_grad():
        plain = LanguageModelPolicy(model, AutoTokenizer.from_pretrained(config.model)).action_log_probs([decision])
        ours = load_agent(run).policy.action_log_probs([decision])
        untrained = load_agent(model=config.model).policy.action_log_probs([decision])
    torch.testing.assert_close(plain, ours)
    assert not torch.allclose(ours, untrained)


def test_only_adapter_and_critic_are_trained_the_adapter_in_float32(run: Path, config: RunConfig) -> None:
    policy = load_agent(run).policy
    assert policy.actor_parameters() == []  # loaded to act
    for name, parameter in policy.model.named_parameters():
        if "lora" in name:
            assert parameter.dtype == torch.float32
    base = AutoModelForCausalLM.from_pretrained(config.model)
    trained = dict(policy.model.base_model.model.named_parameters())
    for name, parameter in base.named_parameters():
        mine = trained.get(name, trained.get(name.replace(".weight", ".base_layer.weight")))
        assert torch.equal(mine, parameter)


def test_the_same_seed_writes_the_same_bytes(run: Path, config: RunConfig, tmp_path: Path) -> None:
    train(config, tmp_path / "again")
    assert outcome(run) == outcome(tmp_path / "again")


def test_the_first_ratio_of_every_update_is_exactly_1(config: RunConfig, tmp_path: Path) -> None:
    """With one optimizer step an update, every ratio is the first."""
    once = replace(config, ppo=replace(config.ppo, epochs=1, policy_minibatch=4, accumulation_steps=4))
    train(once, tmp_path / "run")
    for line in read_lines(tmp_path / "run" / "metrics.jsonl"):
        assert line["approximate_kl"] == 0
        assert line["clip_fraction"] == 0
        assert line["optimizer_steps"] == 1


def test_at_learning_rate_0_nothing_changes(config: RunConfig, tmp_path: Path) -> None:
    still = replace(config, ppo=replace(config.ppo, policy_learning_rate=0.0, value_learning_rate=0.0, epochs=2))
    policy = train(still, tmp_path / "run")
    decision = Decision("You should now", ("pick up the tomato", "take the bowl"))
    with torch.no_grad():
        untrained = load_agent(model=config.model).policy.action_log_probs([decision])
        assert torch.equal(policy.action_log_probs([decision]), untrained)
    assert all(line["approximate_kl"] == 0 for line in read_lines(tmp_path / "run" / "metrics.jsonl"))


def test_an_interrupt_leaves_a_usable_run(config: RunConfig, tmp_path: Path) -> None:
    def interrupt(progress: Any) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(config, tmp_path / "run", interrupt)
    assert json.loads((tmp_path / "run" / "versions.json").read_text())["status"] == "interrupted"
    assert len(read_lines(tmp_path / "run" / "metrics.jsonl")) == 1
    assert load_agent(tmp_path / "run").trained


def test_an_occupied_directory_is_refused_and_left_alone(run: Path, config: RunConfig) -> None:
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    with pytest.raises(RunError, match="not empty"):
        train(config, run)
    assert before == {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}


def test_a_directory_that_cannot_be_written_is_refused(config: RunConfig, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(RunError, match="cannot write a run"):
        train(config, file / "run")


def test_an_adapter_of_another_model_is_refused(run: Path, tmp_path: Path) -> None:
    from tests.tiny import save_model

    other = save_model(tmp_path / "other", "gpt2")
    with pytest.raises(ModelError, match="does not fit"):
        load_agent(run / "adapter", model=other)


def test_prompts_too_long_are_refused_or_cut_and_counted(config: RunConfig, tmp_path: Path) -> None:
    short = build_model("llama", max_position_embeddings=64)
    short.save_pretrained(tmp_path / "model")
    byte_level(bos=True).save_pretrained(tmp_path / "model")
    config = replace(config, model=str(tmp_path / "model"))
    with pytest.raises(TokenizationError, match=r"reads at most 64.*long_prompts"):
        train(config, tmp_path / "refused")
    with pytest.warns(UserWarning, match="prompts are cut"):
        train(replace(config, long_prompts="keep_end"), tmp_path / "cut")
    lines = read_lines(tmp_path / "cut" / "metrics.jsonl")
    assert [line["cut_prompts"] for line in lines] == [16, 16]
    with pytest.warns(UserWarning, match="prompts are cut"):
        load_agent(tmp_path / "cut").policy.action_log_probs([Decision("far too long " * 40 + "now", ("go",))])


def test_what_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="neither a run"):
        load_agent(tmp_path)
    with pytest.raises(RunError, match="no run in"):
        RunDirectory.open(tmp_path)


def test_a_model_directory_without_a_tokenizer_is_refused(model_directory: str, tmp_path: Path) -> None:
    for name in ("config.json", "model.safetensors"):
        (tmp_path / name).write_bytes((Path(model_directory) / name).read_bytes())
    with pytest.raises(ModelError, match="holds no tokenizer"):
        load_agent(model=str(tmp_path))


def test_pickled_weights_are_refused(run: Path, model_directory: str, tmp_path: Path) -> None:
    shutil.copytree(model_directory, tmp_path / "model")
    (tmp_path / "model" / "model.safetensors").rename(tmp_path / "model" / "pytorch_model.bin")
    with pytest.raises(ModelError, match="pickled weights are not read"):
        load_agent(model=str(tmp_path / "model"))
    shutil.copytree(run / "adapter", tmp_path / "adapter")
    (tmp_path / "adapter" / "adapter_model.safetensors").rename(tmp_path / "adapter" / "adapter_model.bin")
    with pytest.raises(ModelError, match="pickled ones are not read"):
        load_agent(tmp_path / "adapter", model=model_directory)


def test_a_model_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="cannot load"):
        load_agent(model=str(tmp_path / "nothing"))


def test_every_stage_is_told_from_loading_to_the_last_step(config: RunConfig, tmp_path: Path) -> None:
    """A model that needs minutes for an update said nothing until the first had ended."""
    stages: list[str] = []
    steps = config.num_envs * config.rollout_steps
    train(replace(config, decisions=2 * steps), tmp_path / "run", on_stage=stages.append)
    assert stages[:2] == [f"loading {config.model}", f"finding out how {config.model} is read"]
    first = [stage.removeprefix("update 1 of 2: ") for stage in stages if stage.startswith("update 1 of 2: ")]
    collecting = [f"collecting, decision {done} of {steps}" for done in range(0, steps, config.num_envs)]
    assert first[: len(collecting)] == collecting
    assert first[len(collecting)] == "valuing what was collected"
    assert first[len(collecting) + 1].startswith("improving the critic, pass 1 of ")
    assert first[len(collecting) + 2].startswith("improving the actor, step 1 of ")
    assert stages[-1].startswith("update 2 of 2: improving the ")


def test_a_curve_without_an_episode_is_drawn_in_silence(tmp_path: Path, recwarn: pytest.WarningsRecorder) -> None:
    line = {"decisions": 128, "episodes": 0, "discounted_return": None, "success": None}
    draw_learning_curve([line], "nothing yet", tmp_path / "curve.png")
    assert (tmp_path / "curve.png").stat().st_size > 0
    assert not [str(warning.message) for warning in recwarn if "legend" in str(warning.message)]
