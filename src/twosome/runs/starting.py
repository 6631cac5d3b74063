"""Runs that start from an adapter that was trained before: ``twosome train TASK --start RUN_OR_ADAPTER``.

The shape of the adapter, and with a run its critic's, are settings of the new run like any other, and are taken from
the start; so a resumed run is made from its own configuration and checkpoint, and needs the start no more.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from twosome.errors import ConfigError, RunError
from twosome.models.arrival import adapter_base
from twosome.models.gguf.sameness import noted_base, same_file
from twosome.models.policy import LanguageModelPolicy
from twosome.models.saving import ADAPTER_DIRECTORY, CRITIC_FILE
from twosome.runs.directory import CONFIG_FILE, RunDirectory
from twosome.settings.config import LoraConfig, RunConfig
from twosome.settings.wording import wording_for
from twosome.text.tasks import TASKS
from twosome.types import TrainablePolicy
from twosome.wordings.choosing import FIRST

_SETTINGS, _WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
_OF_NO_EFFECT = {"base_model_name_or_path", "revision", "peft_version", "inference_mode", "init_lora_weights"}
_OF_NO_EFFECT |= {"task_type", "auto_mapping", "lora_dropout", "loftq_config", "megatron_core", "fan_in_fan_out"}
"""What an adapter's file says besides what it computes: where it came from, and how it was trained."""
_SETTLED = {"r": "lora.rank", "lora_alpha": "lora.alpha", "layers_to_transform": "lora.top_layers"}
_COMPARED_BY_WEIGHTS = {"target_modules"}


@dataclass(frozen=True)
class Start:
    """An adapter to start from.

    Attributes:
        adapter: Its directory.
        critic: The critic's file, or None for a new one.
        config: The configuration of its run, or None.
    """

    adapter: Path
    critic: Path | None
    config: RunConfig | None

    @property
    def lora(self) -> LoraConfig:
        """The adapter's settings, as a run has them."""
        if self.config is not None:
            return self.config.lora
        content = _adapter_settings(self.adapter)
        targets, layers = content.get("target_modules"), content.get("layers_to_transform")
        try:
            return LoraConfig(
                rank=int(content["r"]),
                alpha=float(content["lora_alpha"]),
                targets=sorted(targets) if isinstance(targets, list) else targets,
                top_layers=len(layers) if isinstance(layers, list) else None,
            )
        except (KeyError, TypeError, ValueError) as error:
            raise RunError(f"{_SETTINGS} in {str(self.adapter)!r} is none of a LoRA adapter: {error}") from None


def find_start(place: str) -> Start:
    """What is in ``place``: a run, its best policy, or a bare adapter.

    Raises:
        RunError: If it is neither, or of a run that trained no adapter.
    """
    path = Path(place)
    config = RunDirectory.open(path).config if (path / CONFIG_FILE).is_file() else None
    if config is not None and (config.policy != "language" or config.finetune != "lora"):
        raise RunError(
            f"the run in {place!r} trained no adapter (policy={config.policy}, finetune={config.finetune}); expected "
            "one that did; where all weights of a model trained, name its model/ with --model instead"
        )
    adapter = path / ADAPTER_DIRECTORY if config is not None else path
    missing = [name for name in (_SETTINGS, _WEIGHTS) if not (adapter / name).is_file()]
    if missing:
        raise RunError(f"nothing to start from in {place!r}: expected a run or an adapter, but {missing[0]} is missing")
    critic = path / CRITIC_FILE
    return Start(adapter, critic if config is not None and critic.is_file() else None, config)


def adopt(config: RunConfig, explicit: Collection[str]) -> RunConfig:
    """``config`` with the settings that its start decides.

    Args:
        config: A run with a start.
        explicit: Dotted names of the settings that were asked for by name, rather than by a preset.

    Raises:
        ConfigError: If one of these is not what the start has.
        RunError: If there is nothing to start from.
    """
    assert config.start is not None
    start = find_start(config.start)
    decided: dict[str, Any] = {f"lora.{name}": getattr(start.lora, name) for name in vars(start.lora)}
    model = start.config.model if start.config is not None else adapter_base(start.adapter)
    if "model" not in explicit and model:
        decided["model"] = same_file(noted_base(start.adapter), model, f"the start {config.start!r}")
    if start.critic is not None and start.config is not None:
        decided |= {f"critic.{name}": getattr(start.config.critic, name) for name in vars(start.config.critic)}
    if start.config is not None:  # its adapter and its critic know prompts that are put in this way
        decided |= {f"prompting.{name}": value for name, value in vars(start.config.prompting).items()}
        if "prompting.joiner" in explicit:  # another language may have none
            del decided["prompting.joiner"]
    groups: dict[str, Any] = {}
    for name, value in decided.items():
        group, _, member = name.rpartition(".")
        if name in explicit and (given := getattr(getattr(config, group), member)) != value:
            raise ConfigError(
                f"{name} is {given!r}, but the start {config.start!r} has {value!r}: leave {name} out, or start anew"
            )
        if group:
            groups[group] = replace(groups.get(group, getattr(config, group)), **{member: value})
        else:
            groups[name] = value
    adopted = replace(config, **groups)
    if start.config is None or not {config.task, start.config.task} <= set(TASKS) or "wording" in config.environment:
        return adopted
    words = start.config.environment.get("wording", FIRST)  # those that it practised in
    if words == wording_for(adopted.model):  # goes without saying
        return adopted
    return replace(adopted, environment={**adopted.environment, "wording": words})


def load_start(policy: TrainablePolicy, config: RunConfig) -> None:
    """Give the fresh ``policy`` of ``config`` the weights of its start: the adapter's, and the critic's if any.

    Raises:
        ConfigError: If the adapter is not the one that the settings describe, naming the setting.
        RunError: If there is nothing to start from, or a weight is missing or no number.
    """
    assert config.start is not None
    start = find_start(config.start)
    assert isinstance(policy, LanguageModelPolicy)
    same_file(noted_base(start.adapter), config.model, f"the start {config.start!r}", chosen=True)
    _check_settings(_adapter_settings(start.adapter), policy.model.peft_config["default"].to_dict(), config)
    state = {name: weight for name, weight in policy.state_dict().items() if name.startswith("critic.")}
    fresh = {name: weight for name, weight in policy.state_dict().items() if name not in state}
    state |= _fitting(_read(start.adapter / _WEIGHTS), fresh, config)
    policy.load_state_dict(state)
    if start.critic is not None and config.has_critic:
        policy.load_critic(start.critic)


def describe_start(config: RunConfig) -> str:
    """What a run with a start begins with, in a sentence."""
    assert config.start is not None
    critic, staying = "no", "the reference stays"
    if config.has_critic:
        critic = "its" if find_start(config.start).critic is not None else "a new"
        staying = "the reference, and what the critic reads, stay"
    return (
        f"starting from the adapter in {config.start} (lora.rank {config.lora.rank}, lora.alpha {config.lora.alpha:g}) "
        f"with {critic} critic; {staying} {config.model} with the adapter off"
    )


def _check_settings(theirs: Mapping[str, Any], ours: Mapping[str, Any], config: RunConfig) -> None:
    """Refuse an adapter that computes something else than the settings say, with weights of the same shape or not."""
    for name in theirs.keys() - _OF_NO_EFFECT - _COMPARED_BY_WEIGHTS:
        value, here = theirs[name], ours.get(name)
        if (value or None) == (here or None):
            continue
        if name in _SETTLED:
            raise ConfigError(
                f"{_SETTLED[name]} does not fit the start {config.start!r}: its {name} is {value!r}, and the settings "
                f"make it {here!r}"
            )
        raise ConfigError(
            f"the start {config.start!r} has {name}={value!r}, which a run's adapter cannot have; expected a plain "
            "LoRA adapter"
        )


def _fitting(weights: Mapping[str, Tensor], fresh: Mapping[str, Tensor], config: RunConfig) -> dict[str, Tensor]:
    """The weights under the names of the policy's, if they are the same in name and shape, and numbers."""
    prefix = "adapter."
    found = {f"{prefix}{name}": weight.float() for name, weight in weights.items()}
    if found.keys() != fresh.keys():
        odd = sorted(found.keys() ^ fresh.keys())
        raise ConfigError(
            f"lora.targets or model does not fit the start {config.start!r}: {len(odd)} weights are on one side only, "
            f"such as {odd[0].removeprefix(prefix)}"
        )
    for name, weight in found.items():
        if weight.shape != fresh[name].shape:
            raise ConfigError(
                f"model does not fit the start {config.start!r}: {name.removeprefix(prefix)} is "
                f"{tuple(weight.shape)}, and {config.model} needs {tuple(fresh[name].shape)}"
            )
        if not weight.isfinite().all():
            raise RunError(f"the start {config.start!r} has weights that are no numbers: {name.removeprefix(prefix)}")
    return found


def _read(file: Path) -> dict[str, Tensor]:
    try:
        return dict(load_file(str(file)))
    except (OSError, SafetensorError) as error:
        raise RunError(f"cannot read the weights in {str(file)!r}: {error}") from None


def _adapter_settings(adapter: Path) -> dict[str, Any]:
    try:
        content = json.loads((adapter / _SETTINGS).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise RunError(f"cannot read {str(adapter / _SETTINGS)!r}: {error}") from None
    if not isinstance(content, dict):
        raise RunError(f"{str(adapter / _SETTINGS)!r} holds no settings")
    return content
