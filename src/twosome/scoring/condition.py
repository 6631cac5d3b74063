"""Whether a model is in a condition in which its numbers mean what they should: nothing random, off is off."""

from __future__ import annotations

import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from torch import nn

from twosome.errors import ModelError

_WANT_A_TASK = ("MULTITASK_PROMPT_TUNING", "POLY")
"""Kinds of adapters that are told the number of a task with every sentence."""
_CHANGES_THE_BASE = ("pissa", "olora", "corda", "loftq", "lora_ga")
"""Ways to begin a LoRA that take a part out of the base's own weights."""


def is_adapted(model: Any) -> bool:
    """Whether it has an adapter that can be switched off; else its own weights are all there is."""
    return hasattr(model, "disable_adapter")


def base_of(model: Any) -> Any:
    """The model below PEFT's; itself where there is none."""
    return model.get_base_model() if hasattr(model, "get_base_model") else model


def check_eval(model: Any) -> None:
    """Refuse a model any part of which is in train mode: dropout would make its numbers random.

    Raises:
        ModelError: If there is such a part.
    """
    if model.training or any(module.training for module in _known(model).parts):
        training = [name for name, module in model.named_modules() if module.training]
        first = next((name for name in training if name), "itself")
        raise ModelError(
            f"scores are taken in eval mode, but {len(training)} of the {1 + len(_known(model).parts)} parts of "
            f"{type(model).__name__} are in train mode, among them {first}: call model.eval() first"
        )


def check_kind(model: Any) -> None:
    """Refuse a model whose numbers depend on more than the sentence.

    Raises:
        ModelError: If it wants the number of a task, or rounds a token by its neighbours.
    """
    for kind in adapter_kinds(model):
        if kind in _WANT_A_TASK:
            raise ModelError(
                f"adapters of the kind {kind} want the number of a task with every sentence, which decisions do not "
                "have; they cannot be scored"
            )
    for module in _known(model).parts:
        threshold = getattr(vars(module).get("state"), "threshold", 0.0)
        if isinstance(threshold, float) and threshold > 0.0:
            raise ModelError(
                f"the 8 bit layers of {type(model).__name__} choose outlier columns over all tokens that are read "
                f"together (llm_int8_threshold={threshold}), so a token's numbers depend on its neighbours: load it "
                "with BitsAndBytesConfig(load_in_8bit=True, llm_int8_threshold=0.0)"
            )


def adapter_kinds(model: Any) -> list[str]:
    """PEFT's names for the kinds of the model's adapters; none for a model without."""
    return [str(getattr(kind, "value", kind)) for kind in (each.peft_type for each in _configs(model).values())]


def named(model: Any) -> str:
    """What to call a model in a message."""
    kinds = adapter_kinds(model)
    return f"{type(model).__name__} with an adapter of kind {', '.join(kinds)}" if kinds else type(model).__name__


def virtual_tokens(model: Any) -> int:
    """How many trained positions an adapter puts before every sentence (prompt tuning, prefix tuning and the like)."""
    learning = [config for config in _configs(model).values() if getattr(config, "is_prompt_learning", False)]
    return max((int(config.num_virtual_tokens or 0) for config in learning), default=0)


@contextmanager
def adapter_off(model: Any) -> Iterator[None]:
    """Let ``model`` be its base, as that was before the adapter, while the context lasts.

    Raises:
        ModelError: If switching the adapter off does not give the base back.
    """
    why = _known(model).off_is_not_base or _merged(model)
    if why:
        raise ModelError(
            f"the base cannot be had by switching the adapter of {type(model).__name__} off: {why}; what needs the "
            "base (critic, reference, language measures) would be wrong"
        )
    if not is_adapted(model):
        yield
        return
    with model.disable_adapter():
        yield


def note_changed_base(model: Any, why: str) -> None:
    """Have :func:`adapter_off` refuse ``model``, because of ``why``."""
    _known(model).off_is_not_base = why


@dataclass
class _Known:
    """What was found out about a model, for as long as it has the same adapters.

    Attributes:
        adapters: Their names.
        parts: Its modules but for itself, which a weak dictionary must not hold.
        off_is_not_base: Why its base cannot be had by switching the adapter off; None if it can.
    """

    adapters: tuple[str, ...]
    parts: tuple[nn.Module, ...]
    off_is_not_base: str | None


_KNOWN: weakref.WeakKeyDictionary[Any, _Known] = weakref.WeakKeyDictionary()


def _known(model: Any) -> _Known:
    """Remembered, because to list the modules of a small model takes as long as part of a reading."""
    known, adapters = _KNOWN.get(model), tuple(_configs(model))
    if known is None or known.adapters != adapters:
        why = known.off_is_not_base if known else None
        parts = tuple(module for module in model.modules() if module is not model)
        known = _KNOWN[model] = _Known(adapters, parts, why or _changed_base(model, parts))
    return known


def _configs(model: Any) -> dict[str, Any]:
    """The configurations of the model's adapters by name."""
    return getattr(model, "peft_config", None) or {}


def _changed_base(model: Any, parts: Sequence[nn.Module]) -> str | None:
    """Why the model with its adapter off is not its base, as far as the adapter's configuration tells."""
    for config in _configs(model).values():
        bias, start = getattr(config, "bias", None), getattr(config, "init_lora_weights", None)
        if bias not in (None, "none") and _biases(model):
            return f"bias={bias!r} trains the base's own biases"
        if isinstance(start, str) and start.lower().startswith(_CHANGES_THE_BASE):
            return f"init_lora_weights={start!r} takes a part out of the base's weights"
        if getattr(config, "layer_replication", None):
            return "layer_replication repeats layers of the base"
    if not is_adapted(model) and any("merged_adapters" in vars(module) for module in parts):
        return "it was put into the model without PeftModel; load the base alone, and the adapter with PeftModel"
    return None


def _biases(model: Any) -> bool:
    """Whether the base has biases."""
    prefix = getattr(getattr(model, "base_model", None), "prefix", None) or "lora_"
    return any(name.endswith("bias") and prefix not in name for name, _ in model.named_parameters())


def _merged(model: Any) -> str | None:
    """Says so if an adapter was added to the base's weights; taking it out again rounds them."""
    if any(vars(module).get("merged_adapters") for module in _known(model).parts):
        return "it is merged into the base's weights; call model.unmerge_adapter() first"
    return None
