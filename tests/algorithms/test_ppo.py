"""PPO on a lookup table: it learns in seconds, and each rule of the update holds."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from typing import Any

import pytest
import torch

from tests.table_policy import TablePolicy
from twosome import Decision
from twosome.algorithms.actor import together
from twosome.algorithms.config import PPOConfig
from twosome.algorithms.ppo import PPO
from twosome.errors import ConfigError, NumericalError
from twosome.evaluation.sampled import evaluate
from twosome.rollout import Collector
from twosome.text.tasks import make_vector_task
from twosome.types import Rollout

LEARNS = PPOConfig(
    policy_learning_rate=0.05, value_learning_rate=0.05, epochs=2, target_kl=0.05, normalize_advantages="rollout"
)
A, B = Decision("a", ("left", "right")), Decision("b", ("left", "right", "stay"))


def make_rollout(policy: Any, samples: int = 8, **changes: Any) -> Rollout:
    """A made-up rollout of one environment in which "right" pays."""
    decisions = changes.get("decisions", tuple((A,) if t % 2 else (B,) for t in range(samples)))
    actions = changes.get("actions", torch.arange(samples).remainder(2).unsqueeze(-1))
    with torch.no_grad():
        log_probs = policy.action_log_probs([row[0] for row in decisions]).unsqueeze(1)
    zeros = torch.zeros(samples, 1)
    fields: dict[str, Any] = {
        "decisions": decisions,
        "actions": actions,
        "action_log_probs": log_probs,
        "values": zeros,
        "next_values": zeros,
        "rewards": actions.float(),
        "durations": torch.ones(samples, 1, dtype=torch.int64),
        "terminated": torch.ones(samples, 1, dtype=torch.bool),
        "truncated": torch.zeros(samples, 1, dtype=torch.bool),
        "episodes": torch.arange(samples).unsqueeze(-1),
        "groups": torch.arange(samples).unsqueeze(-1),
    }
    return Rollout(**{**fields, **changes})


def make_ppo(policy: Any, **settings: Any) -> PPO:
    return PPO(policy, replace(LEARNS, **settings), torch.Generator().manual_seed(0))


def test_learns_tomato_salad_with_a_lookup_table() -> None:
    policy = TablePolicy()
    updates = 30
    with closing(make_vector_task("tomato-salad", 4)) as envs:
        collector = Collector(envs, seed=0, generator=torch.Generator().manual_seed(0))
        ppo = make_ppo(policy)
        for update in range(updates):
            rollout, _ = collector.collect(policy, 32)
            ppo.update(policy, rollout, update / updates)
    result = evaluate(policy, "tomato-salad", episodes=100)
    assert result.success.mean == 1
    assert result.discounted_return.mean > 0.88  # the optimum is 0.9205, uniform play gets -0.09


def test_the_first_ratio_is_exactly_1() -> None:
    policy = TablePolicy()
    report = make_ppo(policy, accumulation_steps=2, policy_minibatch=4, epochs=1).update(
        policy, make_rollout(policy), 0
    )
    assert report.metrics["approximate_kl"] == 0
    assert report.metrics["clip_fraction"] == 0


def test_at_learning_rate_0_nothing_changes() -> None:
    policy = TablePolicy()
    before = policy.state_dict()
    make_ppo(policy, policy_learning_rate=0.0, value_learning_rate=0.0, epochs=3).update(
        policy, make_rollout(policy), 0
    )
    assert all(torch.equal(before[name], tensor) for name, tensor in policy.state_dict().items())


def test_annealed_to_the_end_nothing_changes() -> None:
    policy = TablePolicy()
    before = policy.state_dict()
    make_ppo(policy, anneal_learning_rates=True).update(policy, make_rollout(policy), progress=1.0)
    assert all(torch.equal(before[name], tensor) for name, tensor in policy.state_dict().items())


def test_the_better_action_becomes_likelier_and_the_value_rises() -> None:
    policy = TablePolicy()
    make_ppo(policy, epochs=4, target_kl=None).update(policy, make_rollout(policy), 0)
    with torch.no_grad():
        assert policy.action_log_probs([A])[0].argmax() == 1
        assert policy.values([A]).item() > 0


def test_accumulation_in_parts_gives_the_gradient_of_the_whole() -> None:
    """Repeated decisions are scored once, with the weight of all their samples."""
    gradients = []
    for minibatch in (1, 2, 8):
        policy = TablePolicy()
        rollout = make_rollout(policy)
        ppo = make_ppo(policy, policy_minibatch=minibatch, accumulation_steps=8 // minibatch)
        samples = ppo._samples(policy, rollout, _Ignore())
        ppo._actor.accumulate(policy, samples, list(range(8)), _Ignore())
        gradients.append(policy.logits.grad)
    torch.testing.assert_close(gradients[0], gradients[2])
    torch.testing.assert_close(gradients[1], gradients[2])


class _Ignore:
    def add(self, **numbers: float) -> None:
        pass


class Counting(TablePolicy):
    """Notes which decisions every gradient was asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[tuple[Decision, ...]] = []

    def action_log_probs(self, decisions: Sequence[Decision]) -> torch.Tensor:
        if torch.is_grad_enabled():
            self.asked.append(tuple(decisions))
        return super().action_log_probs(decisions)


@pytest.mark.parametrize("together", [False, True])
def test_copies_of_a_decision_share_a_step(together: bool) -> None:
    """Four decisions, eight times each, in four steps of eight: each step has one of them, or nearly all."""
    policy = Counting()
    four = [Decision(name, ("left", "right")) for name in "abcd"]
    rollout = make_rollout(policy, 32, decisions=tuple((four[t % 4],) for t in range(32)))
    settings = {"policy_minibatch": 4, "accumulation_steps": 2, "epochs": 3, "target_kl": None}
    make_ppo(policy, together=together, **settings).update(policy, rollout, 0.0)
    assert len(policy.asked) >= 12
    count = sum(map(len, policy.asked)) / 3  # a pass
    assert count == 4 if together else count > 10
    passes = {tuple(policy.asked[number : number + 4]) for number in (0, 4, 8)}
    assert not together or len(passes) > 1  # not one order for all


def test_together_every_sample_counts_once() -> None:
    decisions = [A, B, B, A, B, A, A]
    order = together(decisions, [6, 5, 4, 3, 2, 1, 0], torch.Generator().manual_seed(0))
    assert sorted(order) == list(range(7))
    assert order in ([6, 5, 3, 0, 4, 2, 1], [4, 2, 1, 6, 5, 3, 0])


def test_copies_are_not_compared_with_each_other_alone() -> None:
    with pytest.raises(ConfigError, match=r"ppo\.together would compare the copies"):
        PPOConfig(together=True, normalize_advantages="minibatch")


def test_gradient_accumulation_sums_over_samples_not_decisions() -> None:
    """Three samples of one decision and one of another weigh three to one."""
    policy = TablePolicy()
    right = torch.ones(4, 1, dtype=torch.int64)
    rollout = make_rollout(policy, 4, decisions=((A,), (A,), (A,), (B,)), actions=right, rewards=right.float())
    ppo = make_ppo(
        policy, entropy_coefficient=0.0, normalize_advantages="none", policy_minibatch=4, accumulation_steps=1
    )
    ppo._actor.accumulate(policy, ppo._samples(policy, rollout, _Ignore()), [0, 1, 2, 3], _Ignore())
    assert policy.logits.grad is not None
    # d(-advantage log p(right)) with p = 1/2 and 1/3, averaged over four samples
    row_of_a, row_of_b = policy._index([A, B])
    assert policy.logits.grad[row_of_a, 1].item() == pytest.approx(-3 * 0.5 / 4)
    assert policy.logits.grad[row_of_b, 1].item() == pytest.approx(-1 * (1 - 1 / 3) / 4)


def test_the_kl_limit_stops_the_update_and_keeps_the_steps_taken() -> None:
    """Published trap 14: the limit cannot fire before the second step, because the first ratio is 1."""
    policy = TablePolicy()
    ppo = make_ppo(policy, policy_learning_rate=1.0, target_kl=1e-4, epochs=5, policy_minibatch=2, accumulation_steps=1)
    report = ppo.update(policy, make_rollout(policy), 0)
    assert report.stopped_early
    assert 1 <= report.optimizer_steps < 5 * 4


def test_warm_up_trains_the_critic_alone() -> None:
    policy = TablePolicy()
    ppo = make_ppo(policy, critic_warmup_updates=1)
    report = ppo.update(policy, make_rollout(policy), 0)
    assert report.optimizer_steps == 0
    assert not report.stopped_early
    assert (policy.logits == 0).all()
    assert policy.table.abs().sum() > 0
    assert ppo.update(policy, make_rollout(policy), 0).optimizer_steps > 0


def test_the_critics_gradient_never_scales_the_actors_clipping() -> None:
    """Published trap 9: there, the critic's left-over gradient counted in the actor's clipping norm."""
    norms = []
    for value_learning_rate in (0.0, 0.05):
        for rewards in (1.0, 1000.0):
            policy = TablePolicy()
            ppo = make_ppo(policy, value_learning_rate=value_learning_rate, epochs=1)
            rollout = make_rollout(policy)
            report = ppo.update(policy, replace(rollout, rewards=rollout.rewards * rewards), 0)
            norms.append(report.metrics["actor_gradient_norm"])
    assert norms == pytest.approx([norms[0]] * 4, rel=1e-4)


def test_actor_and_critic_parameters_are_in_one_optimizer_each() -> None:
    """Published trap 8: there, the adapter was in both."""
    policy = TablePolicy()
    ppo = make_ppo(policy)
    actor = {id(p) for group in ppo._actor.optimizer.param_groups for p in group["params"]}
    critic = {id(p) for group in ppo._critic.param_groups for p in group["params"]}
    assert actor == {id(policy.logits)}
    assert critic == {id(policy.table)}


def test_the_reference_penalty_pulls_towards_the_reference() -> None:
    results = []
    for coefficient in (0.0, 10.0):
        policy = TablePolicy()
        ppo = make_ppo(policy, reference_kl_coefficient=coefficient, epochs=20, target_kl=None, entropy_coefficient=0.0)
        ppo.update(policy, make_rollout(policy), 0)
        with torch.no_grad():
            results.append(policy.action_log_probs([A]).exp()[0, 1].item())
    assert 0.5 < results[1] < results[0]


def test_a_penalty_without_a_reference_is_refused() -> None:
    policy = _Without(TablePolicy())
    with pytest.raises(ConfigError, match="reference"):
        make_ppo(policy, reference_kl_coefficient=0.1).update(policy, make_rollout(policy), 0)


class _Without:
    """A policy that hides its reference."""

    def __init__(self, policy: TablePolicy) -> None:
        for name in ("action_log_probs", "values", "actor_parameters", "critic_parameters"):
            setattr(self, name, getattr(policy, name))


def test_a_reward_that_is_not_finite_stops_before_the_weights_change() -> None:
    policy = TablePolicy()
    before = policy.state_dict()
    rollout = make_rollout(policy, rewards=torch.full((8, 1), torch.nan))
    with pytest.raises(NumericalError, match="not finite"):
        make_ppo(policy).update(policy, rollout, 0)
    assert all(torch.equal(before[name], tensor) for name, tensor in policy.state_dict().items())


@pytest.mark.parametrize("bootstrap", [True, False])
def test_truncation_bootstraps_unless_the_published_treatment_is_asked_for(bootstrap: bool) -> None:
    policy = TablePolicy()
    rollout = make_rollout(
        policy,
        samples=2,
        terminated=torch.zeros(2, 1, dtype=torch.bool),
        truncated=torch.ones(2, 1, dtype=torch.bool),
        next_values=torch.full((2, 1), 2.0),
        rewards=torch.zeros(2, 1),
        durations=torch.tensor([[1], [3]]),
    )
    ppo = make_ppo(policy, bootstrap_truncated=bootstrap, gamma=0.9, normalize_advantages="none")
    expected = [0.9 * 2.0, 0.9**3 * 2.0] if bootstrap else [0.0, 0.0]
    assert ppo._samples(policy, rollout, _Ignore()).advantages.tolist() == pytest.approx(expected)


def test_without_semi_mdp_every_decision_counts_as_one_step() -> None:
    policy = TablePolicy()
    rollout = make_rollout(
        policy,
        samples=1,
        terminated=torch.zeros(1, 1, dtype=torch.bool),
        next_values=torch.ones(1, 1),
        rewards=torch.zeros(1, 1),
        durations=torch.tensor([[5]]),
    )
    ppo = make_ppo(policy, semi_mdp=False, gamma=0.9, normalize_advantages="none")
    assert ppo._samples(policy, rollout, _Ignore()).advantages.tolist() == pytest.approx([0.9])


def test_an_update_goes_on_exactly_after_saving_and_loading() -> None:
    def run(interrupted: bool) -> dict[str, torch.Tensor]:
        policy = TablePolicy()
        ppo = PPO(policy, LEARNS, torch.Generator().manual_seed(0))
        for update in range(4):
            ppo.update(policy, make_rollout(policy), update / 4)
            if interrupted and update == 1:
                weights, state = policy.state_dict(), ppo.state_dict()
                policy = TablePolicy()
                ppo = PPO(policy, LEARNS, torch.Generator())
                policy.action_log_probs([B, A])  # the table meets decisions in the same order
                policy.load_state_dict(weights)
                ppo.load_state_dict(state)
        return policy.state_dict()

    once, twice = run(interrupted=False), run(interrupted=True)
    assert all(torch.equal(once[name], twice[name]) for name in once)


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        ({"policy_learning_rate": -1.0}, "policy_learning_rate"),
        ({"value_learning_rate": float("nan")}, "value_learning_rate"),
        ({"gamma": 1.5}, "gamma"),
        ({"epochs": 0}, "epochs"),
        ({"target_kl": 0.0}, "target_kl"),
        ({"normalize_advantages": "minibatch", "policy_minibatch": 1}, "policy_minibatch"),
    ],
)
def test_impossible_settings_are_refused_by_name(settings: dict[str, Any], name: str) -> None:
    with pytest.raises(ConfigError, match=name):
        PPOConfig(**settings)
