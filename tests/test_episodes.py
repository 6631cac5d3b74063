"""Open episodes come back as they were or not at all, ends need nothing to choose from, and every evaluation ends."""

from __future__ import annotations

import json
from contextlib import closing
from typing import Any

import pytest
import torch

from tests.small_worlds import Unordered
from tests.table_policy import TablePolicy
from tests.tiny import small_run
from twosome.baselines import UniformPolicy
from twosome.cli import main
from twosome.envs.exploring import Transition, WorldTooLarge, explore
from twosome.envs.oracle import best_play, evaluate, uniform
from twosome.errors import EnvironmentFault
from twosome.evaluation import sampled
from twosome.evaluation.checking import check_environment
from twosome.rollout import Collector
from twosome.runs.trainer import resume, train
from twosome.text.tasks import make_vector_task

LINE, UNORDERED, MANY = (f"tests.small_worlds:{name}-v0" for name in ("Line", "Unordered", "Many"))


def collector(task: str, count: int = 2, **arguments: Any) -> Collector:
    envs = make_vector_task(task, count, arguments=arguments)
    return Collector(envs, seed=0, generator=torch.Generator().manual_seed(0))


def kept(task: str, **arguments: Any) -> dict[str, Any]:
    """The state of a collector with an open episode of seven steps in each environment, as a checkpoint holds it."""
    first = collector(task, **arguments)
    first.collect(UniformPolicy(), 7)
    state = first.state_dict()
    return {
        **json.loads(json.dumps({k: v for k, v in state.items() if k != "generator"})),
        "generator": state["generator"],
    }


# --- a resumed run replays other actions ---


def test_open_episodes_come_back() -> None:
    state, again = kept(UNORDERED, why="nothing"), collector(UNORDERED, why="nothing")
    again.load_state_dict(state)
    assert json.loads(json.dumps(again.state_dict()["open"])) == state["open"]


def test_actions_in_another_order_are_refused_with_then_and_now(monkeypatch: pytest.MonkeyPatch) -> None:
    """As of a set, with another PYTHONHASHSEED: the same numbers would take other actions, and nobody would know."""
    state = kept(UNORDERED, why="nothing")
    monkeypatch.setattr(Unordered, "WORDS", Unordered.WORDS[1:] + Unordered.WORDS[:1])
    with pytest.raises(EnvironmentFault) as caught:
        collector(UNORDERED, why="nothing").load_state_dict(state)
    first = state["open"][0]["steps"][0]
    then, now = first["phrase"], Unordered.WORDS[first["action"]]
    assert f"step 1 action {first['action'] + 1} was {then!r} and now is {now!r}" in str(caught.value)
    assert "PYTHONHASHSEED" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_fewer_actions_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    state = kept(UNORDERED, why="nothing")
    monkeypatch.setattr(Unordered, "WORDS", Unordered.WORDS[:1])
    with pytest.raises(EnvironmentFault, match=r"now is not there|offered other actions"):
        collector(UNORDERED, why="nothing").load_state_dict(state)


@pytest.mark.parametrize(("why", "said"), [("random", "showed another prompt"), ("rewards", "instead of")])
def test_randomness_outside_the_seed_is_refused(why: str, said: str) -> None:
    with pytest.raises(EnvironmentFault, match=said):
        collector(UNORDERED, why=why).load_state_dict(kept(UNORDERED, why=why))


def test_the_decision_that_follows_is_compared_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is where the next action is drawn."""
    state = kept(UNORDERED, why="nothing")
    look = Unordered.look

    def other(self: Unordered) -> dict[str, Any]:
        seen = look(self)
        return {**seen, "prompt": f"Alas! {seen['prompt']}"} if self.steps == 7 else seen

    monkeypatch.setattr(Unordered, "look", other)
    with pytest.raises(EnvironmentFault, match="step 8 showed another prompt"):
        collector(UNORDERED, why="nothing").load_state_dict(state)


def test_an_episode_that_ends_sooner_is_refused() -> None:
    with pytest.raises(EnvironmentFault, match="step 5 ended the episode"):
        collector(UNORDERED, why="nothing", limit=5).load_state_dict(kept(UNORDERED, why="nothing"))


def test_checkpoints_of_before_there_were_digests_are_resumed() -> None:
    state = kept(UNORDERED, why="nothing")
    for record in state["open"]:
        record.pop("following")
        for step in record["steps"]:
            for name in ("prompt", "actions", "phrase"):
                step.pop(name)
    again = collector(UNORDERED, why="nothing")
    again.load_state_dict(state)
    assert [episode.length for episode in again._open] == [7, 7]


@pytest.mark.parametrize(("why", "found"), [("set", True), ("random", True), ("rewards", True), ("nothing", False)])
def test_check_env_plays_in_other_processes(why: str, found: bool) -> None:
    report = check_environment(UNORDERED, environment={"why": why}, decisions=20)
    assert "repeats" not in report.skipped
    faults = [finding for finding in report.findings if finding.check == "repeats"]
    assert bool(faults) == found
    if found:
        assert "seed 0, step" in faults[0].example
    if why == "set":
        assert "PYTHONHASHSEED" in faults[0].message


# --- a last observation without actions ---


@pytest.mark.parametrize("processes", [False, True])
@pytest.mark.parametrize(
    ("bare", "arguments"),
    [("actions", {}), ("prompt and actions", {}), ("actions", {"cells": 100, "limit": 3})],
)
def test_an_end_needs_no_actions(bare: str, arguments: dict[str, Any], processes: bool) -> None:
    settings = {"ends_bare": bare, **arguments}
    with closing(make_vector_task(LINE, 2, processes=processes, arguments=settings)) as envs:
        found = Collector(envs, seed=0, generator=torch.Generator().manual_seed(0))
        rollout, episodes = found.collect(TablePolicy(), 30)
    assert episodes
    assert torch.isfinite(rollout.next_values).all()


def test_a_cut_end_without_actions_is_valued_by_its_prompt() -> None:
    class Words:
        def values(self, decisions: Any) -> torch.Tensor:
            return torch.tensor([float(decision.prompt.count("One step")) for decision in decisions])

        def action_log_probs(self, decisions: Any) -> torch.Tensor:
            return torch.tensor([[0.0, -torch.inf]] * len(decisions))

    for bare in ("", "actions"):
        found = collector(LINE, 1, cells=100, limit=3, ends_bare=bare)
        rollout, _ = found.collect(Words(), 3)  # type: ignore[arg-type]
        assert rollout.next_values.flatten().tolist() == [2, 3, 4]


def test_a_cut_end_without_a_prompt_is_told() -> None:
    with pytest.raises(EnvironmentFault, match=r"at step 3 .* a prompt must be a non-empty text"):
        collector(LINE, 1, cells=100, limit=3, ends_bare="prompt and actions").collect(UniformPolicy(), 5)


def test_a_run_goes_on_after_its_first_success_and_can_be_resumed(model_directory: str, tmp_path: Any) -> None:
    config = small_run(model_directory, task=LINE, environment={"ends_bare": "actions", "cells": 2}, decisions=72)
    stopped = []

    def stop(progress: Any) -> None:
        stopped.append(progress.update)
        if len(stopped) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(config, tmp_path / "run", stop)
    resume(tmp_path / "run")
    lines = (tmp_path / "run" / "episodes.jsonl").read_text().splitlines()
    assert any(json.loads(line)["success"] for line in lines)


# --- evaluation without an end ---


class Rest:
    """Always takes the last action."""

    def action_log_probs(self, decisions: Any) -> torch.Tensor:
        rows = torch.full((len(decisions), 2), -torch.inf)
        rows[:, -1] = 0.0
        return rows


def test_evaluation_ends_where_no_episode_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sampled, "LONGEST", 30)
    seen: list[tuple[int, int]] = []
    found = sampled.evaluate(
        Rest(),  # type: ignore[arg-type]
        LINE,
        episodes=5,
        longest=30,
        greedy=True,
        environment={"limit": None},
        on_progress=lambda *progress: seen.append(progress),
    )
    assert (found.left, found.longest, found.decisions.mean, found.success) == (5, 30, 30.0, None)
    assert seen[0] == (0, 5), "told from the first step on"


def test_a_time_limit_that_is_known_is_longer_than_the_bound() -> None:
    arguments = {"limit": 40, "cells": 100}
    found = sampled.evaluate(UniformPolicy(), LINE, episodes=4, longest=30, environment=arguments)
    assert (found.left, found.decisions.mean) == (0, 40.0)


def test_the_command_says_what_it_left(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["evaluate", "--uniform", "--task", LINE, "--environment", '{"limit": null, "cells": 1000}']
    assert main([*words, "--episodes", "3", "--longest", "20"]) == 0
    assert "3 of 3 episodes did not end and were left after 20 decisions" in " ".join(capsys.readouterr().out.split())


def test_a_sign_of_life(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    from twosome.terminal import waiting

    monkeypatch.setattr(waiting, "FIRST", 0.01)
    with waiting.waiting("evaluating garden") as told:
        told.episodes(100, 0, 8)
        while not capsys.readouterr().err.startswith("evaluating garden, 0 s: 0 of 100 episodes ended, 8 decisions"):
            pass


def test_play_ends(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    from twosome.watching import playing

    monkeypatch.setattr(playing, "LONGEST", 25)
    arguments = '{"limit": null, "cells": 1000}'
    assert main(["play", LINE, "--player", "random", "--environment", arguments]) == 0
    assert "left after 25 decisions" in capsys.readouterr().out


class Ring:
    """States in a ring; going on pays nothing, and leaving it from the last one pays."""

    def __init__(self, size: int) -> None:
        self.size, self.initial_state = size, 0

    def actions(self, state: int) -> list[int]:
        return [0, 1]

    def transition(self, state: int, action: int) -> Transition[int]:
        ends = action == 1 and state == self.size - 1
        return Transition((state + action) % self.size, float(ends), 1 + action, ends)


def test_a_huge_time_limit_takes_no_more_than_it_needs() -> None:
    """Once the best actions of a thousand million steps were asked for: 112 GiB."""
    graph = explore(Ring(7))
    near, far = best_play(graph, 0.9, 1000), best_play(graph, 0.9, 10**9)
    assert far == near
    assert evaluate(graph, uniform(graph), 0.9, 10**7) == evaluate(graph, uniform(graph), 0.9, 10**5)


def test_a_limit_that_would_take_for_ever_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    from twosome.envs import oracle

    monkeypatch.setattr(oracle, "MOST_WORK", 10**4)
    graph = explore(Ring(7))
    never = graph.admissible * [1.0, 0.0]
    with pytest.raises(WorldTooLarge, match="the numbers still change; give a shorter limit"):
        evaluate(graph, never, 0.9, 10**9)


def test_a_world_that_is_too_large_is_checked_by_random_play(monkeypatch: pytest.MonkeyPatch) -> None:
    from twosome.principles import walking

    monkeypatch.setattr(walking, "MOST_STATES", 50)
    report = check_environment(LINE, environment={"cells": 100, "shown": True}, decisions=40, elsewhere=False)
    assert not report.exhaustive
    assert any("more than 50 states" in finding.example for finding in report.findings)


def test_a_state_may_be_the_end_of_one_way_and_the_middle_of_another() -> None:
    class Fall:
        initial_state = "top"

        def actions(self, state: str) -> list[int]:
            return [0, 1]

        def transition(self, state: str, action: int) -> Transition[str]:
            after = {"top": "ledge", "ledge": "ground", "ground": "ground"}[state]
            return Transition(after, float(state == "ledge" and not action), 1, bool(action) or after == "ground")

    graph = explore(Fall())
    assert graph.admissible.any(axis=1).tolist() == [True, True, False]


# --- more actions than 1,024 ---


@pytest.mark.parametrize("processes", [False, True])
def test_more_than_a_thousand_actions(processes: bool) -> None:
    class Last:
        def action_log_probs(self, decisions: Any) -> torch.Tensor:
            rows = torch.full((len(decisions), 1344), -torch.inf)
            rows[:, 1342] = 0.0
            return rows

    with closing(make_vector_task(MANY, 2, processes=processes)) as envs:
        assert envs.single_action_space.contains(1343)  # type: ignore[attr-defined]
        found = Collector(envs, seed=0, generator=torch.Generator().manual_seed(0))
        episodes = found.run_episodes(Last(), 3)  # type: ignore[arg-type]
    assert [episode.success for episode in episodes] == [True] * 3
