"""Success is what a world says or pays for; once every end counted: resting, drowning, falling over."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.tiny import small_run
from twosome.baselines import UniformPolicy
from twosome.cli import main
from twosome.evaluation.exact import evaluate_exactly
from twosome.evaluation.sampled import evaluate
from twosome.rollout import Collector
from twosome.runs.trainer import train
from twosome.success import Outcome, Tally, judge, rate, way
from twosome.text.tasks import make_vector_task

LINE = "tests.small_worlds:Line-v0"
RESTING = {"rest": -1.0, "rest_ends": True, "cells": 5}
LAKE = {"rest": 0.0, "rest_ends": True}
POLE = {"rest": 1.0, "rest_ends": True, "step": 1.0}
MOUNTAIN = {"paid": -1.0, "step": -1.0, "rest": -1.0}


@pytest.mark.parametrize(
    ("told", "terminated", "rewards", "success"),
    [
        (True, True, [-1.0], True),
        (False, True, [1.0], False),
        (True, False, [0.0], True),  # time may run out in success, if the world says so
        (None, True, [0.0, 1.0], True),
        (None, True, [0.2, 1.0], True),
        (None, True, [0.0, -1.0], False),
        (None, True, [0.0, 0.0], False),
        (None, True, [1.0, 1.0], None),  # paid for going on, like a pole that is kept up
        (None, True, [2.0, 1.0], None),
        (None, False, [0.0, 1.0], False),
    ],
)
def test_one_end(told: bool | None, terminated: bool, rewards: list[float], success: bool | None) -> None:
    assert judge(told, terminated=terminated, rewards=rewards) == Outcome(success, told is not None)


def test_a_rate_is_known_only_where_something_says_what_success_is() -> None:
    won, lost, unclear, told = Outcome(True, False), Outcome(False, False), Outcome(None, False), Outcome(False, True)
    assert rate([won, lost, lost, lost]) == 0.25
    assert rate([lost, lost]) is None
    assert rate([won, unclear]) is None
    assert rate([told, told]) == 0.0
    assert rate([told, unclear, Outcome(True, True)]) == pytest.approx(1 / 3)
    assert rate([]) is None
    assert (way([won]), way([told, won]), way([lost])) == ("paid", "told", None)
    tally = Tally()
    tally.add([lost])
    assert tally.way is None
    tally.add([won])
    assert Tally(**tally.state_dict()).way == "paid"


@pytest.mark.parametrize(
    ("arguments", "success", "by"),
    [
        (RESTING, 0.5**5, "paid"),
        (LAKE, 0.5**3, "paid"),
        (POLE, None, None),
        (MOUNTAIN, None, None),
        ({**POLE, "tells": True}, 0.5**3, "told"),
        ({**MOUNTAIN, "tells": True}, 1 - 211 / 2**20, "told"),  # at most two of twenty flips go on
    ],
)
def test_sampled_and_exact_evaluation_count_alike(
    arguments: dict[str, Any], success: float | None, by: str | None
) -> None:
    exact = evaluate_exactly(UniformPolicy(), LINE, environment={**arguments, "shown": True})
    sampled = evaluate(UniformPolicy(), LINE, episodes=300, environment=arguments)
    assert (exact.success_by, sampled.success_by) == (by, by)
    assert exact.success == (None if success is None else pytest.approx(success))
    if success is None:
        assert sampled.success is None
    else:
        assert sampled.success is not None
        assert sampled.success.low <= success <= sampled.success.high


def test_what_is_unknown_is_shown_as_unknown_with_a_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["evaluate", "--uniform", "--task", LINE, "--environment", json.dumps({**POLE, "shown": True})]
    assert main([*words, "--episodes", "20"]) == 0
    sampled = capsys.readouterr().out
    assert main([*words, "--exact"]) == 0
    exact = capsys.readouterr().out
    for said in (sampled, exact):
        assert "the world does not say what success is" in " ".join(said.split())
    assert "%" not in sampled.split("policy")[1]
    assert "success              -\n" in exact
    assert main([*words, "--exact", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["success"] is None


@pytest.mark.parametrize(("arguments", "outcome"), [(RESTING, "failure"), (LAKE, "the end"), (POLE, "the end")])
def test_play_calls_no_other_end_a_success(
    arguments: dict[str, Any], outcome: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = iter(("1", "2"))
    monkeypatch.setattr("builtins.input", lambda _: next(answers))
    assert main(["play", LINE, "--environment", json.dumps(arguments)]) == 0
    assert capsys.readouterr().out.splitlines()[-1].startswith(f"{outcome}: ")


@pytest.mark.parametrize(
    ("arguments", "by"), [(RESTING, "paid"), (POLE, None), ({**POLE, "tells": True}, "told"), (MOUNTAIN, None)]
)
@pytest.mark.parametrize("shown", [False, True])
def test_check_env_says_which(
    arguments: dict[str, Any], by: str | None, shown: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    from twosome.evaluation.checking import check_environment

    report = check_environment(LINE, environment={**arguments, "shown": shown}, decisions=500, elsewhere=False)
    assert report.success_by == by
    assert any(finding.check == "success" for finding in report.findings) == (by is None)


def test_a_run_records_what_it_knows(model_directory: str, tmp_path: Path) -> None:
    for arguments in (POLE, RESTING):
        run = tmp_path / str(arguments["rest"])
        train(small_run(model_directory, task=LINE, environment={**arguments, "cells": 2}, decisions=48), run)
        metrics = [json.loads(line)["success"] for line in (run / "metrics.jsonl").read_text().splitlines()]
        episodes = [json.loads(line) for line in (run / "episodes.jsonl").read_text().splitlines()]
        assert all(episode["told"] is False for episode in episodes)
        if arguments is POLE:
            assert metrics == [None] * len(metrics)
            # An episode of one step has nothing to compare its pay with.
            assert {e["success"] for e in episodes if e["decisions"] > 1} == {None}
        else:
            won = [episode["decisions"] == 2 and episode["discounted_return"] > 0 for episode in episodes]
            assert [episode["success"] for episode in episodes] == won


def test_the_worlds_of_twosome_tell() -> None:
    """Also where they do not pay for it."""
    found = evaluate(UniformPolicy(), "tomato-salad", episodes=20, environment={"delivery_reward": 0.0})
    assert found.success_by == "told"
    assert found.success is not None
    exact = evaluate_exactly(UniformPolicy(), "tomato-salad", environment={"delivery_reward": 0.0})
    assert exact.success == pytest.approx(0.442, abs=0.001)


def test_a_kitchen_in_which_nothing_can_be_served_has_no_success_rather_than_an_unknown_one() -> None:
    found = evaluate_exactly(UniformPolicy(), "tomato-lettuce-salad", environment={"layout": "B"})
    assert (found.success, found.success_by) == (0.0, "told")


def test_an_end_that_is_told_by_some_environments_only() -> None:
    """Gymnasium fills the gaps of the others' infos with False."""
    with closing(make_vector_task(LINE, 3, arguments={**LAKE, "cells": 1})) as envs:
        collector = Collector(envs, seed=0, generator=torch.Generator().manual_seed(0))
        episodes = collector.run_episodes(UniformPolicy(), 30)
    assert {(e.success, e.told, e.steps[0].reward) for e in episodes} == {(True, False, 1.0), (False, False, 0.0)}
