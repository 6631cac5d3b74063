"""Judging episodes by each other: by hand, without bias, and whatever the order."""

from __future__ import annotations

import itertools
import math
import random
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from statistics import fmean

import pytest
import torch

from twosome.functional.groups import (
    BASELINES,
    Judging,
    Trajectory,
    group_mean,
    leave_one_out,
    state_group,
    state_value,
)

PLAIN = Judging(gamma=1.0)


def paid(*rewards: float, keys: str = "") -> Trajectory:
    return Trajectory(keys or "abcdefgh"[: len(rewards)], rewards, [1] * len(rewards))


def test_returns_are_discounted_by_primitive_steps() -> None:
    episode = Trajectory("ab", (1.0, 10.0), (3, 2))
    assert episode.returns(0.5) == pytest.approx([1 + 0.5**3 * 10, 10])


def test_baselines_of_whole_episodes_by_hand() -> None:
    members = [paid(0.0, 3.0), paid(0.0), paid(0.0)]
    assert group_mean(members, PLAIN) == [[2.0, 2.0], [-1.0], [-1.0]]
    assert leave_one_out(members, PLAIN) == [[3.0, 3.0], [-1.5], [-1.5]]
    spread = math.sqrt((4 + 1 + 1) / 2) + 1e-6
    assert group_mean(members, replace(PLAIN, scale=True))[0] == pytest.approx([2 / spread] * 2)


def test_visits_of_the_same_state_are_compared_and_a_single_one_is_not() -> None:
    members = [paid(0.0, 1.0, keys="ab"), paid(0.0, 0.0, keys="ac"), paid(0.0, 0.5, keys="bd")]
    episode, state = group_mean(members, PLAIN), state_group(members, PLAIN)
    added = [[round(s - e, 12) for s, e in zip(*pair, strict=True)] for pair in zip(state, episode, strict=True)]
    assert added == [[0.5, 0.25], [-0.5, 0.0], [-0.25, 0.0]]  # a: 1 and 0; b: 1 and 0.5; c and d are met once
    assert state_group(members, replace(PLAIN, state_weight=0.0)) == episode


def test_values_of_states_are_their_mean_returns() -> None:
    members = [paid(0.0, 1.0, keys="ab"), paid(0.0, 0.0, keys="ab")]
    judging = Judging(gamma=0.5, gae_lambda=0.0)  # V(a) = (0.5 + 0) / 2, V(b) = 0.5
    assert state_value(members, judging) == [[0.0, 0.5], [0.0, -0.5]]
    ends = state_value(members, replace(judging, gae_lambda=1.0))
    assert ends == [[0.25, 0.5], [-0.25, -0.5]]  # returns less values


@pytest.mark.parametrize(("followed", "last"), [("a", 0.5 * 0.25), ("elsewhere", 0.0), (None, 0.0)])
def test_a_cut_episode_goes_on_from_a_known_value(followed: str | None, last: float) -> None:
    whole = paid(0.0, 1.0, keys="ab")
    cut = Trajectory("ab", (0.0, 0.0), (1, 1), followed)
    advantages = state_value([whole, cut], Judging(gamma=0.5, gae_lambda=0.0))
    assert advantages[1][1] == pytest.approx(last - 0.5)


@pytest.mark.parametrize("scale", [False, True])
@pytest.mark.parametrize("name", BASELINES)
def test_nothing_depends_on_the_order_of_the_members(name: str, scale: bool) -> None:
    generator = random.Random(0)
    members = []
    for _ in range(5):
        length = generator.randint(1, 9)
        keys = [generator.choice("abcd") for _ in range(length)]
        rewards = [generator.gauss(0, 1) for _ in range(length)]
        members.append(Trajectory(keys, rewards, [generator.randint(1, 5) for _ in range(length)], "a"))
    judging = Judging(0.97, 0.9, scale, 0.7)
    found = BASELINES[name](members, judging)
    for order in itertools.permutations(range(5)):
        assert BASELINES[name]([members[i] for i in order], judging) == [found[i] for i in order]


@pytest.mark.parametrize("name", BASELINES)
def test_episodes_that_are_worth_the_same_say_nothing(name: str) -> None:
    members = [paid(0.1, 0.2, 0.3, keys="abc")] * 4
    judging = Judging(0.9, 0.9, scale=True)
    assert all(abs(advantage) < 1e-9 for each in BASELINES[name](members, judging) for advantage in each)


# A world of two states that can be enumerated: "s" pays nothing and leads, by action, on to "t" or to the end with 0.3;
# "t" takes two primitive steps and ends with 1 or with nothing.
GAMMA = 0.9


def episodes(policy: torch.Tensor) -> list[tuple[torch.Tensor, Trajectory, list[tuple[int, int]]]]:
    """Every episode with its probability, and the (state, action) of each decision."""
    return [
        (policy[0, 0] * policy[1, 0], Trajectory("st", (0.0, 1.0), (1, 2)), [(0, 0), (1, 0)]),
        (policy[0, 0] * policy[1, 1], Trajectory("st", (0.0, 0.0), (1, 2)), [(0, 0), (1, 1)]),
        (policy[0, 1], Trajectory("s", (0.3,), (1,)), [(0, 1)]),
    ]


def exact_gradient(logits: torch.Tensor) -> torch.Tensor:
    worth = sum(p * trajectory.returns(GAMMA)[0] for p, trajectory, _ in episodes(torch.softmax(logits, -1)))
    return torch.autograd.grad(worth, logits)[0]  # type: ignore[arg-type]


def expected_gradient(name: str, logits: torch.Tensor, members: int) -> torch.Tensor:
    """The estimate, averaged over all groups of episodes by their probability."""
    total = torch.zeros_like(logits)
    for group in itertools.product(episodes(torch.softmax(logits, -1)), repeat=members):
        advantages = BASELINES[name]([trajectory for _, trajectory, _ in group], Judging(GAMMA))
        chance = math.prod(float(p) for p, _, _ in group)
        score = sum(
            advantage * torch.log_softmax(logits, -1)[state, action]
            for (_, _, taken), each in zip(group, advantages, strict=True)
            for (state, action), advantage in zip(taken, each, strict=True)
        )
        total += chance * torch.autograd.grad(score, logits)[0] / members  # type: ignore[arg-type]
    return total


@pytest.mark.parametrize("members", [2, 3])
def test_leave_one_out_is_unbiased(members: int) -> None:
    logits = torch.tensor([[0.4, -0.1], [-0.3, 0.8]], requires_grad=True)
    torch.testing.assert_close(expected_gradient("leave_one_out", logits, members), exact_gradient(logits))


def test_the_own_return_in_the_mean_makes_it_smaller_and_no_more() -> None:
    logits = torch.tensor([[0.4, -0.1], [-0.3, 0.8]], requires_grad=True)
    torch.testing.assert_close(expected_gradient("group_mean", logits, 3), exact_gradient(logits) * 2 / 3)


def drawn(logits: torch.Tensor, count: int, seed: int) -> list[tuple[Trajectory, list[tuple[int, int]]]]:
    every = episodes(torch.softmax(logits, -1))
    chosen = random.Random(seed).choices(every, [float(p) for p, _, _ in every], k=count)
    return [(trajectory, taken) for _, trajectory, taken in chosen]


def true_advantages(logits: torch.Tensor) -> dict[tuple[int, int], float]:
    policy = torch.softmax(logits, -1).tolist()
    of_t = policy[1][0]
    of_s = policy[0][0] * GAMMA * of_t + policy[0][1] * 0.3
    worth: dict[tuple[int, int], float] = {(0, 0): GAMMA * of_t, (0, 1): 0.3, (1, 0): 1.0, (1, 1): 0.0}
    return {key: value - (of_s, of_t)[key[0]] for key, value in worth.items()}


def mean_by_action(found: Sequence[Sequence[float]], taken: Sequence[Sequence[tuple[int, int]]]) -> dict[object, float]:
    by_action: defaultdict[object, list[float]] = defaultdict(list)
    for keys, advantages in zip(taken, found, strict=True):
        for key, advantage in zip(keys, advantages, strict=True):
            by_action[key].append(advantage)
    return {key: fmean(advantages) for key, advantages in by_action.items()}


@pytest.mark.parametrize("gae_lambda", [0.0, 0.95, 1.0])
def test_with_many_members_values_of_states_give_the_exact_advantages(gae_lambda: float) -> None:
    logits = torch.tensor([[0.4, -0.1], [-0.3, 0.8]])
    members = drawn(logits, 20_000, seed=1)
    found = state_value([trajectory for trajectory, _ in members], Judging(GAMMA, gae_lambda))
    assert mean_by_action(found, [taken for _, taken in members]) == pytest.approx(true_advantages(logits), abs=0.01)


def test_with_many_members_the_part_of_the_state_gives_the_exact_advantages() -> None:
    logits = torch.tensor([[0.4, -0.1], [-0.3, 0.8]])
    members = drawn(logits, 20_000, seed=2)
    trajectories = [trajectory for trajectory, _ in members]
    both, episode = state_group(trajectories, Judging(GAMMA)), group_mean(trajectories, Judging(GAMMA))
    state = [[b - e for b, e in zip(*pair, strict=True)] for pair in zip(both, episode, strict=True)]
    assert mean_by_action(state, [taken for _, taken in members]) == pytest.approx(true_advantages(logits), abs=0.01)
