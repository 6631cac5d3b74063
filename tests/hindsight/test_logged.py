"""Learning from recorded decisions, where everything can be enumerated."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from tests.table_policy import TablePolicy
from twosome import Decision
from twosome.algorithms.actor import Actor, Samples
from twosome.algorithms.config import PPOConfig
from twosome.functional.averages import Averages
from twosome.hindsight.logged import LearningFromLog, Logged, baseline, effective, weights_of

LEFT, RIGHT = Decision("to the left", ("a", "b", "c")), Decision("to the right", ("b", "c"))
RECORDED = {LEFT: [0.5, 0.25, 0.25], RIGHT: [0.75, 0.25]}
REWARDS = {LEFT: [1.0, 3.0, -2.0], RIGHT: [5.0, 0.0]}
CONFIG = PPOConfig(
    policy_learning_rate=0.05,
    policy_minibatch=8,
    accumulation_steps=8,
    normalize_advantages="none",
    trust_region="tv",
    trust_radius=1.0,
    target_kl=None,
    entropy_coefficient=0.0,
    wait_for_reward=False,
)


def enumerated(copies: int = 4) -> Logged:
    """Every decision as often as it is met, with every action as often as the recorded policy takes it."""
    decisions, actions, recorded, rewards = [], [], [], []
    for decision, probabilities in RECORDED.items():
        for action, probability in enumerate(probabilities):
            for _ in range(round(copies * probability)):
                decisions.append(decision)
                actions.append(action)
                recorded.append([*probabilities, *[0.0] * (3 - len(probabilities))])
                rewards.append(REWARDS[decision][action])
    return Logged(decisions, torch.tensor(actions), torch.tensor(recorded).log(), torch.tensor(rewards))


def policy(like_the_recorded: bool = False) -> TablePolicy:
    made = TablePolicy(2, 3)
    logits = [[0.3, -0.4, 0.9], [-0.5, 0.2, 0.0]]
    if like_the_recorded:
        logits = [[*p, *[1.0] * (3 - len(p))] for p in RECORDED.values()]
        logits = torch.tensor(logits).log().tolist()
    with torch.no_grad():
        made.logits.copy_(torch.tensor(logits))
    made.action_log_probs([LEFT, RIGHT])  # numbers them in this order
    return made


def mean_reward(of: TablePolicy) -> Tensor:
    """What the policy earns, exactly: both decisions are met equally often."""
    log_probs = of.action_log_probs([LEFT, RIGHT])
    worth = torch.tensor([REWARDS[LEFT], [*REWARDS[RIGHT], 0.0]])
    return (log_probs.exp() * worth).sum(-1).mean()


def gradient(logged: Logged, of: TablePolicy, advantages: Tensor, config: PPOConfig = CONFIG) -> Tensor:
    samples = Samples(logged.decisions, logged.actions, logged.recorded, advantages, 0.0)
    of.logits.grad = None
    Actor(of, config).accumulate(of, samples, list(range(len(logged))), Averages())
    assert of.logits.grad is not None
    return of.logits.grad.clone()


@pytest.mark.parametrize("shift", [0.0, 10.0])
def test_the_weighted_gradient_is_that_of_the_mean_reward(shift: float) -> None:
    """Whatever does not depend on the action may be taken off the reward."""
    logged, learned = enumerated(), policy()
    mean_reward(learned).backward()
    assert learned.logits.grad is not None
    exact = learned.logits.grad.clone()
    found = -gradient(logged, learned, logged.rewards - shift)
    assert torch.allclose(found, exact, atol=1e-5 * (1 + shift))


def test_the_weighted_mean_is_the_mean_reward() -> None:
    logged, learned = enumerated(), policy()
    weights = weights_of(learned, logged)
    assert float((weights * logged.rewards).mean()) == pytest.approx(float(mean_reward(learned)), abs=1e-5)
    assert float(weights.mean()) == pytest.approx(1, abs=1e-6)


def test_from_its_own_decisions_it_learns_as_on_policy() -> None:
    """Where the recorded policy is the one that learns, all weights are 1 and the step is that of REINFORCE."""
    logged, learned = enumerated(), policy(like_the_recorded=True)
    assert torch.allclose(weights_of(learned, logged), torch.ones(len(logged), dtype=torch.float64), atol=1e-6)
    assert effective(learned, logged) == pytest.approx(len(logged))
    advantages = logged.rewards - baseline(logged)
    found = gradient(logged, learned, advantages)
    learned.logits.grad = None
    log_probs = learned.action_log_probs(logged.decisions)
    taken = log_probs.gather(-1, logged.actions.unsqueeze(-1)).squeeze(-1)
    (-(advantages * taken).mean()).backward()
    assert torch.allclose(found, learned.logits.grad, atol=1e-6)
    # And that of PPO's clipped ratio, which is at 1 there.
    assert torch.allclose(
        found, gradient(logged, learned, advantages, replace(CONFIG, trust_region="ratio")), atol=1e-6
    )


def test_the_baseline_by_hand() -> None:
    """Of a phrase: the other rewards that it got, and one of the mean of all others; summed over all phrases."""
    recorded = torch.tensor([[0.25, 0.75]]).log().expand(3, 2)
    decision = Decision("p", ("x", "y"))
    logged = Logged([decision] * 3, torch.tensor([0, 0, 1]), recorded, torch.tensor([1.0, 3.0, 8.0]))
    x, y = (3 + 5.5) / 2, (8 + 5.5) / 2
    assert float(baseline(logged)[0]) == pytest.approx(0.25 * x + 0.75 * y)
    x, y = (1 + 3 + 2) / 3, 2.0
    assert float(baseline(logged)[2]) == pytest.approx(0.25 * x + 0.75 * y)


def test_the_baseline_knows_nothing_of_its_own_decision() -> None:
    """Or else it would depend on the action, and the gradient would be another one."""
    logged = enumerated()
    for number in range(len(logged)):
        rewards, actions = logged.rewards.clone(), logged.actions.clone()
        rewards[number] += 100.0
        actions[number] = (actions[number] + 1) % len(logged.decisions[number].actions)
        changed = Logged(logged.decisions, actions, logged.recorded, rewards)
        assert float(baseline(changed)[number]) == pytest.approx(float(baseline(logged)[number]), abs=1e-4)


def test_it_learns_the_best_actions_and_repeats_itself() -> None:
    found = []
    for _ in range(2):
        learned, logged = policy(like_the_recorded=True), enumerated(16)
        learner = LearningFromLog(learned, logged, CONFIG, torch.Generator().manual_seed(1))
        for number in range(60):
            report = learner.improve(learned, number / 60)
        assert report.optimizer_steps == 1
        found.append(learned.logits.detach().clone())
        assert learned.action_log_probs([LEFT, RIGHT]).argmax(-1).tolist() == [1, 0]
        assert float(mean_reward(learned)) > 3.5
    assert torch.equal(*found)


def test_the_trust_region_bounds_how_far_it_goes() -> None:
    learned, logged = policy(like_the_recorded=True), enumerated(16)
    config = replace(CONFIG, trust_radius=0.1, policy_learning_rate=0.01)
    learner = LearningFromLog(learned, logged, config, torch.Generator().manual_seed(1))
    for number in range(100):
        learner.improve(learned, number / 100)
    probabilities = learned.action_log_probs([LEFT, RIGHT]).exp()
    recorded = torch.tensor([RECORDED[LEFT], [*RECORDED[RIGHT], 0.0]])
    # A step beyond is not undone, but none is taken any more; the optimizer's momentum goes on for a while.
    assert 0.1 < float(0.5 * (probabilities - recorded).abs().sum(-1).max()) < 0.15
