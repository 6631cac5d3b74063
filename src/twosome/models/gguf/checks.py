"""Whether transformers makes of a GGUF file what the file describes: it passes over what it has no place for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from twosome.arrival import some
from twosome.errors import ModelError
from twosome.models.gguf.header import Header
from twosome.models.gguf.naming import GgufFile

ROTARY_FACTORS = "rope_freqs.weight"
"""A number for each rotary frequency, by which it is divided; Llama 3.1 and later have it."""
_SAME = {
    "attention.key_length": "head_dim",
    "attention.layer_norm_rms_epsilon": "rms_norm_eps",
    "attn_logit_softcapping": "attn_logit_softcapping",
    "final_logit_softcapping": "final_logit_softcapping",
    "expert_used_count": "num_experts_per_tok",
}
"""What the file says, and the setting of transformers that must say the same, where there is one."""
_FACTORS = ("rope.scaling.factor", "attention.scale", "embedding_scale", "residual_scale", "logit_scale")
"""Numbers that a model is multiplied with somewhere; 0 and 1 mean that it is not."""
_NOT_CAUSAL = {"general", "tokenizer", "t5", "umt5"}


def check_architecture(file: GgufFile, header: Header) -> None:
    """Refuse an architecture that transformers does not read.

    Raises:
        ModelError: If it does not.
    """
    from transformers.integrations.gguf import GGUF_CONFIG_ARCHS
    from transformers.modeling_gguf_pytorch_utils import GGUF_SUPPORTED_ARCHITECTURES

    known = ({*GGUF_SUPPORTED_ARCHITECTURES} | {*GGUF_CONFIG_ARCHS}) - _NOT_CAUSAL
    name = header.architecture
    if not known & {name, name.replace("moe", "_moe"), name.replace("-", "_")}:
        raise ModelError(
            f"the GGUF file {file.name!r} holds a model of the architecture {name!r}, which transformers does not read "
            f"from GGUF; it reads {', '.join(sorted(known))}: get the model as a directory or from a hub instead"
        )


def check_described(file: GgufFile, header: Header, config: Any) -> None:
    """Refuse a file that describes another model than ``config`` is one of.

    Raises:
        ModelError: Naming each difference.
    """
    found = [*_differences(header, config)]
    if found:
        raise ModelError(
            f"transformers does not take over all that the GGUF file {file.name!r} says of its model: "
            f"{'; '.join(found)}; another model would be computed: get it as a directory or from a hub instead"
        )


def _differences(header: Header, config: Any) -> Iterator[str]:
    for key, setting in _SAME.items():
        said, taken = header.get(key), getattr(config, setting, None)
        if said and taken is not None and said != taken:
            yield f"{key} is {said}, {setting} became {taken}"
        elif said and "softcapping" in key and taken is None:
            yield f"{key} is {said}, and there is no {setting}"
    rotary = str(getattr(config, "rope_parameters", None) or "")
    for key in _FACTORS:
        said = header.get(key)
        if said not in (None, 0, 1) and not ("rope" in key and "'factor'" in rotary) and not hasattr(config, key):
            yield f"{key} is {said}, and the model has no such factor"


def check_size(file: GgufFile, header: Header, config: Any) -> None:
    """Refuse a file that describes a model far larger than itself, before there is one of random numbers.

    Raises:
        ModelError: If it does.
    """
    import torch
    from transformers import AutoModelForCausalLM

    held = sum(info.numbers for info in header.tensors)
    layers = header.get("block_count")
    described = None
    if isinstance(layers, int) and layers <= len(header.tensors):
        with torch.device("meta"):
            described = sum(weight.numel() for weight in AutoModelForCausalLM.from_config(config).parameters())
    if described is None or described > 2 * held:
        raise ModelError(
            f"the GGUF file {file.name!r} describes a model of {layers} layers"
            f"{'' if described is None else f' and {described:,} weights'}, but holds {len(header.tensors)} tensors "
            f"with {held:,} numbers: get it again"
        )


def check_placed(file: GgufFile, header: Header, model: Any) -> None:
    """Refuse a file some of whose tensors found no place in the model; transformers passes over them.

    Names are those of GGUF, and several tensors may become one weight, so what decides is how many numbers there are.

    Raises:
        ModelError: If there are more in the file than in the model.
    """
    weights = {id(weight): weight.numel() for weight in model.parameters()}
    weights |= {id(buffer): buffer.numel() for name, buffer in model.named_buffers() if name in model.state_dict()}
    tensors = [info for info in header.tensors if info.name != ROTARY_FACTORS]
    if sum(info.numbers for info in tensors) <= sum(weights.values()):
        return
    unplaced = _without_place(header, model, {info.name for info in tensors})
    if unplaced or not model.config.tie_word_embeddings:
        raise ModelError(
            f"the GGUF file {file.name!r} holds more than {type(model).__name__} has a place for: {len(unplaced)} of "
            f"its {len(tensors)} tensors are not used ({some(unplaced)}), so another model would be computed: get it "
            "as a directory or from a hub instead"
        )


def _without_place(header: Header, model: Any, names: set[str]) -> list[str]:
    """Tensors of the file whose name transformers does not turn into one of the model's."""
    from transformers.modeling_gguf_pytorch_utils import TENSOR_PROCESSORS, TensorProcessor, get_gguf_hf_weights_map

    processor = TENSOR_PROCESSORS.get(header.architecture, TensorProcessor)(config=model.config.to_dict())
    return sorted(names - get_gguf_hf_weights_map(model, processor).keys())
