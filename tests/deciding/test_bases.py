"""Several agents on one base: loaded once, and none changes what another says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.tiny import save_model, small_run
from twosome import Agent
from twosome.deciding import bases as bases_module
from twosome.deciding.bases import Bases, on_the_same_weights
from twosome.errors import ModelError
from twosome.models.loading import load_model
from twosome.runs.trainer import train

PROMPT, ACTIONS = "You should now", ("pick up the tomato", "chop the tomato")


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two runs on one tiny model."""
    place = tmp_path_factory.mktemp("runs")
    model = save_model(place / "model")
    for seed in (0, 1):
        train(small_run(model, decisions=24, seed=seed), place / f"run{seed}")
    return [place / "run0", place / "run1"]


def test_agents_on_one_base_say_what_each_says_by_itself(runs: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    expected = [Agent.load(run).decide(PROMPT, ACTIONS) for run in runs]
    assert expected[0] != expected[1]
    loads: list[str] = []
    load = bases_module.load_base

    def counted(name: str, config: Any) -> Any:
        loads.append(name)
        return load(name, config)

    monkeypatch.setattr(bases_module, "load_base", counted)
    bases = Bases()
    agents = [Agent.load(run, load=bases) for run in (*runs, runs[0])]
    bases.check("run0")
    assert len(loads) == len(bases) == 1
    for _ in range(2):
        assert [agent.decide(PROMPT, ACTIONS) for agent in agents] == [*expected, expected[0]]
    weights = [agent.policy.model.get_base_model().get_input_embeddings().weight for agent in agents]
    assert weights[0].data_ptr() == weights[1].data_ptr()


def test_an_adapter_that_changes_the_base_itself_cannot_share_it(runs: list[Path]) -> None:
    bases = Bases()
    agent = Agent.load(runs[0], load=bases)
    agent.policy.model.get_base_model().get_input_embeddings().weight.data[0] += 1
    with pytest.raises(ModelError, match="serve it by itself"):
        bases.check("run0")


def test_modules_of_its_own_on_the_same_weights(model_directory: str) -> None:
    model, _ = load_model(model_directory)
    other = on_the_same_weights(model)
    assert other is not model
    assert not set(map(id, other.modules())) & set(map(id, model.modules()))
    assert [p.data_ptr() for p in other.parameters()] == [p.data_ptr() for p in model.parameters()]
    assert not other.training
