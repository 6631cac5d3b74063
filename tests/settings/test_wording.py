"""Which words a run uses: what it names, what its model knows, and on another task what it practised in."""

from __future__ import annotations

from pathlib import Path

import pytest

from twosome.cli.train import parse
from twosome.laboratory import plan as laboratory_plan
from twosome.runs.agents import Agent
from twosome.settings.config import RunConfig, to_yaml
from twosome.settings.wording import carried, worded

PIZZA = "pizza"


def config(*words: str) -> RunConfig:
    return parse(list(words))[0]


def test_the_embedded_model_is_met_in_the_words_it_learned_and_its_runs_say_what_old_ones_said() -> None:
    assert "wording" not in config(PIZZA).environment


def test_any_other_model_is_met_in_everyday_words_unless_others_are_named() -> None:
    assert config(PIZZA, "--model", "./other").environment == {"wording": "everyday"}
    named = config(PIZZA, "--model", "./other", "--environment", '{"wording": "first"}')
    assert named.environment == {"wording": "first"}


def test_plans_of_many_runs_have_the_same_words(tmp_path: Path) -> None:
    laboratory = laboratory_plan.Settings(tmp_path, {"usual": {}}, (PIZZA,), model="./other")
    assert laboratory.config("usual", PIZZA, 0).environment == {"wording": "everyday"}


def test_what_reads_numbers_and_what_brings_its_own_words_is_left_alone() -> None:
    assert "wording" not in config(PIZZA, "--preset", "ppo").environment
    assert worded("garden:Garden-v0", {}, "./other") == {}


def test_a_file_of_settings_without_a_wording_means_the_first(tmp_path: Path) -> None:
    """An old run is repeated as it was."""
    file = tmp_path / "config.yaml"
    file.write_text(to_yaml(RunConfig(task=PIZZA, model="./other")), encoding="utf-8")
    assert "wording" not in config("--config", str(file)).environment


@pytest.mark.parametrize(
    ("trained", "there"),
    [({}, {}), ({"wording": "everyday", "faithful": True}, {"wording": "everyday"})],
)
def test_an_agent_takes_its_words_to_other_tasks(trained: dict[str, object], there: dict[str, object]) -> None:
    agent = Agent(None, RunConfig(task=PIZZA, model="./other", environment=trained), trained=True)  # type: ignore[arg-type]
    assert agent.setting("laundry").environment == there
    assert agent.setting().environment == trained
    assert carried(trained, "garden:Garden-v0") == {}


def test_an_untrained_model_is_measured_in_the_words_it_knows() -> None:
    assert Agent(None, None, trained=False).setting(PIZZA).environment == {}  # type: ignore[arg-type]
    other = Agent(None, None, trained=False, model="./other")  # type: ignore[arg-type]
    assert other.setting(PIZZA).environment == {"wording": "everyday"}
