"""One update of ours against one of a well-kept library, number by number; see also `python -m tests.baselines`."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

pytest.importorskip("sb3_contrib")

from tests.baselines.library import comparable, copy_weights, is_masked, make_library_agent
from twosome.algorithms.ppo import PPO
from twosome.baselines.vector import VectorPolicy
from twosome.rollout import Collector
from twosome.runs.building import vector_policy
from twosome.settings.config import RunConfig
from twosome.text.tasks import make_vector_task
from twosome.types import Rollout


def settings(task: str, **environment: Any) -> RunConfig:
    """A few minibatches and epochs; no gradient clipping, which the library does over actor and critic together."""
    config = comparable(task)
    ppo = replace(
        config.ppo,
        epochs=3,
        policy_minibatch=32,
        accumulation_steps=1,
        value_minibatch=32,
        max_gradient_norm=1e9,
    )
    return replace(config, num_envs=4, rollout_steps=64, environment=environment, ppo=ppo)


def fill(agent: Any, config: RunConfig, rollout: Rollout) -> None:
    """Put our rollout into the library's buffer, time limits bootstrapped the way the library does."""
    buffer, masked = agent.rollout_buffer, is_masked(config)
    actions = agent.action_space.n
    ended = (rollout.terminated | rollout.truncated).numpy()
    buffer.reset()
    for t, row in enumerate(rollout.decisions):
        observations = np.array([[float(number) for number in decision.prompt.split()] for decision in row])
        offered = [[int(phrase.split()[1]) for phrase in decision.actions] for decision in row]
        taken = np.array([ids[action] for ids, action in zip(offered, rollout.actions[t].tolist(), strict=True)])
        cut = (rollout.truncated[t] & ~rollout.terminated[t]).numpy()
        rewards = rollout.rewards[t].numpy() + config.ppo.gamma * cut * rollout.next_values[t].numpy()
        starts = ended[t - 1] if t else np.ones(len(row))
        extra: dict[str, Any] = {}
        if masked:
            extra["action_masks"] = np.array([[action in ids for action in range(actions)] for ids in offered])
        buffer.add(
            observations,
            taken[:, None],
            rewards,
            starts.astype(np.float32),
            rollout.values[t],
            rollout.log_probs[t],
            **extra,
        )
    buffer.compute_returns_and_advantage(last_values=rollout.next_values[-1], dones=ended[-1])


@pytest.mark.parametrize(
    ("task", "environment"),
    [
        ("tomato-salad", {"time_limit": 40}),
        ("food-preparation", {"step_limit": 9}),
        ("food-preparation", {"step_limit": 9, "all_actions": True}),
    ],
)
def test_an_update_moves_every_weight_as_the_library_does(
    task: str, environment: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    config = settings(task, **environment)
    agent = make_library_agent(config)
    policy = vector_policy(config)
    copy_weights(agent, policy)
    before = policy.state_dict()
    arguments = {**config.environment, **config.narration}
    with closing(make_vector_task(task, config.num_envs, arguments=arguments)) as envs:
        collector = Collector(envs, seed=0, generator=torch.Generator().manual_seed(0))
        rollout, _ = collector.collect(policy, config.rollout_steps)
    assert rollout.truncated.any()
    steps, envs_ = config.rollout_steps, config.num_envs
    shuffle = torch.Generator().manual_seed(5)
    orders = [torch.randperm(steps * envs_, generator=shuffle).numpy() for _ in range(config.ppo.epochs)]
    # The library flattens environment by environment, we decision by decision.
    theirs = iter([order % envs_ * steps + order // envs_ for order in orders])
    monkeypatch.setattr(np.random, "permutation", lambda count: next(theirs))
    fill(agent, config, rollout)
    agent.train()

    PPO(policy, config.ppo, torch.Generator().manual_seed(5)).update(policy, rollout, progress=0.0)
    expected = vector_policy(config)
    copy_weights(agent, expected)
    moved = {name: (tensor - before[name]).abs().max() for name, tensor in policy.state_dict().items()}
    assert min(moved.values()) > 1e-4
    for name, tensor in expected.state_dict().items():
        torch.testing.assert_close(policy.state_dict()[name], tensor, atol=2e-6, rtol=0, msg=name)


def test_both_start_from_weights_of_the_same_size() -> None:
    """Orthogonal matrices of the same gains, so that copying them is all that a comparison needs."""
    config = settings("food-preparation")
    mine, theirs = vector_policy(config), vector_policy(config)
    copy_weights(make_library_agent(config), theirs)
    for name, tensor in mine.state_dict().items():
        torch.testing.assert_close(tensor.norm(), theirs.state_dict()[name].norm(), msg=name)


def test_probabilities_and_values_are_the_librarys() -> None:
    config = settings("food-preparation")
    agent, policy = make_library_agent(config), VectorPolicy(11, 10)
    copy_weights(agent, policy)
    observations = agent.get_env().reset()
    masks = np.stack(agent.get_env().env_method("action_masks"))
    with torch.no_grad():
        values, log_prob, _ = agent.policy.evaluate_actions(
            torch.as_tensor(observations), torch.as_tensor(masks.argmax(-1)), masks
        )
    with closing(make_vector_task("food-preparation", 4, arguments={"narration": "numbers"})) as envs:
        collector = Collector(envs, seed=0, generator=torch.Generator())
        rollout, _ = collector.collect(policy, 1)
        log_probs = policy.action_log_probs(rollout.decisions[0])
    torch.testing.assert_close(log_probs[:, 0].detach(), log_prob)
    torch.testing.assert_close(rollout.values[0], values.flatten())
