"""PPO within an exact trust region, and what it keeps besides getting better: variety, and nearness to the base."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
import torch

from tests.algorithms.test_ppo import A, B, make_ppo, make_rollout
from tests.table_policy import TablePolicy
from twosome.algorithms.config import PPOConfig
from twosome.algorithms.ppo import PPO
from twosome.errors import ConfigError
from twosome.functional.averages import Averages
from twosome.types import UpdateReport

LEFT, RIGHT = torch.zeros(4, 1, dtype=torch.int64), torch.ones(4, 1, dtype=torch.int64)
BANDIT: dict[str, Any] = {
    "policy_learning_rate": 0.0,
    "value_learning_rate": 0.0,
    "entropy_coefficient": 0.0,
    "normalize_advantages": "none",
    "target_kl": None,
}


def moved(share: float) -> TablePolicy:
    """A policy that goes right in A with probability ``share``, and to each side of B alike."""
    policy = TablePolicy()
    with torch.no_grad():
        policy.logits[policy._index([A])[0], 1] = torch.tensor(share / (1 - share)).log()
    return policy


@pytest.mark.parametrize(("kind", "radius"), [("tv", 0.1), ("tv", 0.3), ("kl", 0.02), ("kl", 0.2)])
@pytest.mark.parametrize("share", [0.3, 0.45, 0.55, 0.65, 0.85])
@pytest.mark.parametrize("advantage", [1.0, -1.0])
def test_the_mask_of_a_bandit_is_the_analytic_condition(
    kind: str, radius: float, share: float, advantage: float
) -> None:
    """Acted with 1/2 each: TV is the distance of p from 1/2, and KL is half the logarithm of 1 / (4 p (1 - p))."""
    acted = TablePolicy()
    decisions = tuple((A,) for _ in range(4))
    rollout = make_rollout(acted, 4, decisions=decisions, actions=RIGHT, rewards=torch.full((4, 1), advantage))
    policy = moved(share)
    report = make_ppo(policy, **BANDIT, epochs=1, trust_region=kind, trust_radius=radius).update(policy, rollout, 0)
    p = torch.tensor(share, dtype=torch.float64)
    distance = float((p - 0.5).abs() if kind == "tv" else 0.5 * torch.log(1 / (4 * p * (1 - p))))
    masked = distance > radius and advantage * (share - 0.5) > 0
    assert report.metrics["masked"] == float(masked)
    assert [report.metrics[f"divergence_{name}"] for name in ("mean", "95", "max")] == pytest.approx(
        [distance] * 3, rel=1e-4
    )
    assert (report.metrics["actor_gradient_norm"] == 0) == masked


@pytest.mark.parametrize("kind", ["tv", "kl"])
def test_where_nothing_moved_the_gradient_is_the_policy_gradient(kind: str) -> None:
    gradients = []
    for region in ("ratio", kind):
        policy = TablePolicy()
        ppo = make_ppo(policy, **BANDIT, trust_region=region, trust_radius=1e-9)
        ppo._actor.accumulate(
            policy, ppo._samples(policy, make_rollout(policy), Averages()), list(range(8)), Averages()
        )
        assert policy.logits.grad is not None
        gradients.append(policy.logits.grad)
    assert torch.equal(*gradients)


@pytest.mark.parametrize("kind", ["tv", "kl"])
def test_a_single_full_batch_gives_the_same_in_any_order_and_any_minibatch(kind: str) -> None:
    gradients = []
    for order, minibatch in (([*range(8)], 8), ([5, 2, 7, 0, 1, 3, 6, 4], 8), ([*reversed(range(8))], 2)):
        acted, policy = TablePolicy(), moved(0.6)
        policy._index([B, A])
        ppo = make_ppo(policy, **BANDIT, trust_region=kind, trust_radius=0.01, policy_minibatch=minibatch)
        ppo._actor.accumulate(policy, ppo._samples(policy, make_rollout(acted), Averages()), order, Averages())
        gradients.append(policy.logits.grad)
    for gradient in gradients[1:]:
        torch.testing.assert_close(gradient, gradients[0])


def test_the_kl_limit_is_exact_within_an_exact_trust_region() -> None:
    """Only actions whose probability did not change were taken: an estimate from them sees no divergence at all."""
    acted, policy = TablePolicy(), TablePolicy()
    with torch.no_grad():
        policy.logits[policy._index([B])[0], :3] = torch.tensor([1 / 3, 1 / 2, 1 / 6]).log()
    rollout = make_rollout(acted, 4, decisions=((B,),) * 4, actions=LEFT, rewards=torch.ones(4, 1))
    stopped = [
        make_ppo(policy, **{**BANDIT, "target_kl": 0.05}, trust_region=kind).update(policy, rollout, 0).stopped_early
        for kind in ("ratio", "tv")
    ]
    assert stopped == [False, True]


def test_learned_within_a_trust_region_the_states_stay_near() -> None:
    """Adam's momentum takes a state somewhat beyond, no more."""
    far = []
    for radius in (0.05, 0.15, 1.0):
        policy = TablePolicy()
        settings = {**BANDIT, "policy_learning_rate": 5e-3, "trust_radius": radius}
        make_ppo(policy, **settings, epochs=300, trust_region="tv").update(policy, make_rollout(policy), 0)
        with torch.no_grad():
            far.append((policy.action_log_probs([A]).exp()[0, 1] - 0.5).item())
    assert 0.05 < far[0] < 0.09
    assert 0.15 < far[1] < 0.19
    assert far[2] > 0.3


def reports(count: int = 3, **settings: Any) -> tuple[TablePolicy, list[UpdateReport]]:
    policy = TablePolicy()
    ppo = make_ppo(policy, **settings)
    return policy, [ppo.update(policy, make_rollout(policy), update / count) for update in range(count)]


def entropy_pull(progress: float) -> float:
    """How far the entropy's gradient alone moves a policy that is surer than it need be."""
    policy = moved(0.9)
    config = {**BANDIT, "entropy_coefficient": 0.1, "entropy_coefficient_end": 0.0}
    ppo = make_ppo(policy, **config)
    ppo._actor.begin(progress)
    rollout = make_rollout(policy, rewards=torch.zeros(8, 1))
    ppo._actor.accumulate(policy, ppo._samples(policy, rollout, Averages()), list(range(8)), Averages())
    assert policy.logits.grad is not None
    return policy.logits.grad.norm().item()


def test_the_entropys_weight_goes_linearly_to_its_end() -> None:
    begin = entropy_pull(0.0)
    assert entropy_pull(0.5) == pytest.approx(begin / 2)
    assert entropy_pull(1.0) == 0


@pytest.mark.parametrize("name", ["entropy_coefficient", "tsallis_coefficient"])
def test_a_bonus_makes_a_sure_policy_less_sure(name: str) -> None:
    policy = moved(0.9)
    ppo = make_ppo(policy, **{**BANDIT, "policy_learning_rate": 0.05, name: 1.0}, epochs=5, wait_for_reward=False)
    ppo.update(policy, make_rollout(policy, rewards=torch.zeros(8, 1)), 0)
    with torch.no_grad():
        assert policy.action_log_probs([A]).exp()[0, 1].item() < 0.88


def test_the_weight_of_the_kl_to_the_base_follows_its_target() -> None:
    """Ziegler et al. 2019: by at most 2 % an update, up where the KL is above its target and down where it is below."""
    for target, way in ((1e-9, 1.02), (1e9, 0.98)):
        _, found = reports(reference_kl_coefficient=0.1, reference_kl_target=target)
        weights = [report.metrics["reference_kl_coefficient"] for report in found]
        assert weights[0] == 0.1
        assert weights[1:] == pytest.approx([0.1 * way, 0.1 * way**2])
    assert "reference_kl_coefficient" not in reports(reference_kl_coefficient=0.1)[1][0].metrics


@pytest.mark.parametrize(
    "settings",
    [
        {"trust_region": "tv"},
        {"trust_region": "kl", "entropy_coefficient_end": 0.0},
        {"clip_high": 0.3, "tsallis_coefficient": 0.01},
        {"reference_kl_coefficient": 0.05, "reference_kl_target": 0.01},
    ],
)
def test_an_update_goes_on_exactly_after_saving_and_loading(settings: Mapping[str, Any]) -> None:
    def run(interrupted: bool) -> dict[str, torch.Tensor]:
        policy = TablePolicy()
        ppo = make_ppo(policy, **settings)
        for update in range(4):
            ppo.update(policy, make_rollout(policy), update / 4)
            if interrupted and update == 1:
                weights, state = policy.state_dict(), ppo.state_dict()
                policy = TablePolicy()
                ppo = PPO(policy, ppo.config, torch.Generator())
                policy.action_log_probs([B, A])  # the table meets decisions in the same order
                policy.load_state_dict(weights)
                ppo.load_state_dict(state)
        return policy.state_dict()

    once, twice = run(interrupted=False), run(interrupted=True)
    assert all(torch.equal(once[name], twice[name]) for name in once)


def test_a_checkpoint_of_before_there_were_such_settings_is_taken_up() -> None:
    policy = TablePolicy()
    state = make_ppo(policy).state_dict()
    again = make_ppo(policy, reference_kl_coefficient=0.1)
    again.load_state_dict({name: part for name, part in state.items() if name != "bonuses"})
    assert again.update(policy, make_rollout(policy), 0).optimizer_steps


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        ({"trust_radius": 0.0}, "trust_radius"),
        ({"clip_high": -0.1}, "clip_high"),
        ({"entropy_coefficient_end": -1.0}, "entropy_coefficient_end"),
        ({"tsallis_coefficient": -1.0}, "tsallis_coefficient"),
        ({"reference_kl_target": 0.1}, "reference_kl_coefficient begins with"),
        ({"reference_kl_target": 0.0, "reference_kl_coefficient": 0.1}, "reference_kl_target"),
    ],
)
def test_impossible_settings_are_refused_by_name(settings: dict[str, Any], name: str) -> None:
    with pytest.raises(ConfigError, match=name):
        replace(PPOConfig(), **settings)
