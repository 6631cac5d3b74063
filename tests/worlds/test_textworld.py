"""TextWorld: games made from a seed, named by what they are, and played in their own words."""

from __future__ import annotations

import random
import re
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest

from tests.worlds.disturbed import killed_and_resumed, run_in
from twosome.caching import cache_directory
from twosome.cli import main
from twosome.errors import ConfigError
from twosome.evaluation.advised import evaluate_oracle
from twosome.evaluation.checking import check_environment
from twosome.principles.repeating import play
from twosome.text.tasks import make_task
from twosome.worlds import textworld_games
from twosome.worlds.textworld import Games
from twosome.worlds.textworld_games import game_file, parse

textworld = pytest.importorskip("textworld", reason="the extra textworld is not installed")

TASK = "textworld:custom/2-3-4/5"
COOKING = "textworld:cooking/recipe1-cook/7"


def test_a_game_is_named_by_the_hash_of_what_it_is_and_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = parse("custom/2-3-4/5")
    file = game_file(recipe, 5)
    assert file.parent == cache_directory("textworld")
    assert re.fullmatch(r"[0-9a-f]{16}\.z8", file.name)
    if textworld.__version__ == "1.7.0":  # made on another day, by another process
        assert file.stem == "f828642f2a94058f"
    monkeypatch.setattr(textworld_games, "_compile", None)
    assert game_file(recipe, 5) == file  # not made again
    assert not list(file.parent.glob("*.partial"))


def test_the_first_prompt_is_the_games_own_words() -> None:
    observation, _ = make_task(TASK).reset(seed=0)
    paragraphs = observation["prompt"].split("\n\n")
    assert paragraphs[0].startswith("Hey, thanks for coming over to the TextWorld today")
    assert paragraphs[1].startswith("-= Study =-\nWell, here we are in a study.")
    assert paragraphs[2:] == ["You are carrying: a key.", "To reach your goal, you should now"]
    assert observation["actions"] == tuple(sorted(observation["actions"]))
    assert "unlock safe with key" in observation["actions"]


def test_no_counter_tells_one_moment_from_another() -> None:
    env = make_task(TASK)
    env.reset(seed=0)
    looks = []
    for _ in range(2):
        observation, *_ = env.step(env.unwrapped._options.index(("inventory", "inventory")))  # type: ignore[attr-defined]
        looks.append(observation["prompt"])
    assert looks[0] == looks[1]


def test_a_seed_gives_the_same_episodes() -> None:
    env = make_task(TASK)
    assert play(env, 5, 60) == play(env, 5, 60)


@pytest.mark.parametrize("task", [TASK, COOKING])
def test_textworlds_plan_wins(task: str) -> None:
    found = evaluate_oracle(task, episodes=1)
    assert found is not None
    assert found.success is not None
    assert found.success.mean == 1.0
    assert found.discounted_return.mean > 0.5


def test_an_oracle_asked_late_knows_what_was_done() -> None:
    env = make_task(TASK)
    observation, _ = env.reset(seed=0)
    observation, *_ = env.step(observation["actions"].index("unlock safe with key"))
    advised = env.unwrapped.advise()  # type: ignore[attr-defined]
    assert observation["actions"][advised] == "open safe"


def test_losing_is_no_success() -> None:
    """Eating the only ingredient ends a cooking game at once."""
    env, choose = make_task(COOKING), random.Random(0)
    for _ in range(10):
        observation, _ = env.reset(seed=0)
        ended = False
        while not ended:
            observation, _, terminated, truncated, info = env.step(choose.randrange(len(observation["actions"])))
            ended = terminated or truncated
        if terminated and not info["success"]:
            return
    pytest.fail("random play never lost")


def test_each_episode_plays_one_game_of_a_range(tmp_path: Path) -> None:
    games = Games(range(10, 14), lambda seed: tmp_path / str(seed))
    drawn = [games.choose(np.random.default_rng(seed)).name for seed in range(40)]
    assert set(drawn) == {"10", "11", "12", "13"}
    assert drawn == [games.choose(np.random.default_rng(seed)).name for seed in range(40)]


def test_a_file_of_ones_own_can_be_named(tmp_path: Path) -> None:
    file = game_file(parse("custom/2-3-4/5"), 5)
    made, own = make_task(TASK), make_task(f"textworld:{file}")
    assert made.reset(seed=0)[0] == own.reset(seed=0)[0]
    with pytest.raises(ConfigError, match="no game"):
        make_task(f"textworld:{tmp_path / 'none.z8'}")


def test_gymnasium_makes_it() -> None:
    env: Any = gymnasium.make("twosome/TextWorld-v0", game="custom/2-3-4/5", time_limit=2)
    observation, _ = env.reset(seed=0)
    look = observation["actions"].index("look")
    assert [env.step(look)[3] for _ in range(2)] == [False, True]


def test_check_env_finds_only_what_is_textworlds_own() -> None:
    report = check_environment(TASK, decisions=60, environment={"time_limit": 25})
    assert {(finding.check, finding.severity) for finding in report.findings} <= {("articles", "note")}
    assert report.skipped.keys() == {"told-apart", "likely"}  # other processes play the same


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("TWOSOME_CACHE", str(tmp_path / "file"))
    assert main(["play", TASK, "--player", "random"]) == 2
    said = capsys.readouterr().err.splitlines()[-1]
    assert said.startswith("twosome: error: cannot keep a TextWorld game")
    assert "TWOSOME_CACHE" in said


def test_a_run_is_killed_and_resumed(model_directory: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = run_in(model_directory, TASK)
    killed_and_resumed(config, tmp_path, monkeypatch)
