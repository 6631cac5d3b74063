"""The gradient over all actions, with values that are learned: on made-up decisions and a policy without a model."""

from __future__ import annotations

from contextlib import closing
from copy import deepcopy
from dataclasses import replace
from typing import Any

import pytest
import torch

from tests.algorithms.test_fitted import END, A, B, C, Reading, alone, episode
from tests.algorithms.test_ppo import LEARNS, make_rollout
from twosome import Decision
from twosome.algorithms.all_actions import AllActions
from twosome.algorithms.config import AllActionsConfig, FittedConfig, PPOConfig
from twosome.baselines.vector import VectorPolicy
from twosome.errors import ConfigError
from twosome.evaluation.sampled import evaluate
from twosome.functional.all_actions import mean_baseline, optimal_baseline
from twosome.functional.averages import Averages
from twosome.rollout import Collector
from twosome.text.tasks import make_vector_task

PLAIN = replace(LEARNS, normalize_advantages="none", entropy_coefficient=0.0, target_kl=None)


def make_all_actions(
    policy: Any, ppo: PPOConfig = PLAIN, values: FittedConfig | None = None, **settings: Any
) -> AllActions:
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(0)
    return AllActions(policy, AllActionsConfig(**settings), values or FittedConfig(), ppo, generator)


def update(algorithm: AllActions, policy: Any, **fields: Any) -> dict[str, float]:
    rollout = make_rollout(policy, len(fields["decisions"]), **fields)
    return algorithm.update(policy, rollout, 0.0).metrics


def random_logits(policy: Reading) -> None:
    with torch.no_grad():
        policy.logits.copy_(torch.randn(policy.logits.shape, generator=torch.Generator().manual_seed(3)))


@pytest.mark.parametrize("baseline", ["mean", "optimal"])
def test_on_a_bandit_with_exact_values_the_step_is_the_enumerated_gradient(baseline: Any) -> None:
    """Every action was tried, so each value is exact; which were drawn how often does not matter any more."""
    policy, bandit = Reading(), Decision("bandit", ("one", "two", "three"))
    random_logits(policy)
    algorithm = make_all_actions(policy, baseline=baseline)
    paid = torch.tensor([0.3, -0.2, 1.1])
    taken = [(bandit, action, float(paid[action])) for action in (0, 0, 0, 1, 2)]
    rollout = make_rollout(policy, 5, **alone(*taken))
    algorithm.experience.add(rollout)
    algorithm._learn(policy, Averages())
    samples = algorithm._samples(policy, rollout)
    algorithm._actor.accumulate(policy, samples, list(range(5)), Averages())
    probs = policy.action_log_probs([bandit])[0].detach().exp()
    enumerated = probs * (paid - probs @ paid)
    assert policy.logits.grad is not None
    found = -policy.logits.grad[policy._index([bandit])][0, :3]
    torch.testing.assert_close(found, enumerated, rtol=0, atol=1e-6)


def test_where_one_action_counts_it_is_that_one_against_the_baseline_of_least_variance() -> None:
    policy, bandit = Reading(), Decision("bandit", ("one", "two", "three"))
    random_logits(policy)
    algorithm = make_all_actions(policy, gradient="taken", baseline="optimal")
    paid = torch.tensor([0.3, -0.2, 1.1])
    rollout = make_rollout(policy, 4, **alone(*[(bandit, a, float(paid[a])) for a in (0, 0, 1, 2)]))
    algorithm.experience.add(rollout)
    algorithm._learn(policy, Averages())
    samples = algorithm._samples(policy, rollout)
    assert samples.action_advantages is None
    log_probs = policy.action_log_probs([bandit])[0].detach()
    best = optimal_baseline(log_probs, paid)
    assert best != pytest.approx(mean_baseline(log_probs, paid).item(), abs=1e-3)
    torch.testing.assert_close(samples.advantages, paid[[0, 0, 1, 2]] - best)


def test_an_action_is_worth_what_expected_sarsa_says() -> None:
    """A leads to B, which pays 1 to the left and nothing to the right, and is played left by 0.7 then."""
    policy = Reading()
    with torch.no_grad():
        policy.logits[policy._index([B]), :2] = torch.tensor([0.7, 0.3]).log()
    algorithm = make_all_actions(policy, replace(PLAIN, gamma=0.5, policy_learning_rate=0.0), trace=0.0)
    update(algorithm, policy, **alone((B, 0, 1.0), (B, 1, 0.0)))
    fields = episode((A, 0, 0.25), (B, 1, 0.0), episodes=torch.full((2, 1), 2), durations=torch.tensor([[3], [1]]))
    metrics = update(algorithm, policy, **fields)
    known = algorithm.values.known(A)
    assert known is not None
    assert float(known[0]) == pytest.approx(0.25 + 0.5**3 * 0.7)
    assert metrics["tried_actions"] == pytest.approx(3 / 4)


def test_values_of_a_chain_become_exact() -> None:
    """A to B to C and back, discounted: against the solution of the linear equations of expected SARSA."""
    policy, gamma = Reading(), 0.8
    random_logits(policy)
    ring, pays = (A, B, C), torch.tensor([[0.0, 0.4], [1.0, -0.3], [0.2, 0.1]])
    ahead = {0: 1, 1: 2}  # left goes on by one, right by two
    ppo = replace(PLAIN, gamma=gamma, policy_learning_rate=0.0)
    algorithm = make_all_actions(policy, ppo, trace=0.0, sweeps=100)
    taken = [(ring[s], a, float(pays[s, a])) for s in range(3) for a in range(2)]
    fields = alone(*taken)
    followed = tuple((ring[(s + ahead[a]) % 3],) for s in range(3) for a in range(2))
    cut = torch.ones(6, 1, dtype=torch.bool)
    update(algorithm, policy, **{**fields, "followed": followed, "terminated": ~cut, "truncated": cut})
    probs = policy.action_log_probs(ring).detach().exp().double()
    moves = torch.zeros(6, 6, dtype=torch.float64)
    for s in range(3):
        for a in range(2):
            there = (s + ahead[a]) % 3
            moves[2 * s + a, 2 * there : 2 * there + 2] = probs[there]
    exact = torch.linalg.solve(torch.eye(6, dtype=torch.float64) - gamma * moves, pays.double().flatten())
    found = torch.stack([known for each in ring if (known := algorithm.values.known(each)) is not None])
    torch.testing.assert_close(found.double().flatten(), exact, rtol=0, atol=1e-5)


def test_an_action_that_was_not_drawn_is_learned_about() -> None:
    policy, ppo = Reading(), replace(PLAIN, epochs=8)
    algorithm = make_all_actions(policy, ppo)
    update(algorithm, policy, **alone((A, 0, 0.0), (A, 1, 1.0)))
    before = policy.action_log_probs([A])[0].detach().exp()
    update(algorithm, policy, **alone((A, 0, 0.0), (A, 0, 0.0)))  # only the worse one, this time
    after = policy.action_log_probs([A])[0].detach().exp()
    assert after[1] > before[1] > 0.5


@pytest.mark.parametrize(
    ("gradient", "region"),
    [("all", "ratio"), *(pytest.param(*each, marks=pytest.mark.slow) for each in (("all", "tv"), ("taken", "ratio")))],
)
def test_learns_tomato_salad_with_a_lookup_table(gradient: Any, region: Any) -> None:
    policy, updates = Reading(), 15
    ppo = replace(PLAIN, entropy_coefficient=0.003, epochs=4, trust_region=region, policy_learning_rate=0.1)
    algorithm = make_all_actions(policy, ppo, FittedConfig(value_steps=2), gradient=gradient)
    with closing(make_vector_task("tomato-salad", 4)) as envs:
        collector = Collector(envs, seed=0, generator=torch.Generator().manual_seed(0), values=False)
        for done in range(updates):
            rollout, _ = collector.collect(policy, 32)
            metrics = algorithm.update(policy, rollout, done / updates).metrics
    assert {"acting_kl", "value_loss", "distinct_decisions"} <= set(metrics) or gradient == "taken"
    assert evaluate(policy, "tomato-salad", episodes=10).discounted_return.mean > 0.8


def test_it_waits_for_a_reward_and_for_its_values() -> None:
    policy = Reading()
    algorithm = make_all_actions(policy, replace(PLAIN, critic_warmup_updates=2))
    before = policy.logits.detach().clone()
    assert update(algorithm, policy, **alone((A, 0, 0.0), (A, 1, 0.0)))["unpaid_updates"] == 1
    update(algorithm, policy, **alone((A, 0, 0.0), (A, 1, 1.0)))
    assert torch.equal(policy.logits, before)
    update(algorithm, policy, **alone((A, 0, 0.0), (A, 1, 1.0)))
    assert not torch.equal(policy.logits, before)


def test_rewards_of_any_size_move_the_policy_alike() -> None:
    moved = []
    for size in (1.0, 64.0):
        policy = Reading()
        algorithm = make_all_actions(policy)
        for _ in range(2):
            update(algorithm, policy, **alone((A, 0, 0.0), (A, 1, 1.9 * size)))
        moved.append(policy.action_log_probs([A]).detach())
    torch.testing.assert_close(moved[0], moved[1])


def test_decisions_that_were_let_go_of_are_valued_by_their_words() -> None:
    policy = Reading()
    algorithm = make_all_actions(policy, values=FittedConfig(replay=2))
    report = update(algorithm, policy, **alone((A, 1, 1.0), (B, 0, 0.5), (C, 1, 0.2), (C, 0, 0.1)))
    assert algorithm.values.known(A) is None
    assert report["distinct_decisions"] < 4
    found = algorithm.values.of([A, C], policy, 2, 1.0)
    assert torch.equal(found[0], algorithm.values.guessed(policy.action_features([A]), 1.0)[0])


def test_it_goes_on_exactly_after_saving_and_loading() -> None:
    rounds = [episode((A, 0, 0.0), (B, 1, 1.0)), episode((A, 1, 0.5), (C, 0, 0.25), episodes=torch.ones(2, 1).long())]
    ended = []
    for interrupted in (False, True):
        policy = Reading()
        policy._index([A, B, C, END])
        algorithm = make_all_actions(policy)
        update(algorithm, policy, **rounds[0])
        if interrupted:
            state = deepcopy(algorithm.state_dict())
            algorithm = make_all_actions(policy)
            algorithm.load_state_dict(state)
        update(algorithm, policy, **rounds[1])
        ended.append((policy.logits.detach(), algorithm.values.known(A)))
    assert all(torch.equal(*pair) for pair in zip(*ended, strict=True))


def test_a_policy_that_reads_no_phrases_is_refused() -> None:
    with pytest.raises(ConfigError, match="algorithm=all_actions needs a policy that reads phrases"):
        make_all_actions(VectorPolicy(4, 2, [8]))
