"""A run that values actions: it goes on to the same bytes, keeps the best that played, and writes what it learned."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.runs.outcome import FILES, outcome
from tests.runs.test_resume import stop_after
from tests.tiny import small_run, trained
from twosome.algorithms.config import FittedConfig
from twosome.evaluation.exact import evaluate_exactly
from twosome.runs.agents import load_agent
from twosome.runs.journal import read_lines
from twosome.runs.trainer import resume, train
from twosome.settings.config import RunConfig, preset_config

ALL = (
    *(name for name in FILES if not name.startswith("critic")),
    "best/best.json",
    "best/adapter/adapter_model.safetensors",
)


@pytest.fixture(scope="module", params=["base", "adapter"])
def config(model_directory: str, request: pytest.FixtureRequest) -> RunConfig:
    settings = FittedConfig(
        prior=request.param, fit_every=3, fit_passes=2, replay=60, hidden=[8], bonus=0.1, fit_keep=1.0
    )
    return small_run(model_directory, algorithm="fitted", fitted=settings, decisions=8 * 24)


@pytest.fixture(scope="module")
def undisturbed(config: RunConfig, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trained(config, tmp_path_factory)


@pytest.mark.parametrize("update", [1, 3, 6])
def test_stopped_at_any_update_it_ends_the_same(
    update: int, config: RunConfig, undisturbed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop_after(config, tmp_path / "run", update, monkeypatch)
    resume(tmp_path / "run")
    assert outcome(tmp_path / "run", ALL) == outcome(undisturbed, ALL)


def test_only_what_was_fitted_to_what_played_can_be_the_best(undisturbed: Path) -> None:
    lines = read_lines(undisturbed / "metrics.jsonl")
    fits = [line["update"] for line in lines if "fit_kl" in line]
    assert fits == [3, 6, 8]  # every third, and the last
    assert all(line["optimizer_steps"] > 0 for line in lines if line["update"] in fits)
    best = json.loads((undisturbed / "best" / "best.json").read_text(encoding="utf-8"))
    assert best["update"] + 1 in fits  # it counts the updates before the rollout


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("task", ["tomato-salad", "tomato-lettuce-salad", "food-preparation", "entertainment"])
def test_learned_with_values_per_action(task: str, seed: int, tmp_path: Path) -> None:
    """The adapter alone, values left out, is worth 95 % of the optimum at the end of the preset."""
    from dataclasses import replace

    config = replace(preset_config(task, "fitted"), seed=seed)
    train(config, tmp_path / "run")
    policy = load_agent(tmp_path / "run").policy
    found = evaluate_exactly(policy, task, gamma=config.ppo.gamma, environment=config.environment)
    assert found.discounted_return >= 0.95 * found.optimal_return
