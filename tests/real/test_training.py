"""A pretrained model practises: ratios begin at 1, and a run that was killed ends with the same bytes."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.runs.outcome import outcome
from twosome.algorithms import actor
from twosome.algorithms.config import PPOConfig
from twosome.algorithms.ppo import PPO
from twosome.models.policy import LanguageModelPolicy
from twosome.rollout import Collector
from twosome.runs.trainer import resume, train
from twosome.settings.config import CriticConfig, LoraConfig, RunConfig, to_yaml
from twosome.text.tasks import make_vector_task

pytestmark = pytest.mark.real


def test_the_first_ratio_of_an_update_is_exactly_1(
    policy: LanguageModelPolicy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rollout reads decisions as they come, the update in shuffled minibatches with a gradient."""
    seen: list[Tensor] = []
    surrogate = actor.clipped_surrogate

    def watched(log_ratio: Tensor, *rest: Any) -> Tensor:
        seen.append(log_ratio.detach().clone())
        return surrogate(log_ratio, *rest)

    monkeypatch.setattr(actor, "clipped_surrogate", watched)
    with closing(make_vector_task("tomato-salad", 2)) as envs:
        collector = Collector(envs, seed=0, generator=torch.Generator().manual_seed(0))
        rollout, _ = collector.collect(policy, 4)
    config = PPOConfig(epochs=1, policy_minibatch=4, accumulation_steps=2, value_minibatch=8, target_kl=None)
    PPO(policy, config, torch.Generator().manual_seed(0)).update(policy, rollout, 0.0)
    assert sum(map(len, seen)) == 8
    assert all(torch.equal(log_ratio, torch.zeros_like(log_ratio)) for log_ratio in seen)


@pytest.fixture(scope="module")
def config(model_path: str) -> RunConfig:
    return RunConfig(
        task="food-preparation",
        model=model_path,
        decisions=24,
        num_envs=2,
        rollout_steps=4,
        save_every=1,
        record_every=1,
        environment={"step_limit": 5},
        lora=LoraConfig(rank=2, targets="all-linear", top_layers=2),
        critic=CriticConfig(hidden=[8]),
        ppo=PPOConfig(epochs=1, policy_minibatch=4, accumulation_steps=1, value_minibatch=8),
    )


def test_a_run_that_was_killed_ends_with_the_same_bytes(config: RunConfig, tmp_path: Path) -> None:
    torch.set_num_threads(1)
    train(config, tmp_path / "whole")
    whole = outcome(tmp_path / "whole")
    assert whole["metrics.jsonl"].count(b"\n") == 3
    assert b"NaN" not in whole["metrics.jsonl"]
    file, run = tmp_path / "config.yaml", tmp_path / "killed"
    file.write_text(to_yaml(config))
    kill_after_an_update([sys.executable, "-m", "twosome", "train", "--config", str(file), "--out", str(run)], run)
    assert "finished" not in (run / "versions.json").read_text()
    resume(run)
    assert outcome(run) == whole


def kill_after_an_update(command: Sequence[str], run: Path) -> None:
    """Start a training, and kill it when its first update is on disk."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    metrics, deadline = run / "metrics.jsonl", time.monotonic() + 300
    while not (metrics.exists() and metrics.stat().st_size):
        assert process.poll() is None, "it ended before it trained"
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
