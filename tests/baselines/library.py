"""The same agent in Stable-Baselines3: networks, hyper-parameters and environments like those of a run of ours."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import gymnasium
import torch
from sb3_contrib import MaskablePPO
from stable_baselines3 import PPO as LibraryPPO
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.logger import configure
from stable_baselines3.common.vec_env import DummyVecEnv

from twosome.baselines.vector import VectorPolicy
from twosome.cli.train import parse
from twosome.settings.config import RunConfig
from twosome.text.tasks import TASKS


class Masked(gymnasium.Wrapper[Any, Any, Any, Any]):
    """Shows the environment's mask the way the library asks for it."""

    def reset(self, **arguments: Any) -> tuple[Any, dict[str, Any]]:
        observation, self.info = self.env.reset(**arguments)
        return observation, self.info

    def step(self, action: Any) -> Any:
        observation, reward, terminated, truncated, self.info = self.env.step(action)
        return observation, reward, terminated, truncated, self.info

    def action_masks(self) -> Any:
        return self.info["action_mask"].astype(bool)


def comparable(task: str) -> RunConfig:
    """Our preset for a task, without what the library does not have."""
    config, _ = parse([task, "--preset", "ppo"])
    ppo = replace(
        config.ppo,
        anneal_learning_rates=False,
        semi_mdp=False,
        value_clip=None,
        target_kl=None,
        normalize_advantages="step",
        value_learning_rate=config.ppo.policy_learning_rate,
        value_coefficient=1.0,
    )
    return replace(config, ppo=ppo)


def is_masked(config: RunConfig) -> bool:
    """Whether the task of a run has a mask and the run uses it."""
    return TASKS[config.task].world == "virtualhome" and not config.environment.get("all_actions")


def make_library_agent(config: RunConfig, *, max_gradient_norm: float | None = None) -> BaseAlgorithm:
    """The library's PPO, or its masked one, with a run's settings.

    What has no counterpart there must be off in ours: durations, value clipping, annealing, the KL stop.
    """
    ppo = config.ppo
    assert not ppo.anneal_learning_rates
    assert ppo.value_clip is None
    assert ppo.target_kl is None
    assert ppo.normalize_advantages == "step"
    assert ppo.policy_learning_rate == ppo.value_learning_rate
    masked = is_masked(config)
    batch = ppo.policy_minibatch * ppo.accumulation_steps
    assert batch == ppo.value_minibatch

    def make() -> gymnasium.Env[Any, Any]:
        task = TASKS[config.task]
        env = gymnasium.make(task.env_id, **{**task.arguments, **config.environment})
        return Masked(env) if masked else env

    makers: list[Callable[[], gymnasium.Env[Any, Any]]] = [make] * config.num_envs
    agent = (MaskablePPO if masked else LibraryPPO)(
        "MlpPolicy",
        DummyVecEnv(makers),
        learning_rate=ppo.policy_learning_rate,
        n_steps=config.rollout_steps,
        batch_size=batch,
        n_epochs=ppo.epochs,
        gamma=ppo.gamma,
        gae_lambda=ppo.gae_lambda,
        clip_range=ppo.clip,
        ent_coef=ppo.entropy_coefficient,
        vf_coef=0.5 * ppo.value_coefficient,  # ours halves the squared error
        max_grad_norm=ppo.max_gradient_norm if max_gradient_norm is None else max_gradient_norm,
        policy_kwargs={
            "net_arch": {"pi": config.vector.hidden, "vf": config.vector.hidden},
            "optimizer_kwargs": {"eps": ppo.adam_epsilon},
        },
        seed=config.seed,
        device="cpu",
    )
    agent.set_logger(configure(None, []))
    return agent


def copy_weights(agent: BaseAlgorithm, policy: VectorPolicy) -> None:
    """Give our networks the library's weights."""
    theirs = agent.policy
    pairs = [
        (policy.actor, [*theirs.mlp_extractor.policy_net, theirs.action_net]),
        (policy.critic, [*theirs.mlp_extractor.value_net, theirs.value_net]),
    ]
    with torch.no_grad():
        for network, layers in pairs:
            for mine, other in zip(network, layers, strict=True):
                if isinstance(mine, torch.nn.Linear):
                    mine.weight.copy_(other.weight)
                    mine.bias.copy_(other.bias)
