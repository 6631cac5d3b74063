"""ALFWorld on small games of our own; installing it takes minutes, so continuous integration leaves it out."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.worlds.disturbed import killed_and_resumed, run_in
from twosome.errors import ConfigError
from twosome.evaluation.advised import evaluate_oracle
from twosome.evaluation.checking import check_environment
from twosome.principles.repeating import play
from twosome.text.tasks import make_task
from twosome.worlds.alfworld import problem


def test_a_seed_makes_one_problem_and_others_another() -> None:
    assert problem("heat", 3) == problem("heat", 3)
    assert len({problem("heat", seed)[0] for seed in range(10)}) > 5
    pddl, words = problem("cool", 0)
    assert "(isCool ?o)" in pddl
    assert words.startswith("cool some ")
    assert pddl.count("(") == pddl.count(")")


def test_other_names_are_refused() -> None:
    pytest.importorskip("alfworld", reason="the extra alfworld is not installed")
    for name, said in (("own/fry/1", "own/TASK/SEED"), ("own/heat/3-1", "backwards"), ("none.tw-pddl", "no game")):
        with pytest.raises(ConfigError, match=said):
            make_task(f"alfworld:{name}")


@pytest.mark.slow
@pytest.mark.parametrize("task", ["put", "heat", "cool", "clean"])
def test_the_planner_wins(task: str) -> None:
    pytest.importorskip("alfworld", reason="the extra alfworld is not installed")
    found = evaluate_oracle(f"alfworld:own/{task}/0-3", episodes=2)
    assert found is not None
    assert found.success is not None
    assert found.success.mean == 1.0


@pytest.mark.slow
def test_it_keeps_the_contract(model_directory: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("alfworld", reason="the extra alfworld is not installed")
    task = "alfworld:own/heat/0"
    env = make_task(task)
    assert play(env, 5, 60) == play(env, 5, 60)
    assert not check_environment(task, decisions=60).count("error")
    config = run_in(model_directory, task)
    killed_and_resumed(config, tmp_path, monkeypatch)
