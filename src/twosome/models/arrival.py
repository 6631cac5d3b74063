"""Whether a model directory or an adapter is what it is taken for, and whether all of its weights arrived."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import Tensor, nn

from twosome.arrival import differences, in_words, some
from twosome.errors import ModelError
from twosome.models.gguf.sameness import noted_base
from twosome.scoring.condition import note_changed_base

_COMPUTED = re.compile(r"inv_freq$|position_ids$|masked_bias$|\.(attn|attention|self_attention)\.(bias|causal_mask)$")
"""What old files hold of masks and positions, and models work out by themselves."""


def check_is_model(name: str) -> None:
    """Refuse a directory that holds an adapter or a run where a model is expected.

    transformers would load the base that the adapter names, and put the adapter into it.

    Raises:
        ModelError: If ``name`` is one.
    """
    path = Path(name)
    if (path / "adapter_config.json").is_file():
        raise ModelError(
            f"{name!r} is an adapter, not a model: expected a base model, such as {_trained_on(path)}; evaluate, play "
            "and score take the adapter as such, and training starts from a base with a new adapter"
        )
    if (path / "config.yaml").is_file() and not (path / "config.json").is_file():
        raise ModelError(
            f"{name!r} is the directory of a run, not a model: expected a base model; evaluate, play and score take "
            "the run as such, and train --resume goes on with it"
        )


def _trained_on(adapter: Path) -> str:
    base = adapter_base(adapter)
    return f"{base!r}, which it names as its base" if base else "the model it was trained on"


_FITTING = "config.json, one for one: get the model again, or save it anew with save_pretrained"


def check_base(model: Any, info: Mapping[str, Any], name: str, advice: str = _FITTING) -> None:
    """Refuse a model some of whose weights are not those of its files.

    transformers fills what is missing with random numbers, others at each load, and leaves out what it has no place
    for. A weight without a place is harmless where the model has no such part (a vision tower, a head for another
    purpose); within a layer it means that another model is computed.

    Args:
        model: The model as it was loaded.
        info: What transformers tells of the loading (``output_loading_info``).
        name: What the user called it.
        advice: What weights must fit, and what to do.

    Raises:
        ModelError: If weights are missing, have other shapes, or belong to a layer and are not used.
    """
    if getattr(model, "_hf_peft_config_loaded", False):
        raise ModelError(f"{name!r} is an adapter, not a model: expected a base model")
    unused = sorted(key for key in info["unexpected_keys"] if not _COMPUTED.search(key))
    told = in_words(
        len(model.state_dict()),
        missing=set(info["missing_keys"]),
        misshapen=[f"{key} of {list(there)} for {list(here)}" for key, there, here in info["mismatched_keys"]],
        unexpected=[key for key in unused if _belongs(model, key)],
    )
    if told:
        raise ModelError(
            f"the files of the model {name!r} do not fill {type(model).__name__}: {told}; expected weights that fit "
            f"{advice}"
        )
    if unused:
        print(f"{len(unused)} weights in the files of {name!r} are not used ({some(unused)})", file=sys.stderr)


def _belongs(model: nn.Module, key: str) -> bool:
    """Whether a weight that found no place is one of a layer: of one that there is, or of one more of their list."""
    module, within = model, False
    for part in key.split("."):
        child = getattr(module, part, None)
        if not isinstance(child, nn.Module):
            break
        within, module = within or isinstance(child, nn.ModuleList), child
    if getattr(model, "is_quantized", False):  # such files hold scales, and biases of zero, that layers do without
        return isinstance(module, nn.ModuleList)
    return within or any(True for _ in module.parameters(recurse=False))


class Weights:
    """What a model's weights held when this was made.

    Args:
        model: The model.
    """

    def __init__(self, model: nn.Module) -> None:
        self._before = [(name, tensor, _digest(tensor)) for name, tensor in _tensors(model)]

    def changed(self) -> list[str]:
        """Names of those that hold something else now."""
        return [name for name, tensor, digest in self._before if _digest(tensor) != digest]

    def without(self, state: Mapping[str, Tensor]) -> set[str]:
        """The names in ``state`` of tensors that are none of them."""
        own = {id(tensor) for _, tensor, _ in self._before}
        return {name for name, tensor in state.items() if id(tensor) not in own}


def _tensors(model: nn.Module) -> list[tuple[str, Tensor]]:
    return [*model.named_parameters(), *model.named_buffers()]


def _digest(tensor: Tensor) -> tuple[Any, ...]:
    """A number that is another one once a value of the tensor is, unless eights of bytes merely change places."""
    if tensor.is_meta:
        return tuple(tensor.shape), 0
    flat = tensor.detach().contiguous().view(-1)
    if flat.storage_offset() * flat.element_size() % 8:
        flat = flat.clone()
    content = flat.view(torch.uint8)
    whole = len(content) // 8 * 8  # eight at a time: as fast as memory can be read
    return tuple(tensor.shape), int(content[:whole].view(torch.int64).sum()), content[whole:].tolist()


_SIZES = ("r", "init_r", "num_virtual_tokens", "n_frequency", "num_vectors", "vector_length")
"""Settings of adapters that are a side of some of their weights."""
_SIZE_PATTERNS = ("rank_pattern", "n_frequency_pattern")
"""The same for single layers, by name."""


def check_sizes(directory: Path, settings: Mapping[str, Any]) -> None:
    """Refuse an adapter whose configuration asks for weights larger than any in its file.

    PEFT would make them before it compares shapes: a rank of a million takes more memory than there is.

    Args:
        directory: Where the adapter is.
        settings: Its configuration.

    Raises:
        ModelError: If it does.
    """
    try:
        with safe_open(str(directory / "adapter_model.safetensors"), framework="pt") as weights:
            longest = max((max(weights.get_slice(n).get_shape(), default=1) for n in weights.keys()), default=0)  # noqa: SIM118
    except (OSError, SafetensorError):  # told when they are loaded
        return
    if not longest:  # as is that there are none
        return
    # A Kronecker product takes whole matrices where the rank is too large for parts.
    own = {} if str(settings.get("peft_type")).upper() == "LOKR" else {name: settings.get(name) for name in _SIZES}
    patterns = [pattern for name in _SIZE_PATTERNS if isinstance(pattern := settings.get(name), dict)]
    for pattern in patterns:
        own |= {f"rank of {layer}": value for layer, value in pattern.items()}
    for name, value in own.items():
        if isinstance(value, int) and value > longest:
            raise ModelError(
                f"the adapter in {str(directory)!r} does not fit its adapter_config.json: {name} is {value}, but no "
                f"side of its weights is longer than {longest}; get both files again from where it was saved"
            )


def check_adapter(adapted: Any, directory: Path, base: Weights) -> None:
    """Refuse an adapter some of whose weights did not arrive, and note it if the base is not what it was.

    PEFT tells only of weights that are missing, in a warning, and never of those that it had no place for.

    Args:
        adapted: The model with the adapter.
        directory: Where the adapter was read from.
        base: The weights of the model before that.

    Raises:
        ModelError: If names or shapes differ.
    """
    from peft import get_peft_model_state_dict

    file = load_file(str(directory / "adapter_model.safetensors"))
    expected = get_peft_model_state_dict(adapted, save_embedding_layers=False)
    told = differences(file, expected)
    if told:
        told = _not_taken(adapted, file, len(expected), base)
    if told:
        raise ModelError(
            f"the adapter in {str(directory)!r} does not fit {type(adapted.get_base_model()).__name__}: {told}; "
            f"put it on {_trained_on(directory)}, or get its file again"
        )
    changed = base.changed()
    if changed:
        note_changed_base(adapted, f"loading it changed {len(changed)} weights of the base ({some(changed)})")


def _not_taken(adapted: Any, file: Mapping[str, Tensor], total: int, base: Weights) -> str:
    """What did not arrive of a file with other names than it would be saved under now.

    There are such: embeddings saved beside the adapter, and names of older versions, which PEFT translates.
    """
    from peft import set_peft_model_state_dict

    result = set_peft_model_state_dict(adapted, dict(file))
    own = base.without(adapted.state_dict(keep_vars=True))
    missing = {name for name in own.intersection(result.missing_keys) if not _INNER.search(name)}
    return in_words(total, missing=missing, unexpected=set(result.unexpected_keys))


_INNER = re.compile(r"\.(base_layer|original_module)\.")
"""Marks the base's own weights in the names of an adapted model."""


def say_other_base(adapted: Any, directory: Path) -> None:
    """Tell, if an adapter was made for a model of another name than it is put on: of the same shape, it fits."""
    named, given = adapter_base(directory), adapted.get_base_model().name_or_path
    if not named or not given or named == given:
        return
    if Path(named).exists() and Path(given).exists() and Path(named).samefile(given):
        return
    if noted_base(directory) is not None:  # told by what is in the file, whatever it is called
        return
    print(
        f"the adapter in {str(directory)!r} was trained on {named!r} and is put on {given!r}: what it learned holds "
        "only if these are the same weights",
        file=sys.stderr,
    )


def adapter_base(directory: str | Path) -> str | None:
    """The base model an adapter was trained on, as its configuration names it."""
    name = adapter_config(Path(directory)).get("base_model_name_or_path")
    return str(name) if name else None


def adapter_config(directory: Path) -> dict[str, Any]:
    """An adapter's configuration, empty if it cannot be read."""
    try:
        config = json.loads((directory / "adapter_config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return config if isinstance(config, dict) else {}
