"""Rewards of any size teach the same, and no reward teaches nothing."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from tests.algorithms.test_ppo import make_ppo, make_rollout
from tests.table_policy import TablePolicy
from twosome import Decision
from twosome.baselines.vector import VectorPolicy
from twosome.functional.advantages import largest_return, normalize
from twosome.functional.losses import explained_variance
from twosome.models.critic import Critic
from twosome.types import Rollout

STATES = tuple(Decision(f"state {i}", ("left", "right")) for i in range(20))


class DeepPolicy(TablePolicy):
    """A table of logits, and a critic that is the language model's."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.critic = Critic(16, (32, 32), bias=True)
        self.features = torch.randn(20, 16, generator=torch.Generator().manual_seed(1))

    def values(self, decisions: Any) -> torch.Tensor:
        values: torch.Tensor = self.critic(self.features[[int(d.prompt.split()[1]) for d in decisions]])
        return values

    def critic_parameters(self) -> list[torch.nn.Parameter]:
        return list(self.critic.parameters())

    def scale_values(self, factor: float) -> None:
        self.critic.scale(factor)


def practise(size: float, *, updates: int = 20, constant: bool = False) -> tuple[DeepPolicy, Any]:
    """Updates in which every second state pays 1 and the others 0.94, times ``size``."""
    policy = DeepPolicy()
    ppo = make_ppo(policy, value_learning_rate=5e-3, epochs=4, normalize_advantages="none")
    generator = torch.Generator().manual_seed(2)
    for _ in range(updates):
        states = torch.randint(20, (32,), generator=generator)
        actions = torch.randint(2, (32, 1), generator=generator)
        decisions = tuple((STATES[state],) for state in states.tolist())
        with torch.no_grad():
            values = policy.values([row[0] for row in decisions]).unsqueeze(-1)
        rewards = size * torch.where(states % 2 == 0, 1.0, 0.94).unsqueeze(-1)
        rollout = make_rollout(policy, 32, decisions=decisions, actions=actions, values=values, rewards=rewards)
        report = ppo.update(policy, rollout, 0)
    return policy, report


@pytest.mark.parametrize("size", [1.0, 100.0, 64.0, 1e4])
def test_rewards_far_from_1_are_learned_as_rewards_of_1_are(size: float) -> None:
    """With rewards of 100 and a value clip of 0.2, values stayed far from what was paid, and nothing was said."""
    policy, report = practise(size)
    values = policy.values(STATES).detach()
    wanted = size * torch.tensor([1.0, 0.94] * 10)
    torch.testing.assert_close(values, wanted, rtol=0.08, atol=0.0)
    assert report.metrics["explained_variance"] > 0.5
    assert ("return_unit" in report.metrics) == (size > 1)


def test_many_rewards_of_1_are_returns_far_from_1() -> None:
    policy = TablePolicy()
    ppo = make_ppo(policy)
    going_on = torch.zeros(64, 1, dtype=torch.bool)
    rollout = replace(make_rollout(policy, 64), rewards=torch.ones(64, 1), terminated=going_on)
    assert ppo.update(policy, rollout, 0).metrics["return_unit"] == 32  # 47 = (1 - 0.99 ** 64) / 0.01


def test_a_unit_rounds_nothing_and_changes_no_value() -> None:
    critic, features = Critic(4, (8,), bias=True), torch.randn(5, 4)
    before = critic(features)
    critic.scale(64.0)
    assert torch.equal(critic(features), before)
    again = Critic(4, (8,), bias=True)
    again.load_weights(critic.weights())
    assert torch.equal(again(features), before)
    assert "unit" not in Critic(4, (8,)).weights()  # so that files stay what they were


def test_returns_of_order_1_are_left_alone_to_the_bit() -> None:
    found = []
    for scale in (True, False):
        policy = TablePolicy()
        ppo = make_ppo(policy, scale_returns=scale)
        ppo.update(policy, make_rollout(policy, rewards=torch.linspace(-1.9, 1.9, 8).unsqueeze(-1)), 0)
        found.append(policy.state_dict())
    assert all(torch.equal(found[0][name], found[1][name]) for name in found[0])


def test_largest_return_by_hand() -> None:
    rewards = torch.tensor([[1.0], [-2.0], [4.0], [-3.0]])
    ended = torch.tensor([[False], [True], [False], [False]])
    assert largest_return(rewards, torch.full((4, 1), 0.5), ended) == 3.0  # -3; 4 - 1.5 = 2.5; -2; 1 - 1 = 0


@pytest.mark.parametrize(
    "equal",
    [
        torch.full((128,), 0.35),
        torch.full((3,), 0.1),
        torch.full((7,), -1e6),
        torch.full((5,), 1e-30),
        torch.tensor([0.35, 0.35000002, 0.35]),
        torch.tensor([-2.0]),
    ],
)
def test_equal_advantages_are_none(equal: torch.Tensor) -> None:
    """128 times 0.35 became 0.75 each: rounding, divided by itself."""
    assert torch.equal(normalize(equal), torch.zeros_like(equal))


@pytest.mark.parametrize(("offset", "size"), [(0.0, 1e-9), (0.0, 1e25), (1e6, 1.0), (1.0, 1e-4), (0.0, 1.0)])
def test_advantages_of_any_size_get_deviation_1(offset: float, size: float) -> None:
    normalized = normalize(offset + size * torch.tensor([-4.0, 0.0, 1.0, 3.0]))
    assert normalized.mean().item() == pytest.approx(0, abs=1e-4)
    assert normalized.std().item() == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize("odd", [torch.nan, torch.inf])
def test_an_advantage_that_is_no_number_is_not_hidden(odd: float) -> None:
    assert normalize(torch.tensor([odd, 1.0, 1.0])).isnan().any()
    assert normalize(torch.tensor([odd, odd])).isnan().all()


def test_differences_of_large_numbers_are_equal_up_to_their_rounding() -> None:
    advantages = torch.tensor([3e-5, -2e-5, 1e-5])  # of values near 1000, which single precision spaces by 6e-5
    assert torch.equal(normalize(advantages, rounding=1e-3), torch.zeros(3))


def test_constant_returns_have_no_variance_to_explain() -> None:
    assert explained_variance(torch.linspace(0.3, 0.4, 128), torch.full((128,), 0.35)) == 0


def unpaid(policy: TablePolicy, **changes: Any) -> Rollout:
    """Nothing was paid, and the untrained critic says something else of every state."""
    noise = torch.randn(8, 1, generator=torch.Generator().manual_seed(0))
    return replace(make_rollout(policy), rewards=torch.zeros(8, 1), values=noise, **changes)


@pytest.mark.parametrize("scope", ["rollout", "step", "none"])
def test_a_run_that_was_never_paid_stays_where_it_began(scope: str) -> None:
    """An untrained critic's noise, normalised, moved a policy from a prior that succeeds in every second episode."""
    policy = TablePolicy()
    torch.nn.init.ones_(policy.table)
    before = policy.state_dict()
    ppo = make_ppo(policy, normalize_advantages=scope)
    reports = [ppo.update(policy, unpaid(policy), 0) for _ in range(3)]
    assert torch.equal(policy.logits, before["logits"])
    assert not torch.equal(policy.table, before["table"])
    assert [report.metrics["unpaid_updates"] for report in reports] == [1, 2, 3]
    assert not any(report.stopped_early or report.optimizer_steps for report in reports)


@pytest.mark.parametrize("reward", [1.0, -0.001])
def test_with_the_first_reward_the_actor_moves_and_it_never_stops_again(reward: float) -> None:
    policy = TablePolicy()
    ppo = make_ppo(policy)
    ppo.update(policy, unpaid(policy), 0)
    rewards = torch.zeros(8, 1)
    rewards[3] = reward
    paid = ppo.update(policy, replace(unpaid(policy), rewards=rewards), 0)
    assert paid.optimizer_steps
    assert "unpaid_updates" not in paid.metrics
    assert ppo.update(policy, unpaid(policy), 0).optimizer_steps


def test_the_published_treatment_does_not_wait() -> None:
    policy = TablePolicy()
    report = make_ppo(policy, wait_for_reward=False).update(policy, unpaid(policy), 0)
    assert report.optimizer_steps
    assert report.metrics["unpaid_updates"] == 1


def test_what_was_paid_is_known_after_a_checkpoint_and_an_older_one_goes_on_as_it_did() -> None:
    policy = TablePolicy()
    ppo = make_ppo(policy)
    ppo.update(policy, replace(make_rollout(policy), rewards=torch.full((8, 1), 100.0)), 0)
    state = ppo.state_dict()
    again = make_ppo(policy)
    again.load_state_dict(state)
    assert again.update(policy, unpaid(policy), 0).metrics["return_unit"] == 64
    older = make_ppo(policy)
    older.load_state_dict({name: part for name, part in state.items() if name != "paid"})
    report = older.update(policy, unpaid(policy), 0)
    assert report.optimizer_steps
    assert "return_unit" not in report.metrics


@pytest.mark.parametrize("grown", ["saved", "loaded into"])
def test_the_unit_goes_with_the_weights_of_a_policy(grown: str) -> None:
    numbers = Decision("0.5 -1 2", ("action 0", "action 1"))
    policy, other = VectorPolicy(3, 2), VectorPolicy(3, 2)
    (policy if grown == "saved" else other).scale_values(64.0)
    other.load_state_dict(policy.state_dict())
    assert torch.equal(other.values([numbers]), policy.values([numbers]))
    assert ("critic.unit" in other.state_dict()) == (grown == "saved")
