"""Full finetuning: all weights train, and the critic still reads the base as it was."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM

from tests.runs.outcome import outcome
from tests.runs.test_resume import stop_after
from tests.tiny import build_model, small_run, trained
from twosome import Decision
from twosome.errors import ConfigError, ModelError, RunError
from twosome.models import loading
from twosome.models.loading import unfreeze
from twosome.runs.agents import load_agent
from twosome.runs.journal import read_lines
from twosome.runs.trainer import resume, train
from twosome.settings.config import LoadingConfig, RunConfig

FILES = ("metrics.jsonl", "episodes.jsonl", "model/model.safetensors", "critic.safetensors")
DECISION = Decision("You should now", ("pick up the tomato", "take the bowl"))


@pytest.fixture(scope="module")
def config(model_directory: str) -> RunConfig:
    config = small_run(model_directory, finetune="full", decisions=96)
    return replace(config, ppo=replace(config.ppo, policy_learning_rate=1e-3))


@pytest.fixture(scope="module")
def run(config: RunConfig, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trained(config, tmp_path_factory)


def test_every_weight_of_the_model_trained(run: Path, config: RunConfig) -> None:
    before = dict(AutoModelForCausalLM.from_pretrained(config.model).named_parameters())
    after = dict(AutoModelForCausalLM.from_pretrained(run / "model").named_parameters())
    assert before.keys() == after.keys()
    assert not [name for name, weight in after.items() if torch.equal(weight, before[name])]


def test_the_critic_reads_the_base_as_it_was(run: Path, config: RunConfig) -> None:
    trained, untrained = load_agent(run).language, load_agent(model=config.model).language
    assert torch.equal(trained.features([DECISION.prompt]), untrained.features([DECISION.prompt]))
    with torch.no_grad():
        acting = untrained.action_log_probs([DECISION])
        assert torch.equal(trained.reference_action_log_probs([DECISION]), acting)
        assert not torch.allclose(trained.action_log_probs([DECISION]), acting)


def test_a_loaded_agent_is_the_trained_one(run: Path, config: RunConfig, tmp_path: Path) -> None:
    policy = train(config, tmp_path / "again")
    assert outcome(run, FILES) == outcome(tmp_path / "again", FILES)
    loaded = load_agent(run).language
    weights = dict(loaded.model.named_parameters())
    for name, weight in policy.model.named_parameters():
        assert torch.equal(weight, weights[name])
    with torch.no_grad():
        expected, found = policy.action_log_probs([DECISION]), loaded.action_log_probs([DECISION])
        assert torch.equal(policy.values([DECISION]), loaded.values([DECISION]))
    # To the bit if it is read the same way: a vocabulary matrix that trains meets all rows at once, one that is frozen
    # a part at a time.
    torch.testing.assert_close(found, expected, rtol=0, atol=2e-6)
    unfreeze(loaded.model)
    with torch.no_grad():
        scores = [each.scorer.scores([DECISION]).token_log_probs for each in (policy, loaded)]
    assert torch.equal(*scores)


def test_stopped_it_ends_the_same(
    run: Path, config: RunConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop_after(config, tmp_path / "run", 3, monkeypatch)
    resume(tmp_path / "run")
    assert outcome(tmp_path / "run", FILES) == outcome(run, FILES)


def test_the_first_ratio_of_every_update_is_exactly_1(config: RunConfig, tmp_path: Path) -> None:
    once = replace(config, ppo=replace(config.ppo, epochs=1, policy_minibatch=8, accumulation_steps=3))
    train(once, tmp_path / "run")
    lines = read_lines(tmp_path / "run" / "metrics.jsonl")
    assert all((line["approximate_kl"], line["optimizer_steps"]) == (0, 1) for line in lines)


def test_what_is_too_large_or_not_in_float32_is_refused(monkeypatch: pytest.MonkeyPatch, config: RunConfig) -> None:
    with pytest.raises(ModelError, match="float32"):
        unfreeze(build_model("llama").to(torch.bfloat16))
    monkeypatch.setattr(loading, "MOST_UNFROZEN", 1000)
    with pytest.raises(ModelError, match="use finetune=lora"):
        unfreeze(build_model("llama"))


def test_a_state_that_is_not_whole_is_refused(run: Path) -> None:
    """Tied weights are listed once, so torch is not asked to be strict, and would leave what is missing as it was."""
    policy = load_agent(run).language
    unfreeze(policy.model)
    policy._actor = list(policy.model.parameters())
    state = policy.state_dict()
    policy.load_state_dict(state)
    del state["model.model.norm.weight"]
    with pytest.raises(RunError, match=r"1 of \d+ weights are missing \(model.model.norm.weight\)"):
        policy.load_state_dict(state)


def test_another_model_for_a_fully_trained_run_is_refused(run: Path) -> None:
    with pytest.raises(ConfigError, match="leave out --model"):
        load_agent(run, model="embedded")


def test_low_precision_is_refused_before_anything_is_written(config: RunConfig, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="float32"):
        train(replace(config, loading=LoadingConfig(dtype="bfloat16")), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_loaded_agent_reads_as_the_run_did(config: RunConfig, tmp_path: Path) -> None:
    own = replace(config, long_prompts="keep_end", loading=LoadingConfig(path="padded", token_budget=100))
    train(own, tmp_path / "run")
    scorer = load_agent(tmp_path / "run").language.scorer
    assert scorer.encoder.long_prompts == "keep_end"
    assert scorer.reader.describe() == "a padded row per prompt and action"
