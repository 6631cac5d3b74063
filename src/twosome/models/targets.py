"""Which layers of a model an adapter changes, in words a user can act on."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable, Sequence
from typing import Any

from torch import nn

ALL_LINEAR = "all-linear"
_MOST_NAMES = 12


def linear_layers(model: Any) -> list[str]:
    """Full names of the layers that ``all-linear`` stands for: all that multiply by a matrix, but the output's."""
    from transformers.pytorch_utils import Conv1D  # GPT-2's way to write a linear layer

    output = model.get_output_embeddings() if hasattr(model, "get_output_embeddings") else None
    found = [(name, layer) for name, layer in model.named_modules() if isinstance(layer, (nn.Linear, Conv1D))]
    # PEFT may have wrapped some before it gave up, or all of them.
    return [name.removesuffix(".base_layer") for name, layer in found if layer is not output and ".lora_" not in name]


def linear_layers_of(model: Any, numbers: Iterable[int]) -> list[str]:
    """Those of some decoder layers, given by their numbers."""
    wanted = set(numbers)

    def number(name: str) -> int | None:
        return next((int(part) for part in name.split(".") if part.isdigit()), None)

    return [name for name in linear_layers(model) if number(name) in wanted]


def choices(model: Any, refused: Iterable[str] = ()) -> str:
    """What ``lora.targets`` may be for a model; not ``all-linear`` where some linear layers are ``refused``."""
    linear = dict.fromkeys(name.rsplit(".", 1)[-1] for name in linear_layers(model))
    names = [name for name in linear if name not in set(refused)]
    if not names:
        return f"{type(model).__name__} has no linear layers to adapt; a small model can be trained with finetune=full"
    more = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
    every = "" if linear.keys() & set(refused) else f"{ALL_LINEAR}, or to "
    return f"set lora.targets to {every}some of its linear layers: {', '.join(names[:_MOST_NAMES])}{more}"


def unmatched(model: Any, targets: Sequence[str]) -> list[str]:
    """Those of the names that no layer of a model has."""
    names = [name for name, _ in model.named_modules() if name]
    return [target for target in targets if not any(name == target or name.endswith(f".{target}") for name in names)]


def why_not(model: Any, targets: str | Sequence[str] | None, reason: str) -> str:
    """Why a model cannot be adapted, and what to set instead.

    Args:
        model: A model without adapter.
        targets: As in the configuration.
        reason: What PEFT says; told where nothing better is known.
    """
    kind = type(model).__name__
    if targets is None:
        return f"lora.targets is null, but PEFT has no choice of layers for {kind}: {choices(model)}"
    named = [targets] if isinstance(targets, str) else list(targets)
    missing = [] if targets == ALL_LINEAR else unmatched(model, named)
    refused = re.findall(r"'(\w+)'", reason.partition("Incompatible modules:")[2])
    if refused:
        reason = f"PEFT does not adapt {' and '.join(sorted(refused))} of such models"
    elif not named:
        reason = "it names no layer"
    elif missing:
        reason = f"no layer is called {' or '.join(map(repr, missing))}"
    elif re.match("Target module", reason):
        reason = "that is no linear layer, but something larger or smaller"
    return f"cannot adapt lora.targets={targets!r} in {kind}: {reason}; {choices(model, refused)}"


def tell_left_out(model: Any, targets: str | Sequence[str] | None) -> None:
    """Warn where an adapter changes less than its targets sound like.

    Experts of a mixture are mostly kept in one tensor of three dimensions, which is no linear layer; PEFT adapts such
    only where they are named one by one (``target_parameters``).

    Args:
        model: The model with its adapter.
        targets: As in the configuration.
    """
    kind = type(model.get_base_model()).__name__
    if isinstance(targets, str) and targets.lower() == ALL_LINEAR:
        experts = [(name, weight) for name, weight in model.named_parameters() if _is_fused(model, name, weight)]
        if experts:
            short = dict.fromkeys(".".join(name.split(".")[-2:]) for name, _ in experts)
            count = sum(weight.numel() for _, weight in experts)
            whole = sum(weight.numel() for weight in model.get_base_model().parameters() if not weight.requires_grad)
            warnings.warn(
                f"lora.targets={ALL_LINEAR} leaves {', '.join(short)} of {kind} as they are, {count / whole:.0%} of "
                "its weights: they are tensors of several experts, no linear layers",
                stacklevel=3,
            )
    elif targets is not None:
        missing = unmatched(model.get_base_model(), [targets] if isinstance(targets, str) else targets)
        if missing:
            warnings.warn(
                f"lora.targets names {', '.join(map(repr, missing))}, but no layer of {kind} is called so; the others "
                f"are adapted; {choices(model.get_base_model())}",
                stacklevel=3,
            )


def _is_fused(model: Any, name: str, weight: nn.Parameter) -> bool:
    """Whether a parameter holds matrices of several experts."""
    owner = model.get_submodule(name.rpartition(".")[0])
    plain = type(owner).__module__.startswith("torch.nn.")  # a convolution's kernel has three dimensions, too
    matrix = weight.ndim >= 3 or (weight.ndim == 2 and ".experts" in name)
    return matrix and not plain and not weight.requires_grad and not name.endswith("bias")
