"""Groups on a lookup table: they learn without a critic, wait for whole groups, and the order changes nothing."""

from __future__ import annotations

import json
from contextlib import closing
from dataclasses import replace
from typing import Any

import pytest
import torch

from tests.algorithms.test_ppo import LEARNS, A, B
from tests.table_policy import TablePolicy
from twosome.algorithms.config import GroupsConfig
from twosome.algorithms.groups import Groups
from twosome.errors import ConfigError, NumericalError
from twosome.evaluation.sampled import evaluate
from twosome.functional.groups import BASELINES
from twosome.rollout import Collector
from twosome.text.tasks import make_vector_task
from twosome.types import Rollout

PAID = [[0.0, 1.0], [0.0, 0.0], [0.0, 1.0], [0.0, 0.0]]
"""Two decisions in each of four environments; the last pays those who went right."""


def make_groups(policy: TablePolicy, size: int = 4, ppo: Any = LEARNS, **settings: Any) -> Groups:
    return Groups(policy, GroupsConfig(size=size, **settings), ppo, torch.Generator().manual_seed(0))


def two_steps(policy: TablePolicy, rewards: list[list[float]] = PAID, **changes: Any) -> Rollout:
    """Four environments of one group: first B, then A, left with no reward and right with one."""
    members = len(rewards)
    shape = (2, members)
    paid = torch.tensor(rewards).T
    decisions = ((B,) * members, (A,) * members)
    with torch.no_grad():
        log_probs = policy.action_log_probs([*decisions[0], *decisions[1]]).view(*shape, -1)
    fields: dict[str, Any] = {
        "decisions": decisions,
        "actions": torch.stack([torch.arange(members) % 3, (paid[1] > 0).long()]),
        "action_log_probs": log_probs,
        "values": torch.zeros(shape),
        "next_values": torch.zeros(shape),
        "rewards": paid,
        "durations": torch.ones(shape, dtype=torch.int64),
        "terminated": torch.tensor([[False] * members, [True] * members]),
        "truncated": torch.zeros(shape, dtype=torch.bool),
        "episodes": torch.arange(members).expand(shape),
        "groups": torch.zeros(shape, dtype=torch.int64),
    }
    return Rollout(**{**fields, **changes})


def row(rollout: Rollout, t: int) -> Rollout:
    """One row of a rollout."""
    tensors = {name: value[t : t + 1] for name, value in vars(rollout).items() if isinstance(value, torch.Tensor)}
    return replace(rollout, decisions=rollout.decisions[t : t + 1], **tensors)


@pytest.mark.parametrize("baseline", BASELINES)
def test_learns_tomato_salad_with_a_lookup_table_and_no_critic(baseline: Any) -> None:
    policy = TablePolicy()
    updates = 30
    with closing(make_vector_task("tomato-salad", 4)) as envs:
        generator = torch.Generator().manual_seed(0)
        collector = Collector(envs, seed=0, generator=generator, group_size=4, values=False)
        groups = make_groups(policy, baseline=baseline, ppo=replace(LEARNS, epochs=4))
        for update in range(updates):
            rollout, _ = collector.collect(policy, 64)
            groups.update(policy, rollout, update / updates)
    assert (policy.table == 0).all()
    result = evaluate(policy, "tomato-salad", episodes=100)
    assert result.discounted_return.mean > {"state_value": 0.75, "state_group": 0.6}.get(baseline, 0.2)  # uniform: -0.1


def test_a_group_waits_until_all_its_episodes_have_ended() -> None:
    policy, waiting = TablePolicy(), TablePolicy()
    whole, late = make_groups(policy), make_groups(waiting)
    report = whole.update(policy, two_steps(policy), 0)
    first = late.update(waiting, row(two_steps(waiting), 0), 0)
    assert (first.optimizer_steps, first.metrics["groups"], first.metrics["waiting_decisions"]) == (0, 0, 4)
    second = late.update(waiting, row(two_steps(waiting), 1), 0)
    assert second.metrics["waiting_decisions"] == 0
    assert second.optimizer_steps == report.optimizer_steps > 0
    assert torch.equal(policy.logits, waiting.logits)


@pytest.mark.parametrize("baseline", BASELINES)
def test_permuting_the_members_changes_nothing(baseline: Any) -> None:
    """Which environment an episode was met in, and who began first, say nothing about it."""
    logits = []
    for order in ([0, 1, 2, 3], [2, 0, 3, 1]):
        policy = TablePolicy()
        policy._index([B, A])
        groups = make_groups(policy, baseline=baseline, ppo=replace(LEARNS, policy_minibatch=8))
        rollout = two_steps(policy)
        tensors = {n: value[:, order] for n, value in vars(rollout).items() if isinstance(value, torch.Tensor)}
        shuffled = replace(rollout, **{**tensors, "episodes": rollout.episodes})
        groups.update(policy, shuffled, 0)
        logits.append(policy.logits.detach().clone())
    torch.testing.assert_close(logits[0], logits[1], rtol=0, atol=1e-7)


def test_groups_that_say_nothing_are_counted_and_change_nothing() -> None:
    policy = TablePolicy()
    report = make_groups(policy).update(policy, two_steps(policy, [[0.1, 1.0]] * 4), 0)
    assert (report.metrics["groups"], report.metrics["zero_variance_groups"]) == (1, 1)
    assert report.optimizer_steps == 0
    assert not report.stopped_early
    assert (policy.logits == 0).all()
    assert "policy_loss" not in report.metrics


def test_a_run_that_was_never_paid_stays_where_it_began_and_says_so() -> None:
    policy = TablePolicy()
    groups = make_groups(policy)
    reports = [groups.update(policy, two_steps(policy, [[0.0, 0.0]] * 4), 0) for _ in range(2)]
    assert [report.metrics["unpaid_updates"] for report in reports] == [1, 2]
    assert (policy.logits == 0).all()
    assert "unpaid_updates" not in groups.update(policy, two_steps(policy), 0).metrics


def test_rewards_of_any_size_teach_the_same() -> None:
    logits = []
    for size in (1.0, 1024.0):
        policy = TablePolicy()
        rewards = [[reward * size for reward in each] for each in PAID]
        report = make_groups(policy).update(policy, two_steps(policy, rewards), 0)
        assert report.metrics.get("return_unit", 1.0) == size
        logits.append(policy.logits.detach().clone())
    assert torch.equal(*logits)


def test_an_episode_cut_by_a_limit_goes_on_from_the_state_it_was_cut_in() -> None:
    """Two were cut at B, whose value the group knows; with bootstrap_truncated off they count as ended."""
    cut = torch.tensor([[False] * 4, [False, True, False, True]])
    found = []
    for bootstrap in (True, False):
        policy = TablePolicy()
        rollout = two_steps(policy, truncated=cut, terminated=two_steps(policy).terminated & ~cut)
        rollout = replace(rollout, followed=((A,) * 4, (B,) * 4))
        groups = make_groups(policy, baseline="state_value", ppo=replace(LEARNS, bootstrap_truncated=bootstrap))
        groups._pending.add(rollout)
        (members,) = groups._pending.complete()
        judged = groups._judge(members)
        assert judged is not None
        found.append([each[1] for each in judged])
    assert [a > b for a, b in zip(*found, strict=True)] == [False, True, False, True]


def test_what_is_no_number_stops_before_the_weights_change() -> None:
    policy = TablePolicy()
    with pytest.raises(NumericalError, match="not finite"):
        make_groups(policy).update(policy, two_steps(policy, [[0.0, float("nan")]] * 4), 0)
    assert (policy.logits == 0).all()


def test_the_steps_of_a_pass_are_of_equal_size() -> None:
    """A last step over a few left-over decisions would weigh as much as the others."""
    sizes: list[int] = []

    def accumulate(policy: Any, samples: Any, chosen: list[int], metrics: Any) -> float:
        sizes.append(len(chosen))
        return 1.0

    policy = TablePolicy()
    groups = make_groups(
        policy, ppo=replace(LEARNS, policy_minibatch=3, accumulation_steps=1, target_kl=None, epochs=1)
    )
    groups._actor.accumulate = accumulate  # type: ignore[method-assign]
    policy.logits.grad = torch.zeros_like(policy.logits)
    groups.update(policy, two_steps(policy), 0)
    assert sorted(sizes) == [2, 3, 3]


def test_it_goes_on_exactly_after_saving_and_loading() -> None:
    def run(interrupted: bool) -> dict[str, torch.Tensor]:
        policy = TablePolicy()
        groups = make_groups(policy, memory=2)
        for update in range(6):
            step = row(two_steps(policy), update % 2)
            number = update // 2
            step = replace(step, groups=step.groups + number, episodes=step.episodes + 4 * number)
            groups.update(policy, step, update / 6)
            if interrupted and update == 2:  # in the middle of a group
                weights, state = policy.state_dict(), groups.state_dict()
                json.dumps([state["pending"], state["visits"]])  # plain enough for a checkpoint
                policy = TablePolicy()
                groups = make_groups(policy, memory=2)
                policy.action_log_probs([B, A])
                policy.load_state_dict(weights)
                groups.load_state_dict(state)
        return policy.state_dict()

    once, twice = run(interrupted=False), run(interrupted=True)
    assert all(torch.equal(once[name], twice[name]) for name in once)
    assert once["logits"].abs().sum() > 0


def test_earlier_groups_tell_what_a_state_is_worth() -> None:
    """All four of the second group go right: alone they say nothing, after the first they know that it was good."""
    for memory in (0, 1):
        policy = TablePolicy()
        groups = make_groups(policy, baseline="state_value", memory=memory)
        groups.update(policy, two_steps(policy), 0)
        after = two_steps(policy, [[0.0, 1.0]] * 4)
        after = replace(after, groups=after.groups + 1, episodes=after.episodes + 4)
        assert groups.update(policy, after, 0).metrics["zero_variance_groups"] == (memory == 0)


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        ({"size": 1}, "size"),
        ({"horizon": 0}, "horizon"),
        ({"memory": -1}, "memory"),
        ({"state_weight": -1.0}, "state_weight"),
    ],
)
def test_impossible_settings_are_refused_by_name(settings: dict[str, Any], name: str) -> None:
    with pytest.raises(ConfigError, match=name):
        GroupsConfig(**settings)
