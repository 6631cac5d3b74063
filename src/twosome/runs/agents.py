"""Agents to act with: a trained run, a bare adapter, or an untrained model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from twosome.errors import ConfigError, RunError
from twosome.functional.normalization import resolve_normalization
from twosome.models.loading import EMBEDDED, adapter_base, load_adapter
from twosome.models.policy import LanguageModelPolicy
from twosome.runs.config import LoadingConfig, RunConfig
from twosome.runs.directory import CONFIG_FILE, RunDirectory
from twosome.runs.trainer import build_policy, load_base
from twosome.text.tasks import TASKS, make_task


@dataclass(frozen=True)
class Agent:
    """A policy that can act, and what is known about where it comes from.

    Attributes:
        policy: Acts; has no critic unless it comes from a run.
        config: The configuration of its run, or None.
        trained: Whether an adapter was loaded.
    """

    policy: LanguageModelPolicy
    config: RunConfig | None
    trained: bool

    def setting(self, task: str | None = None) -> Setting:
        """Where to measure it: on ``task``, or where it was trained.

        Raises:
            ConfigError: If there is neither.
        """
        if self.config is not None and task in (None, self.config.task):
            return Setting(self.config.task, self.config.ppo.gamma, self.config.environment)
        if task is None:
            raise ConfigError("an adapter does not say what it was trained on; name a --task")
        return Setting(task, TASKS[task].gamma if task in TASKS else 1.0, {})


@dataclass(frozen=True)
class Setting:
    """A task, the discount per primitive step of its returns, and further arguments of its environment."""

    task: str
    gamma: float
    environment: Mapping[str, Any]


def check_task(task: str, environment: Mapping[str, Any] | None = None) -> None:
    """Make the task once, so that a mistyped one is told before a model is loaded.

    Raises:
        ConfigError: If it cannot be made.
    """
    make_task(task, **(environment or {})).close()


def load_agent(
    source: str | Path | None = None, *, model: str | None = None, normalization: str | None = None
) -> Agent:
    """The agent of a run directory, of a PEFT adapter directory, or, with no source, the untrained model.

    Args:
        source: A run directory, an adapter directory, or None.
        model: Base model; default: the one of the run or adapter, else the embedded one.
        normalization: Default: the run's, else ``word``.

    Raises:
        RunError: If ``source`` is neither a run nor an adapter.
        ModelError: If model or adapter cannot be loaded, or do not fit.
    """
    if normalization is not None:
        resolve_normalization(normalization)
    if source is None:
        base, tokenizer = load_base(model or EMBEDDED, LoadingConfig())
        return Agent(LanguageModelPolicy(base, tokenizer, normalization=normalization or "word"), None, trained=False)
    path = Path(source)
    if (path / CONFIG_FILE).is_file():
        return _run_agent(RunDirectory.open(path), model, normalization)
    if (path / "adapter_config.json").is_file():
        base, tokenizer = load_base(model or adapter_base(path) or EMBEDDED, LoadingConfig())
        adapted = load_adapter(base, path)
        return Agent(LanguageModelPolicy(adapted, tokenizer, normalization=normalization or "word"), None, trained=True)
    raise RunError(
        f"{str(path)!r} is neither a run (a directory with {CONFIG_FILE}) nor an adapter (with adapter_config.json)"
    )


def _run_agent(run: RunDirectory, model: str | None, normalization: str | None) -> Agent:
    config = run.config
    base, tokenizer = load_base(model or config.model, config.loading)
    policy = build_policy(
        config, base, tokenizer, adapter=run.adapter, normalization=normalization or config.normalization
    )
    policy.load_critic(run.critic)
    return Agent(policy, config, trained=True)
