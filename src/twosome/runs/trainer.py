"""The main loop: collect, improve, record, save."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from twosome.algorithms.ppo import PPO
from twosome.functional.normalization import resolve_normalization
from twosome.models.loading import add_adapter, load_adapter, load_model
from twosome.models.policy import Critic, LanguageModelPolicy
from twosome.rollout import Collector
from twosome.runs.config import LoadingConfig, RunConfig
from twosome.runs.directory import RunDirectory
from twosome.runs.files import check_free
from twosome.runs.recorder import Recorder
from twosome.text.tasks import make_vector_task


@dataclass(frozen=True)
class Progress:
    """What a progress display needs after every update.

    Attributes:
        decisions: Decisions so far.
        total: Decisions the run will take.
        seconds: Seconds of training so far.
        metrics: The update's line of ``metrics.jsonl``.
    """

    decisions: int
    total: int
    seconds: float
    metrics: dict[str, Any]

    @property
    def rate(self) -> float:
        """Decisions per second."""
        return self.decisions / max(self.seconds, 1e-9)

    @property
    def seconds_left(self) -> float:
        """Time left at that rate."""
        return (self.total - self.decisions) / self.rate


def train(
    config: RunConfig, directory: Path, on_update: Callable[[Progress], None] = lambda progress: None
) -> LanguageModelPolicy:
    """Align a language model with an environment by practice.

    Interrupting it (KeyboardInterrupt) leaves a usable run of what was learned so far, and passes the interrupt on.

    Args:
        config: The run.
        directory: Where it is written; must be new or empty.
        on_update: Called after every update.

    Returns:
        The trained policy.

    Raises:
        RunError: If the directory is occupied or cannot be written.
        ConfigError, ModelError: If the task or the model cannot be made.
    """
    # What can be refused is refused before a large model is loaded.
    check_free(directory)
    resolve_normalization(config.normalization)
    torch.set_num_threads(config.threads)
    weights_seed, action_seed, shuffle_seed, episode_seed = seeds(config.seed, 4)
    with closing(make_vector_task(config.task, config.num_envs, arguments=config.environment)) as envs:
        torch.manual_seed(weights_seed)
        policy = build_policy(config, *load_base(config.model, config.loading))
        algorithm = PPO(policy, config.ppo, torch.Generator().manual_seed(shuffle_seed))
        collector = Collector(envs, seed=episode_seed, generator=torch.Generator().manual_seed(action_seed))
        run = RunDirectory.create(directory, config, policy)
        with run.saving(policy), run.recorder() as recorder:
            _loop(config, policy, algorithm, collector, recorder, run, on_update)
    return policy


def _loop(
    config: RunConfig,
    policy: LanguageModelPolicy,
    algorithm: PPO,
    collector: Collector,
    recorder: Recorder,
    run: RunDirectory,
    on_update: Callable[[Progress], None],
) -> None:
    """Collect, improve, record, save; until the decisions are used up."""
    began = time.monotonic()
    total = config.updates * config.decisions_per_update
    for update in range(1, config.updates + 1):
        rollout, episodes = collector.collect(policy, config.rollout_steps)
        report = algorithm.update(policy, rollout, progress=(update - 1) / config.updates)
        decisions, seconds = update * config.decisions_per_update, time.monotonic() - began
        metrics = recorder.update(update, decisions, seconds, report, episodes)
        if update % config.save_every == 0:
            run.save(policy)
        on_update(Progress(decisions, total, seconds, metrics))


def build_policy(
    config: RunConfig, base: Any, tokenizer: Any, *, adapter: Path | None = None, normalization: str | None = None
) -> LanguageModelPolicy:
    """The policy a configuration describes: a new adapter, or a saved one, and a new critic on a frozen base.

    Raises:
        ModelError: If the model cannot be adapted or scored exactly.
    """
    lora = config.lora
    critic = Critic(base.config.get_text_config().hidden_size, config.critic.hidden, config.critic.bias)
    if adapter is None:
        model = add_adapter(base, rank=lora.rank, alpha=lora.alpha, targets=lora.targets)
    else:
        model = load_adapter(base, adapter)
    return LanguageModelPolicy(
        model,
        tokenizer,
        critic,
        normalization=normalization or config.normalization,
        token_budget=config.loading.token_budget,
    )


def load_base(name: str, config: LoadingConfig) -> tuple[Any, Any]:
    """A frozen base model and its tokenizer, loaded as configured."""
    return load_model(
        name,
        revision=config.revision,
        dtype=config.dtype,
        device=config.device,
        quantization=config.quantization,
        trust_remote_code=config.trust_remote_code,
    )


def seeds(seed: int, count: int) -> list[int]:
    """Independent seeds derived from one."""
    return [int(state) for state in np.random.SeedSequence(seed).generate_state(count)]
