"""BabyAI and Minigrid as they are: their ids, wrappers, seeds and vectors, and the bot as oracle."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.vector import SyncVectorEnv

from tests.worlds.disturbed import killed_and_resumed, run_in
from twosome.cli import main
from twosome.errors import ConfigError
from twosome.evaluation.advised import evaluate_oracle
from twosome.evaluation.checking import check_environment
from twosome.evaluation.measurement import measure_optimum
from twosome.principles.repeating import play
from twosome.text.environment import TextEnv
from twosome.text.states import time_limit
from twosome.text.tasks import find_task, make_task
from twosome.worlds import babyai, grid

minigrid = pytest.importorskip("minigrid", reason="the extra babyai is not installed")

TASK = "babyai:GoToLocal"


@pytest.fixture(autouse=True)
def _no_window(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")


def test_a_level_has_the_name_that_its_users_know() -> None:
    """And their seeds: the same number gives the level that minigrid itself gives."""
    for name in (TASK, "BabyAI-GoToLocal-v0", "minigrid:BabyAI-GoToLocal-v0"):
        env = make_task(name)
        for seed in (0, 3):
            observation, _ = env.reset(seed=seed)
            plain = gymnasium.make("BabyAI-GoToLocal-v0")
            shown, _ = plain.reset(seed=seed)
            assert observation["prompt"].endswith(f"To {shown['mission']}, you should now")
            assert np.array_equal(env.unwrapped.env.unwrapped.gen_obs()["image"], shown["image"])  # type: ignore[attr-defined]
    task = find_task("BabyAI-GoToLocal-v0")
    assert task is not None
    assert task.world == "babyai"


def test_numbers_are_minigrids() -> None:
    from minigrid.core.actions import Actions
    from minigrid.core.constants import COLOR_TO_IDX, OBJECT_TO_IDX, STATE_TO_IDX

    assert {name: number for number, name in enumerate(grid.OBJECTS)} == OBJECT_TO_IDX
    assert {name: number for number, name in enumerate(grid.COLOURS)} == COLOR_TO_IDX
    assert {name: number for number, name in enumerate(grid.DOORS)} == STATE_TO_IDX
    names = ("left", "right", "forward", "pickup", "drop", "toggle")
    assert [int(Actions[name]) for name in names] == list(range(6))


def test_ones_own_wrappers_stay_where_they_are() -> None:
    short = gymnasium.wrappers.TimeLimit(gymnasium.make("BabyAI-GoToLocal-v0"), 3)
    env = TextEnv(babyai.GridWorld(short), grid.GridNarrator())
    env.reset(seed=1)
    ends = [env.step(0)[3] for _ in range(3)]
    assert ends == [False, False, True]
    assert env.advise() is not None


def test_it_is_an_environment_of_gymnasium_also_in_vectors() -> None:
    def make() -> Any:
        return gymnasium.make("twosome/BabyAI-v0", game="GoToLocal")

    envs = SyncVectorEnv([make, make])
    observations, _ = envs.reset(seed=[3, 4])
    alone = [make_task(TASK).reset(seed=seed)[0]["prompt"] for seed in (3, 4)]
    assert list(observations["prompt"]) == alone
    envs.close()


def test_a_seed_gives_the_same_episodes() -> None:
    env = make_task("babyai:PickupLoc")
    assert play(env, 5) == play(env, 5) == play(make_task("babyai:PickupLoc"), 5)


def test_success_is_told_and_a_limit_is_known() -> None:
    env = make_task(TASK)
    assert time_limit(env) is None
    env.reset(seed=0)
    assert time_limit(env) == 64
    for _ in range(64):
        *_, terminated, truncated, info = env.step(0)
    assert (terminated, truncated, info["success"]) == (False, True, False)


@pytest.mark.parametrize("level", ["GoToRedBall", "GoToLocal", "PickupLoc", "PutNextLocal", "UnlockPickup"])
def test_the_bot_wins(level: str) -> None:
    """With the actions that are offered: they leave nothing out that a winner needs."""
    found = evaluate_oracle(f"babyai:{level}", episodes=10)
    assert found is not None
    assert found.success is not None
    assert found.success.mean == 1.0
    assert found.success_by == "told"


def test_the_optimum_is_a_row_of_episodes(capsys: pytest.CaptureFixture[str]) -> None:
    measured = measure_optimum(TASK, gamma=0.99, environment={})
    assert measured is not None
    assert (measured.method, measured.subject.agent, measured.success) == ("episodes", "optimum", 1.0)
    assert main(["evaluate", "--optimum", "--task", TASK, "--episodes", "3"]) == 0
    assert "100.0%" in capsys.readouterr().out
    assert main(["play", TASK, "--player", "best", "--seed", "3"]) == 0
    assert "success: discounted return" in capsys.readouterr().out


def test_a_bot_that_thinks_for_ever_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    from minigrid.utils.baby_ai_bot import BabyAIBot

    def for_ever(self: Any, action: Any = None) -> int:
        while True:
            len("a call, as every search makes them")

    monkeypatch.setattr(BabyAIBot, "replan", for_ever)
    monkeypatch.setattr(babyai, "PATIENCE", 0.05)
    env = make_task(TASK)
    env.reset(seed=0)
    assert env.unwrapped.advise() is None  # type: ignore[attr-defined]


def test_check_env_finds_nothing() -> None:
    report = check_environment(TASK, decisions=150, elsewhere=False)
    # Some builds of pygame do not find their own font, which is no matter of the text.
    assert [finding for finding in report.findings if "system font" not in finding.message] == []
    assert report.success_by == "told"


def test_an_unknown_level_is_refused_and_all_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ConfigError, match="no level 'GoToNowhere'"):
        make_task("babyai:GoToNowhere")
    assert main(["tasks", "babyai"]) == 0
    listed = capsys.readouterr().out.split()
    assert {"BabyAI-GoToRedBall-v0", "MiniGrid-Empty-5x5-v0"} <= set(listed)
    assert main(["tasks"]) == 0
    assert 'pip install "twosome[textworld]"' in capsys.readouterr().out


def test_a_run_is_killed_and_resumed(model_directory: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = run_in(model_directory, TASK)
    killed_and_resumed(config, tmp_path, monkeypatch)
