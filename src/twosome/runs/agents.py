"""Agents to act with: a trained run, a bare adapter, an untrained model, or a decision server."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from twosome.addresses import is_server
from twosome.errors import ConfigError, RunError
from twosome.functional.normalization import resolve_normalization
from twosome.models.arrival import adapter_base
from twosome.models.gguf.sameness import noted_base, same_file
from twosome.models.loading import EMBEDDED, load_adapter
from twosome.models.policy import LanguageModelPolicy
from twosome.remote import ServerSettings, server_policy
from twosome.runs.building import build_policy, check_joiner, load_base, tell_unused_template, vector_policy
from twosome.runs.directory import CONFIG_FILE, RunDirectory
from twosome.settings.config import LoadingConfig, RunConfig
from twosome.settings.wording import carried, worded
from twosome.temperature import tempered
from twosome.text.tasks import gamma_of
from twosome.tokenizing.reading import adapter_tokenizer
from twosome.tokens.prompting import Prompting
from twosome.types import Policy

LoadBase = Callable[[str, LoadingConfig], tuple[Any, Any]]
"""How a frozen base model and its tokenizer are got by name."""


@dataclass(frozen=True)
class Agent:
    """A policy that can act, and what is known about where it comes from.

    Attributes:
        policy: Acts; has no critic unless it comes from a run.
        config: The configuration of its run, or None.
        trained: Whether trained weights were loaded.
        model: The language model, where no run says more.
    """

    policy: Policy
    config: RunConfig | None
    trained: bool
    model: str = EMBEDDED

    def setting(self, task: str | None = None) -> Setting:
        """Where to measure it: on ``task``, or where it was trained.

        Raises:
            ConfigError: If there is neither.
        """
        if self.config is not None and self.config.task and task in (None, self.config.task):
            arguments = {**self.config.environment, **self.narration}
            return Setting(self.config.task, self.config.ppo.gamma, arguments)
        if task is None and self.config is not None and not self.config.task:
            raise ConfigError("this run learned from a journal, which has no task; name a --task")
        if task is None:
            raise ConfigError("an adapter does not say what it was trained on; name a --task")
        words = worded(task, {}, self.model) if self.config is None else carried(self.config.environment, task)
        return Setting(task, gamma_of(task), {**words, **self.narration})

    @property
    def language(self) -> LanguageModelPolicy:
        """The policy as the language model's that it is.

        Raises:
            ConfigError: If it reads numbers, or is a decision server.
        """
        if not isinstance(self.policy, LanguageModelPolicy):
            why = "reads the observation vector" if self.config is not None else "is a server: no scores of tokens"
            raise ConfigError(f"this agent {why}, so it has no language model here")
        return self.policy

    @property
    def narration(self) -> dict[str, str]:
        """The argument of an environment that makes it speak as the policy reads; none for words."""
        return self.config.narration if self.config is not None else {}


@dataclass(frozen=True)
class Setting:
    """A task, the discount per primitive step of its returns, and further arguments of its environment."""

    task: str
    gamma: float
    environment: Mapping[str, Any]


def load_agent(
    source: str | Path | None = None,
    *,
    model: str | None = None,
    normalization: str | None = None,
    trust_remote_code: bool = False,
    prompting: Prompting | None = None,
    joined: str | None = None,
    load: LoadBase = load_base,
    server: ServerSettings | None = None,
    temperature: float | None = None,
) -> Agent:
    """The agent of a run directory, of a PEFT adapter directory, or, with no source, the untrained model.

    Args:
        source: A run directory, an adapter directory, or None.
        model: Base model, or a decision server's address; default: the one of the run or adapter, else the embedded.
        normalization: Default: the run's, else ``word``.
        trust_remote_code: Run code that comes with the model. A run that was trained with such a model is refused
            without it: its files may be a stranger's.
        prompting: How prompts and phrases are put to a model that has no run to say so; default: joined as the
            environment says, without a template.
        joined: What the environment says that its phrases are joined with, if it says so
            (:func:`~twosome.text.trying.check_task`).
        load: How base models are got; another one may share them between agents.
        server: How a decision server is asked; default: ``model`` with its usual settings, if that is an address.
        temperature: What logits are divided by; default: what was fitted to the agent (:mod:`twosome.temperature`).

    Raises:
        ConfigError: If there is a run, and it was trained with another prompting.
        RunError: If ``source`` is neither a run nor an adapter, or a run that asks for code you do not trust.
        ModelError: If model or adapter cannot be loaded, or do not fit.
    """
    if server is not None or (model is not None and is_server(model)):
        asked = server or ServerSettings(model or "")
        remote = server_policy(asked, source=source, normalization=normalization, prompting=prompting)
        return tempered(Agent(remote, None, False, asked.url), None, temperature)
    if normalization is not None:
        resolve_normalization(normalization)
    loading = LoadingConfig(trust_remote_code=trust_remote_code)
    path = Path(source) if source is not None else None
    if path is not None and (path / CONFIG_FILE).is_file():
        run = RunDirectory.open(path)
        own = run.config.prompting
        if prompting not in (None, own):
            raise ConfigError(
                f"a run knows how its prompts are put to its model (template {own.template}, joiner {own.joiner}); "
                "leave out --template, --system and --joiner"
            )
        if run.config.policy == "language":
            check_joiner(joined, own)
        run.check_trust(trust_remote_code)
        return tempered(_run_agent(run, model, normalization, load), path, temperature)
    prompting = prompting or Prompting(joiner="none" if joined == "" else "space")
    check_joiner(joined, prompting)
    if path is None:
        base, tokenizer = load(model or EMBEDDED, loading)
        untrained = Agent(_acting(base, tokenizer, normalization, prompting), None, False, model or EMBEDDED)
        return tempered(untrained, None, temperature)
    if (path / "adapter_config.json").is_file():
        name = model or adapter_base(path) or EMBEDDED
        name = same_file(noted_base(path), name, f"the adapter in {str(path)!r}", chosen=model is not None)
        base, tokenizer = load(name, loading)
        tokenizer = adapter_tokenizer(path, base, tokenizer, trust_remote_code=trust_remote_code)
        acting = _acting(load_adapter(base, path), tokenizer, normalization, prompting)
        return tempered(Agent(acting, None, True, name), path, temperature)
    raise RunError(
        f"{str(path)!r} is neither a run (a directory with {CONFIG_FILE}) nor an adapter (with adapter_config.json)"
    )


def _acting(model: Any, tokenizer: Any, normalization: str | None, prompting: Prompting) -> LanguageModelPolicy:
    """A policy that is only asked to act."""
    tell_unused_template(tokenizer, prompting)
    return LanguageModelPolicy(model, tokenizer, normalization=normalization or "word", prompting=prompting)


def _run_agent(run: RunDirectory, model: str | None, normalization: str | None, load: LoadBase) -> Agent:
    config = run.config
    if config.policy == "vector":
        if model is not None or normalization is not None:
            raise ConfigError("this run's agent reads numbers: it has no --model and no --normalization")
        networks = vector_policy(config)
        networks.load(run.path)
        return Agent(networks, config, trained=True)
    name = run.base(model)
    if config.finetune == "full":
        return _full_agent(run, model, name, normalization, load)
    base, tokenizer = load(name, config.loading)
    policy = build_policy(config, base, tokenizer, adapter=run.adapter, normalization=normalization)
    if config.has_critic:
        policy.load_critic(run.critic)
    return Agent(policy, config, trained=True)


def _full_agent(run: RunDirectory, model: str | None, base: str, normalization: str | None, load: LoadBase) -> Agent:
    """The agent of a run that trained all weights: a model of its own, and the frozen base for its critic."""
    config = run.config
    if model is not None:
        raise ConfigError("this run trained all weights of its model; leave out --model")
    if not run.model.is_dir():
        raise RunError(f"no model in {str(run.path)!r}: expected {run.model.name}, with all weights")
    trained, tokenizer = load(str(run.model), config.loading)
    frozen, _ = load(base, config.loading)
    policy = build_policy(config, trained, tokenizer, frozen=frozen, normalization=normalization)
    if config.has_critic:
        policy.load_critic(run.critic)
    return Agent(policy, config, trained=True)
