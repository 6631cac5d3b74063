"""The collector: rows are decisions, ends are told apart, and episodes can be replayed."""

from __future__ import annotations

from contextlib import closing
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from tests.table_policy import TablePolicy
from twosome import TextEnv
from twosome.baselines import UniformPolicy
from twosome.errors import ConfigError, EnvironmentFault, InadmissibleAction, InvalidDecision, NumericalError
from twosome.rollout import Collector
from twosome.text.environment import Option
from twosome.text.guard import GuardedEnv
from twosome.text.tasks import make_task, make_vector_task


class Corridor(gymnasium.Env[int, int]):
    """Walk to cell 3; each step takes as many ticks as the cell's number, and pays 1. A limit cuts at 5 steps."""

    observation_space = gymnasium.spaces.Discrete(10)
    action_space = gymnasium.spaces.Discrete(2)

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[int, dict[str, Any]]:
        super().reset(seed=seed)
        self.cell, self.steps, self.seed = 1, 0, seed
        return self.cell, {}

    def step(self, action: int) -> tuple[int, float, bool, bool, dict[str, Any]]:
        duration = self.cell
        self.cell += action
        self.steps += 1
        return (
            self.cell,
            1.0,
            self.cell == 3,
            self.steps == 5 and self.cell != 3,
            {
                "duration": duration,
                "success": self.cell == 3,
            },
        )


class Words:
    """Narrates the corridor; the number of options changes with the cell."""

    def narrate(self, observation: int, info: dict[str, Any]) -> tuple[str, tuple[Option, ...]]:
        options = (Option("stay", 0), Option("go on", 1))
        return f"You are in cell {observation}. You should now", options[: 1 + (observation < 3)]


def corridors(count: int = 2) -> SyncVectorEnv:
    makers = [lambda: TextEnv(Corridor(), Words()) for _ in range(count)]
    return SyncVectorEnv(makers, autoreset_mode=AutoresetMode.DISABLED)


class Script:
    """Takes listed actions in turn in all environments; values are cell numbers."""

    def __init__(self, *actions: int) -> None:
        self.actions = list(actions)

    def action_log_probs(self, decisions: Any) -> torch.Tensor:
        chosen = self.actions.pop(0)
        rows = torch.full((len(decisions), 2), -torch.inf)
        for row, decision in enumerate(decisions):
            rows[row, min(chosen, len(decision.actions) - 1)] = 0.0
        return rows

    def values(self, decisions: Any) -> torch.Tensor:
        return torch.tensor([float(decision.prompt.split("cell ")[1][0]) for decision in decisions])


def test_a_row_is_a_decision_and_what_followed_it() -> None:
    with closing(corridors(1)) as envs:
        collector = Collector(envs, seed=0, generator=torch.Generator())
        rollout, episodes = collector.collect(Script(1, 1, 0, 0, 0, 0, 0, 1), 8)  # type: ignore[arg-type]
    assert rollout.actions.flatten().tolist() == [1, 1, 0, 0, 0, 0, 0, 1]
    assert rollout.values.flatten().tolist() == [1, 2, 1, 1, 1, 1, 1, 1]
    assert rollout.next_values.flatten().tolist() == [2, 3, 1, 1, 1, 1, 1, 2]  # the final states' included
    assert rollout.durations.flatten().tolist() == [1, 2, 1, 1, 1, 1, 1, 1]
    assert rollout.terminated.flatten().tolist() == [False, True, *[False] * 6]
    assert rollout.truncated.flatten().tolist() == [*[False] * 6, True, False]
    assert [(e.length, e.success, e.truncated, e.duration) for e in episodes] == [
        (2, True, False, 3),
        (5, False, True, 5),
    ]
    assert episodes[0].discounted_return(0.5) == pytest.approx(1 + 0.5 * 1)
    assert all(rollout.log_probs.flatten() == 0)
    assert rollout.episodes.flatten().tolist() == [0, 0, 1, 1, 1, 1, 1, 2]


def test_the_whole_distribution_that_acted_is_kept() -> None:
    """Rows of rollouts have as many columns as the widest decision of them all; log-probabilities are its entries."""
    policy = TablePolicy()
    torch.nn.init.normal_(policy.logits, generator=torch.Generator().manual_seed(0))
    with closing(make_vector_task("food-preparation", 2)) as envs:
        collector = Collector(envs, seed=0, generator=torch.Generator().manual_seed(0))
        rollout, _ = collector.collect(policy, 12)
    widths = {len(decision.actions) for row in rollout.decisions for decision in row}
    assert len(widths) > 1
    assert rollout.action_log_probs.shape == (12, 2, max(widths))
    for t, row in enumerate(rollout.decisions):
        for n, decision in enumerate(row):
            kept, count = rollout.action_log_probs[t, n], len(decision.actions)
            assert torch.equal(kept[:count], policy.action_log_probs([decision])[0].detach())
            assert kept[count:].isneginf().all()
            assert rollout.log_probs[t, n] == kept[rollout.actions[t, n]]


def test_environments_of_a_group_begin_their_episodes_from_one_seed() -> None:
    """Whenever each gets there: the k-th episodes of a group share a seed, also across a saved and loaded state."""
    with closing(corridors(4)) as envs:
        collector = Collector(envs, seed=0, generator=torch.Generator().manual_seed(0), group_size=2)
        rollout, ended = collector.collect(UniformPolicy(), 30)
        state = collector.state_dict()
        more, later = collector.collect(UniformPolicy(), 30)
    with closing(corridors(4)) as envs:
        resumed = Collector(envs, seed=9, generator=torch.Generator(), group_size=2)
        resumed.load_state_dict(state)
        again, _ = resumed.collect(UniformPolicy(), 30)
    assert torch.equal(more.groups, again.groups)
    assert torch.equal(more.actions, again.actions)
    groups = torch.cat([rollout.groups, more.groups])
    for pair in (groups[:, :2], groups[:, 2:]):
        begun = [list(dict.fromkeys(column.tolist())) for column in pair.T]
        assert len(begun[0]) != len(begun[1]), "ends at different times are what this is about"
        common = min(len(numbers) for numbers in begun)
        assert begun[0][:common] == begun[1][:common]
    assert not set(groups[:, :2].flatten().tolist()) & set(groups[:, 2:].flatten().tolist())
    seeds: dict[int, set[int]] = {}
    for episode in [*ended, *later]:
        seeds.setdefault(episode.group, set()).add(episode.seed)
    assert all(len(shared) == 1 for shared in seeds.values())
    assert len(set.union(*seeds.values())) == len(seeds)


def test_groups_that_do_not_come_out_even_are_refused() -> None:
    with closing(corridors(4)) as envs, pytest.raises(ConfigError, match=r"4 environments .* groups of 3"):
        Collector(envs, seed=0, generator=torch.Generator(), group_size=3)


def test_open_episodes_that_do_not_replay_are_begun_anew() -> None:
    """Everything else goes on as it was: the numbers of episodes, their seeds, the draws of actions."""
    with closing(corridors(2)) as envs:
        collector = Collector(envs, seed=0, generator=torch.Generator().manual_seed(0))
        collector.collect(UniformPolicy(), 7)
        state = collector.state_dict()
        state["open"] = [{**episode, "steps": "not to be replayed"} for episode in state["open"]]
    with closing(corridors(2)) as envs:
        resumed = Collector(envs, seed=9, generator=torch.Generator(), replays=False)
        resumed.load_state_dict(state)
        rollout, _ = resumed.collect(UniformPolicy(), 1)
    assert rollout.episodes.tolist() == [[state["began"], state["began"] + 1]]
    assert [decision.prompt for decision in rollout.decisions[0]] == ["You are in cell 1. You should now"] * 2


def test_states_from_before_there_were_groups_are_taken_up() -> None:
    with closing(corridors(2)) as envs:
        collector = Collector(envs, seed=0, generator=torch.Generator().manual_seed(0))
        collector.collect(UniformPolicy(), 7)
        state = collector.state_dict()
        expected = collector.collect(UniformPolicy(), 20)[0]
        old = {name: value for name, value in state.items() if name not in ("drawn", "ahead")}
        old["open"] = [{name: value for name, value in e.items() if name != "group"} for e in state["open"]]
        collector.load_state_dict(old)
        rollout = collector.collect(UniformPolicy(), 20)[0]
    assert torch.equal(rollout.actions, expected.actions)
    assert torch.equal(rollout.groups, expected.groups)


def test_every_episode_has_a_seed_of_its_own() -> None:
    with closing(corridors()) as envs:
        collector = Collector(envs, seed=0, generator=torch.Generator().manual_seed(0))
        episodes = collector.run_episodes(UniformPolicy(), 20)
    assert len({episode.seed for episode in episodes}) == 20
    assert [episode.index for episode in episodes] == list(range(20))


def test_an_episode_replays_from_its_seed_and_actions() -> None:
    with closing(make_vector_task("tomato-lettuce-salad", 3)) as envs:
        collector = Collector(envs, seed=0, generator=torch.Generator().manual_seed(0))
        episode = collector.run_episodes(UniformPolicy(), 1)[0]
    env = make_task("tomato-lettuce-salad")
    observation, _ = env.reset(seed=episode.seed)
    for step in episode.steps:
        assert observation["prompt"] == step.decision.prompt
        observation, reward, *_ = env.step(step.action)
        assert reward == pytest.approx(step.reward)


def test_a_rollout_goes_on_where_the_last_one_ended() -> None:
    def actions(lengths: list[int]) -> list[int]:
        with closing(make_vector_task("tomato-salad", 2)) as envs:
            collector = Collector(envs, seed=0, generator=torch.Generator().manual_seed(0))
            policy = TablePolicy()
            return [int(a) for n in lengths for a in collector.collect(policy, n)[0].actions.flatten()]

    assert actions([20]) == actions([5, 15])


def test_short_episodes_are_not_favoured() -> None:
    """The first episodes to begin count, not the first to end."""
    with closing(corridors(4)) as envs:
        collector = Collector(envs, seed=0, generator=torch.Generator().manual_seed(0))
        episodes = collector.run_episodes(UniformPolicy(), 400)
    # From cell 1 two of at most five coin flips must be heads: 1 - (6 / 32).
    assert np.mean([episode.success for episode in episodes]) == pytest.approx(1 - 6 / 32, abs=0.05)


def test_greedy_takes_the_most_probable_action() -> None:
    with closing(corridors(1)) as envs:
        collector = Collector(envs, seed=0, generator=torch.Generator(), greedy=True)
        rollout, _ = collector.collect(Script(1, 0, 1), 3)  # type: ignore[arg-type]
    assert rollout.actions.flatten().tolist() == [1, 0, 1]


def test_environments_in_processes_give_the_same_rollout() -> None:
    rollouts = []
    for processes in (False, True):
        with closing(make_vector_task("tomato-salad", 2, processes=processes)) as envs:
            collector = Collector(envs, seed=0, generator=torch.Generator().manual_seed(0))
            rollouts.append(collector.collect(UniformPolicy(), 40)[0])
    assert rollouts[0].decisions == rollouts[1].decisions
    assert torch.equal(rollouts[0].rewards, rollouts[1].rewards)
    assert torch.equal(rollouts[0].durations, rollouts[1].durations)


def test_an_action_past_the_end_is_refused() -> None:
    env = TextEnv(Corridor(), Words())
    env.reset(seed=0)
    with pytest.raises(InadmissibleAction, match="between 0 and 1"):
        env.step(2)
    with pytest.raises(InadmissibleAction):
        env.step(-1)


def test_a_reward_that_is_not_finite_is_told_with_its_action() -> None:
    class Broken(Corridor):
        def step(self, action: int) -> tuple[int, float, bool, bool, dict[str, Any]]:
            observation, _, *rest = super().step(action)
            return observation, float("nan"), *rest  # type: ignore[return-value]

    makers = [lambda: GuardedEnv(TextEnv(Broken(), Words()), "environment 0")]
    with closing(SyncVectorEnv(makers, autoreset_mode=AutoresetMode.DISABLED)) as envs:
        collector = Collector(envs, seed=0, generator=torch.Generator())
        with pytest.raises(EnvironmentFault, match=r"environment 0, at step 1 .* paid nan for 'go on'"):
            collector.collect(Script(1), 1)  # type: ignore[arg-type]


def test_a_policy_whose_probabilities_are_no_numbers_is_refused() -> None:
    class Overflown(Script):
        def action_log_probs(self, decisions: Any) -> torch.Tensor:
            return super().action_log_probs(decisions) * torch.nan

    with closing(corridors(1)) as envs:
        collector = Collector(envs, seed=0, generator=torch.Generator())
        with pytest.raises(NumericalError, match="probabilities are not numbers"):
            collector.collect(Overflown(1), 1)  # type: ignore[arg-type]


def test_an_environment_without_actions_is_refused() -> None:
    class Silent(Words):
        def narrate(self, observation: int, info: dict[str, Any]) -> tuple[str, tuple[Option, ...]]:
            return "Nothing can be done here, so", ()

    with (
        closing(SyncVectorEnv([lambda: TextEnv(Corridor(), Silent())], autoreset_mode=AutoresetMode.DISABLED)) as envs,
        pytest.raises(InvalidDecision, match="empty"),
    ):
        Collector(envs, seed=0, generator=torch.Generator())
