"""Everything that defines a run, as frozen dataclasses: presets, YAML files and flags all end up here.

Nothing here imports torch, so that ``--help`` and a mistyped setting answer at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, is_dataclass
from pathlib import Path
from typing import Any, Literal, get_args, get_type_hints

import yaml

from twosome.algorithms.config import PPOConfig
from twosome.errors import ConfigError
from twosome.text.tasks import TASKS

PRESETS = ("tiny", "paper", "ppo")
PRESET_DIRECTORY = Path(__file__).parent / "presets"


@dataclass(frozen=True)
class LoadingConfig:
    """How the frozen language model is loaded and run."""

    revision: str | None = None
    """Branch, tag or commit of a hub id."""
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    """Precision of the frozen weights; the adapter is always float32."""
    device: str = "auto"
    """cpu, cuda, mps; auto takes a GPU if there is one."""
    quantization: Literal["none", "8bit", "4bit"] = "none"
    """Load the base in 8 or 4 bits through bitsandbytes."""
    trust_remote_code: bool = False
    """Run code that comes with the model. Off unless you trust its author."""
    token_budget: int | None = None
    """Most tokens in one forward pass; null for what suits the device."""


@dataclass(frozen=True)
class LoraConfig:
    """The actor's adapter."""

    rank: int = 8
    """Rank r of the update."""
    alpha: float = 16.0
    """Scale: the update is multiplied by alpha / rank."""
    targets: str | list[str] | None = None
    """Names of the layers to adapt, "all-linear", or null for PEFT's choice for the architecture."""

    def __post_init__(self) -> None:
        if self.rank < 1:
            raise ConfigError(f"lora.rank must be at least 1, got {self.rank}")


@dataclass(frozen=True)
class CriticConfig:
    """The critic's head on the last prompt token."""

    hidden: list[int] = field(default_factory=lambda: [1024, 512])
    """Widths of the hidden layers."""
    bias: bool = False
    """Whether its layers have biases; the published ones have none."""

    def __post_init__(self) -> None:
        if not self.hidden or min(self.hidden) < 1:
            raise ConfigError(f"critic.hidden must list at least one positive width, got {self.hidden}")


@dataclass(frozen=True)
class VectorConfig:
    """The two networks that read the observation vector, where policy is vector."""

    hidden: list[int] = field(default_factory=lambda: [64, 64])
    """Widths of the hidden layers, of actor and critic alike."""

    def __post_init__(self) -> None:
        if not self.hidden or min(self.hidden) < 1:
            raise ConfigError(f"vector.hidden must list at least one positive width, got {self.hidden}")


@dataclass(frozen=True)
class RunConfig:
    """One training run."""

    task: str = ""
    """A task of `twosome tasks`, or the id of a registered text environment (package:Name-v0)."""
    environment: dict[str, Any] = field(default_factory=dict)
    """Further arguments of the environment, such as layout or view_radius."""
    decisions: int = 10_000
    """Decisions to train for, over all environments; rounded up to whole updates."""
    num_envs: int = 4
    """Environments acting side by side."""
    rollout_steps: int = 32
    """Decisions in each environment between updates."""
    policy: Literal["language", "vector"] = "language"
    """Who acts: a language model that reads words, or a network that reads the observation vector."""
    finetune: Literal["lora", "full"] = "lora"
    """What of the language model trains: an adapter, or all its weights (small models only)."""
    model: str = "embedded"
    """The frozen language model: "embedded", a Hugging Face hub id, or a directory."""
    normalization: str = "word"
    """sum, token, word, byte, or package.module:function."""
    seed: int = 0
    """Seeds weights, actions, shuffling and episodes."""
    threads: int = 1
    """CPU threads of one process; with 1 the first ratio of every update is exactly 1."""
    save_every: int = 10
    """Updates between saves of adapter and critic."""
    record_every: int = 10
    """Every n-th episode is recorded with all its decisions, the others by their outcome."""
    tensorboard: bool = False
    """Also write TensorBoard event files (pip install "twosome[tensorboard]")."""
    loading: LoadingConfig = field(default_factory=LoadingConfig)
    lora: LoraConfig = field(default_factory=LoraConfig)
    critic: CriticConfig = field(default_factory=CriticConfig)
    vector: VectorConfig = field(default_factory=VectorConfig)
    ppo: PPOConfig = field(default_factory=PPOConfig)

    def __post_init__(self) -> None:
        for name in ("decisions", "num_envs", "rollout_steps", "threads", "save_every", "record_every"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} must be at least 1, got {getattr(self, name)}")
        if self.seed < 0:
            raise ConfigError(f"seed must not be negative, got {self.seed}")
        for name in ("policy", "finetune"):
            choices = get_args(get_type_hints(RunConfig)[name])
            if getattr(self, name) not in choices:
                raise ConfigError(f"{name} must be {' or '.join(choices)}, got {getattr(self, name)!r}")
        if self.ppo.policy_minibatch > self.num_envs * self.rollout_steps:
            raise ConfigError(
                f"ppo.policy_minibatch={self.ppo.policy_minibatch} is more than the num_envs x rollout_steps = "
                f"{self.num_envs * self.rollout_steps} decisions of a rollout"
            )

    @property
    def narration(self) -> dict[str, str]:
        """The argument of the environment that makes it speak as the policy reads; none for words."""
        return {"narration": "numbers"} if self.policy == "vector" else {}

    @property
    def decisions_per_update(self) -> int:
        """Decisions in one rollout."""
        return self.num_envs * self.rollout_steps

    @property
    def updates(self) -> int:
        """Updates in the run."""
        return -(-self.decisions // self.decisions_per_update)


def preset_files(task: str, preset: str) -> list[Path]:
    """The YAML files of a preset for a task, each overriding those before it: general, the world's, the task's own.

    Raises:
        ConfigError: If the preset has no such name.
    """
    if preset not in PRESETS:
        raise ConfigError(f"unknown preset {preset!r}: expected one of {', '.join(PRESETS)}")
    names = [f"{preset}.yaml"]
    if task in TASKS:
        names += [f"{TASKS[task].world}.{preset}.yaml", f"{task}.{preset}.yaml"]
    return [PRESET_DIRECTORY / name for name in names if (PRESET_DIRECTORY / name).is_file()]


def preset_config(task: str, preset: str) -> RunConfig:
    """The run that a preset makes of a task.

    Raises:
        ConfigError: If there is no such preset.
    """
    values: dict[str, Any] = {"task": task}
    for file in preset_files(task, preset):
        for name, value in yaml.safe_load(file.read_text(encoding="utf-8")).items():
            grouped = isinstance(values.get(name), dict) and is_dataclass(get_type_hints(RunConfig).get(name))
            values[name] = {**values[name], **value} if grouped else value
    return from_mapping(values)


def to_yaml(config: RunConfig) -> str:
    """The configuration as YAML that ``--config`` reads back."""
    return yaml.safe_dump(asdict(config), sort_keys=False, allow_unicode=True)


def from_mapping(values: Mapping[str, Any]) -> RunConfig:
    """A configuration from nested dictionaries, as :func:`to_yaml` writes them.

    Raises:
        ConfigError: If a setting is unknown, empty or contradictory.
    """
    if not isinstance(values, Mapping):
        raise ConfigError(f"a configuration must be a mapping of settings, got {type(values).__name__}")
    check_shape(RunConfig, values)
    parts: dict[str, Any] = {name: kind for name, kind in get_type_hints(RunConfig).items() if is_dataclass(kind)}
    try:
        nested = {name: kind(**values[name]) for name, kind in parts.items() if name in values}
        return RunConfig(**{**values, **nested})
    except TypeError as error:
        raise ConfigError(f"the configuration does not fit this version: {error}") from None


def check_shape(kind: Any, values: Mapping[str, Any], prefix: str = "") -> None:
    """Refuse a group of settings that is no mapping, and null where a setting must have a value.

    Args:
        kind: The configuration dataclass that ``values`` are meant for.
        values: Settings by name; some may be missing.
        prefix: Name of the group they are in, with a dot.

    Raises:
        ConfigError: Naming the setting.
    """
    for name, hint in get_type_hints(kind).items():
        if name not in values:
            continue
        value = values[name]
        if is_dataclass(hint):
            if not isinstance(value, Mapping):
                raise ConfigError(f"{prefix}{name} must be a mapping of settings, got {value!r}")
            check_shape(hint, value, f"{prefix}{name}.")
        elif value is None and type(None) not in get_args(hint):
            raise ConfigError(f"{prefix}{name} must have a value, got null")
