"""Everything that defines a run, as frozen dataclasses: presets, YAML files and flags all end up here.

Nothing here imports torch, so that ``--help`` and a mistyped setting answer at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, is_dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import yaml

from twosome.addresses import check_is_no_server
from twosome.algorithms import ALGORITHMS, SETTINGS, WITHOUT_CRITIC
from twosome.algorithms.config import (
    AllActionsConfig,
    FittedConfig,
    FullVocabularyConfig,
    GroupsConfig,
    PPOConfig,
    TrieConfig,
)
from twosome.errors import ConfigError
from twosome.settings.notation import HOLDS_ITSELF, settings_of, with_numbers
from twosome.settings.shape import check_shape, hints_of, without_servers
from twosome.text.tasks import find_task
from twosome.tokens.prompting import Prompting

PRESETS = ("tiny", "small", "paper", "ppo", "fitted")
FREE = {"env_processes", "env_timeout", "rank_timeout", "loading.shard"}
"""Settings that change no number, by their dotted names."""
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
    path: Literal["auto", "packed", "masked", "cached", "padded"] = "auto"
    """How the model is read; auto takes the fastest way that agrees with one sequence at a time."""
    attention: Literal["segments", "sparse"] = "segments"
    """How packs attend: segment by segment, or all at once through a block-sparse kernel, which takes a GPU."""
    probe_again: bool = False
    """Try again which way of reading is right, rather than take what was found out before for the same model."""
    recompute: bool = False
    """Save memory in the backward pass (gradient checkpointing): layers read again rather than keep activations."""
    keep_readings: bool = False
    """Where an actor step takes the whole rollout: keep of what is read while acting what its gradient takes, so that
    the first step reads nothing again. Faster for large models; as much memory as memory_megabytes."""
    shard: bool = False
    """Where several processes train: each keeps a piece of the frozen layers, put together while they are read."""
    memory_megabytes: int = 256
    """Most memory for each kind of thing that is remembered; the least recently used goes first."""

    def __post_init__(self) -> None:
        for name in ("token_budget", "memory_megabytes"):
            if getattr(self, name) is not None and getattr(self, name) < 1:
                raise ConfigError(f"loading.{name} must be at least 1, got {getattr(self, name)}")


@dataclass(frozen=True)
class LoraConfig:
    """The actor's adapter."""

    rank: int = 8
    """Rank r of the update."""
    alpha: float = 16.0
    """Scale: the update is multiplied by alpha / rank."""
    targets: str | list[str] | None = None
    """Names of the layers to adapt, "all-linear", or null for PEFT's choice for the architecture."""
    top_layers: int | None = None
    """Adapt at most so many layers, the last; what those below make of a decision is computed once. Null for all."""

    def __post_init__(self) -> None:
        if self.top_layers is not None and self.top_layers < 1:
            raise ConfigError(f"lora.top_layers must be at least 1, or null for all, got {self.top_layers}")
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
class JournalConfig:
    """What a run learned from instead of from practice: `twosome train --from` says it, nothing else does."""

    file: str | None = None
    """A journal of decisions that were served, with their outcomes; null for a run that practises a task."""
    sha256: str | None = None
    """Of the journal as it was read."""
    held_out: float = 0.25
    """Share of the decisions that is only measured on."""
    least_effective: float = 30.0
    """Fewest held-out decisions, by weight, from which an estimate is called sound."""

    def __post_init__(self) -> None:
        if not 0 < self.held_out < 1:
            raise ConfigError(f"journal.held_out must be between 0 and 1, got {self.held_out}")
        if not self.least_effective >= 2:
            raise ConfigError(f"journal.least_effective must be at least 2, got {self.least_effective}")


@dataclass(frozen=True)
class RunConfig:
    """One training run."""

    task: str = ""
    """A task of `twosome tasks`, or the id of a registered text environment (package:Name-v0)."""
    environment: dict[str, Any] = field(default_factory=dict)
    """Further arguments of the environment, such as layout or view_radius; servers (HOST:PORT) if elsewhere."""
    decisions: int = 10_000
    """Decisions to train for, over all environments; rounded up to whole updates."""
    num_envs: int = 4
    """Environments acting side by side."""
    env_processes: bool = False
    """Each environment in a process of its own: for simulators that are slow, or that may crash or hang."""
    env_timeout: float = 300.0
    """Seconds that such a process may take to be made, for a reset or for a step, before the run is stopped."""
    rollout_steps: int = 32
    """Decisions in each environment between updates."""
    policy: Literal["language", "vector"] = "language"
    """Who acts: a language model that reads words, or a network that reads the observation vector."""
    finetune: Literal["lora", "full"] = "lora"
    """What of the language model trains: an adapter, or all its weights (small models only)."""
    model: str = "embedded"
    """The frozen language model: "embedded", a Hugging Face hub id, a directory, or a GGUF file."""
    start: str | None = None
    """A run or an adapter whose weights the actor starts from; its settings of lora, critic and model are taken."""
    normalization: str = "word"
    """sum, token, word, byte; one of them divided by a number, which flattens the policy (sum/3); or
    package.module:function."""
    prompting: Prompting = field(default_factory=Prompting)
    long_prompts: Literal["refuse", "keep_end", "keep_start"] = "refuse"
    """What becomes of a prompt that does not fit into the model's context with its longest action: refused, or cut to
    its last or first tokens; metrics then count cut_prompts."""
    seed: int = 0
    """Seeds weights, actions, shuffling and episodes."""
    threads: int = 1
    """CPU threads of one process; with 1 the first ratio of every update is exactly 1 for a model read in packs."""
    shares: int | None = None
    """Parts, summed in order, in which a step's gradient is taken; null: one for each process it begins with."""
    rank_timeout: float = 600.0
    """Seconds that a process of several may keep the others waiting, before the run is stopped."""
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
    algorithm: str = "ppo"
    """What improves the policy: ppo, groups, trie, full_vocabulary, fitted or all_actions; its settings are the group
    of the same name, and ppo's."""
    ppo: PPOConfig = field(default_factory=PPOConfig)
    groups: GroupsConfig = field(default_factory=GroupsConfig)
    trie: TrieConfig = field(default_factory=TrieConfig)
    full_vocabulary: FullVocabularyConfig = field(default_factory=FullVocabularyConfig)
    fitted: FittedConfig = field(default_factory=FittedConfig)
    all_actions: AllActionsConfig = field(default_factory=AllActionsConfig)
    journal: JournalConfig = field(default_factory=JournalConfig)

    def __post_init__(self) -> None:
        for name in ("decisions", "num_envs", "rollout_steps", "threads", "save_every", "record_every"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} must be at least 1, got {getattr(self, name)}")
        for name in ("env_timeout", "rank_timeout"):
            if not 0 < getattr(self, name) < float("inf"):
                raise ConfigError(f"{name} must be a positive number of seconds, got {getattr(self, name)}")
        if self.shares is not None and self.shares < 1:
            raise ConfigError(f"shares must be at least 1, or null for one a process, got {self.shares}")
        if self.loading.shard and (self.finetune == "full" or self.loading.quantization != "none"):
            raise ConfigError(
                "loading.shard takes a frozen base that is not quantised: leave it out, or set finetune to lora and "
                "loading.quantization to none"
            )
        if (self.shares or 1) > 1 and self.loading.keep_readings:
            raise ConfigError(
                f"loading.keep_readings does not go with shares={self.shares}: a share reads for its gradient anew; "
                "leave one of them out"
            )
        if self.seed < 0:
            raise ConfigError(f"seed must not be negative, got {self.seed}")
        for name in ("policy", "finetune"):
            choices = get_args(hints_of(RunConfig)[name])
            if getattr(self, name) not in choices:
                raise ConfigError(f"{name} must be {' or '.join(choices)}, got {getattr(self, name)!r}")
        if self.start is not None and (self.policy != "language" or self.finetune != "lora"):
            raise ConfigError("start names an adapter, which only policy=language with finetune=lora has; leave it out")
        check_is_no_server(self.model)
        if self.algorithm not in ALGORITHMS:
            raise ConfigError(f"algorithm must be {' or '.join(ALGORITHMS)}, got {self.algorithm!r}")
        if self.num_envs % self.group_size:
            raise ConfigError(
                f"num_envs={self.num_envs} environments cannot be divided into groups.size={self.group_size}; give a "
                "multiple of it"
            )
        if self.algorithm != "fitted" and self.ppo.policy_minibatch > self.num_envs * self.rollout_steps:
            raise ConfigError(
                f"ppo.policy_minibatch={self.ppo.policy_minibatch} is more than the num_envs x rollout_steps = "
                f"{self.num_envs * self.rollout_steps} decisions of a rollout"
            )

    @property
    def narration(self) -> dict[str, str]:
        """The argument of the environment that makes it speak as the policy reads; none for words."""
        return {"narration": "numbers"} if self.policy == "vector" else {}

    @property
    def algorithm_settings(self) -> list[Any]:
        """The groups of settings of the algorithm that the run uses."""
        return [getattr(self, name) for name in SETTINGS.get(self.algorithm, (self.algorithm,))]

    @property
    def has_critic(self) -> bool:
        """Whether the algorithm asks for values; episodes of one decision have no need of them."""
        return self.algorithm not in WITHOUT_CRITIC and self.journal.file is None

    @property
    def group_size(self) -> int:
        """How many environments begin their episodes alike."""
        return self.groups.size if self.algorithm == "groups" else 1

    @property
    def decisions_per_update(self) -> int:
        """Decisions in one rollout."""
        return self.num_envs * self.rollout_steps

    @property
    def updates(self) -> int:
        """Updates in the run."""
        return -(-self.decisions // self.decisions_per_update)


def usual_preset(model: str | None) -> str:
    """The preset that is meant if none is named: ``tiny`` for the embedded model (or none), ``small`` for any other."""
    return "tiny" if model in (None, RunConfig.model) else "small"


def preset_files(task: str, preset: str) -> list[Path]:
    """The YAML files of a preset for a task, each overriding those before it: general, the world's, the task's own.

    Raises:
        ConfigError: If the preset has no such name.
    """
    if preset not in PRESETS:
        raise ConfigError(f"unknown preset {preset!r}: expected one of {', '.join(PRESETS)}")
    known = find_task(task)
    names = [f"{preset}.yaml", *([f"{known.world}.{preset}.yaml", f"{task}.{preset}.yaml"] if known else [])]
    return [PRESET_DIRECTORY / name for name in names if (PRESET_DIRECTORY / name).is_file()]


def same_numbers(config: RunConfig, other: RunConfig) -> bool:
    """Whether two configurations give the same numbers: all is equal but where environments are, and what is kept."""
    same = without_servers(config.environment) == without_servers(other.environment)
    return same and differing(config, other) <= {*FREE, "environment"}


def differing(config: RunConfig, other: RunConfig) -> set[str]:
    """Dotted names of the settings that are not the same in both; the environment's arguments are one setting."""
    here, there = flat(config), flat(other)
    return {name for name in here if here[name] != there[name]}


def flat(config: Any, prefix: str = "") -> dict[str, Any]:
    """Settings by their dotted names."""
    settings: dict[str, Any] = {}
    for name, value in vars(config).items():
        settings |= flat(value, f"{prefix}{name}.") if is_dataclass(value) else {f"{prefix}{name}": value}
    return settings


def preset_config(task: str, preset: str) -> RunConfig:
    """The run that a preset makes of a task.

    Raises:
        ConfigError: If there is no such preset.
    """
    values: dict[str, Any] = {"task": task}
    for file in preset_files(task, preset):
        for name, value in settings_of(file).items():
            grouped = isinstance(values.get(name), dict) and is_dataclass(hints_of(RunConfig).get(name))
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
    try:
        values = with_numbers(RunConfig, values)
    except RecursionError:
        raise ConfigError(HOLDS_ITSELF) from None
    check_shape(RunConfig, values)
    parts: dict[str, Any] = {name: kind for name, kind in hints_of(RunConfig).items() if is_dataclass(kind)}
    try:
        nested = {name: kind(**values[name]) for name, kind in parts.items() if name in values}
        return RunConfig(**{**values, **nested})
    except TypeError as error:
        raise ConfigError(f"the configuration does not fit this version: {error}") from None
