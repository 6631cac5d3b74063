"""Policies as a configuration describes them: a language model and its adapter, or networks on a vector."""

from __future__ import annotations

import warnings
from functools import partial
from pathlib import Path
from typing import Any

from twosome.baselines.vector import VectorPolicy
from twosome.distributed.policy import SharedPolicy
from twosome.distributed.ranks import Ranks
from twosome.errors import ConfigError
from twosome.models.loading import add_adapter, load_adapter, load_model, unfreeze
from twosome.models.policy import Critic, LanguageModelPolicy
from twosome.scoring.memory import MEGABYTE
from twosome.settings.config import LoadingConfig, RunConfig
from twosome.text.environment import TextEnv
from twosome.text.tasks import open_task
from twosome.text.telling import vector_shape
from twosome.tokens.chat import has_template
from twosome.tokens.prompting import JOINERS, Prompting
from twosome.types import OnStage, TrainablePolicy, unheard


def new_policy(config: RunConfig, on_stage: OnStage = unheard, ranks: Ranks | None = None) -> TrainablePolicy:
    """The policy a configuration describes, as training begins with it; shared out among ``ranks``.

    Raises:
        ConfigError, ModelError: If it cannot be made.
    """
    if config.policy == "vector":
        return vector_policy(config)
    on_stage(f"loading {config.model}")
    base, tokenizer = load_base(config.model, config.loading)
    tell_unused_template(tokenizer, config.prompting)
    on_stage(f"finding out how {config.model} is read")
    return build_policy(config, base, tokenizer, ranks=ranks)


def build_policy(
    config: RunConfig,
    base: Any,
    tokenizer: Any,
    *,
    adapter: Path | None = None,
    frozen: Any = None,
    normalization: str | None = None,
    ranks: Ranks | None = None,
) -> LanguageModelPolicy:
    """The language policy a configuration describes: what trains, or a saved adapter, and a new critic if there is one.

    Args:
        config: The run.
        base: A frozen model; with ``finetune=full`` it is the one that trains, and a copy stays frozen.
        tokenizer: Its tokenizer.
        adapter: Directory of a saved adapter to act with; None to train.
        frozen: The model as it was, if ``base`` is one all of whose weights were trained.
        normalization: Instead of the run's.
        ranks: The processes that share its reading, where it trains.

    Raises:
        ModelError: If the model cannot be adapted or scored exactly.
    """
    lora, loading = config.lora, config.loading
    critic = None
    if config.has_critic:
        critic = Critic(base.config.get_text_config().hidden_size, config.critic.hidden, config.critic.bias)
    if adapter is not None:
        model = load_adapter(base, adapter)
    elif frozen is not None:
        model = base
    elif config.finetune == "full":
        model, frozen = base, unfreeze(base)
    else:
        model = add_adapter(base, rank=lora.rank, alpha=lora.alpha, targets=lora.targets, top_layers=lora.top_layers)
    one_step = config.ppo.policy_minibatch * config.ppo.accumulation_steps >= config.decisions_per_update
    shares = config.shares or 1
    make: Any = LanguageModelPolicy
    if ranks is not None and (ranks.count > 1 or shares > 1):
        make = partial(SharedPolicy, shares=shares, ranks=ranks, sharded=loading.shard)
    return make(  # type: ignore[no-any-return]
        model,
        tokenizer,
        critic,
        normalization=normalization or config.normalization,
        path=None if loading.path == "auto" else loading.path,
        token_budget=loading.token_budget,
        lean=loading.recompute,
        memory_limit=loading.memory_megabytes * MEGABYTE,
        long_prompts=config.long_prompts,
        attention=loading.attention,
        probe_again=loading.probe_again,
        frozen=frozen,
        prompting=config.prompting,
        keep_readings=loading.keep_readings and one_step,
    )


def tell_unused_template(tokenizer: Any, prompting: Prompting) -> None:
    """Say that a tokenizer has a chat template that is not used: a model that was instructed may expect it."""
    if prompting.template == "none" and has_template(tokenizer):
        warnings.warn(
            "the tokenizer has a chat template, which is not used: phrases read on from the prompt; if the model was "
            "instructed through it, set prompting.template (--template) to chat",
            stacklevel=2,
        )


def check_joiner(said: str | None, prompting: Prompting) -> None:
    """Refuse to join phrases otherwise than their environment says.

    Args:
        said: What it says they are joined with; None if it says nothing.
        prompting: What is set.

    Raises:
        ConfigError: If that is something else. A chat template joins nothing, so nothing is refused there.
    """
    if prompting.template == "none" and said is not None and said != JOINERS[prompting.joiner]:
        own = next(name for name, between in JOINERS.items() if between == said)
        raise ConfigError(
            f"the environment says that its phrases are joined to prompts with {said!r}, but prompting.joiner is "
            f"{prompting.joiner}; set it (--prompting.joiner, --joiner) to {own}"
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


def vector_policy(config: RunConfig) -> VectorPolicy:
    """New networks of the size that the task of ``config`` needs.

    Raises:
        ConfigError: If the task does not show numbers.
    """
    with open_task(config.task, **config.environment) as env:
        text = env.unwrapped
        if not isinstance(text, TextEnv):
            raise ConfigError(
                f"{config.task!r} has no observation vector: it is not made of an environment and a narrator"
            )
        inputs, actions = vector_shape(text.env)
    return VectorPolicy(inputs, actions, config.vector.hidden)
