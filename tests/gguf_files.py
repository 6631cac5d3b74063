"""GGUF files of tiny models, written with the gguf package as llama.cpp writes them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from tests.tiny import build_model, byte_level

CONTROL, NORMAL = 3, 1


def permuted(weight: torch.Tensor, heads: int) -> torch.Tensor:
    """Rows of queries or keys of a LLaMA in the order of llama.cpp's rotary embedding."""
    rows = weight.view(heads, 2, weight.shape[0] // heads // 2, *weight.shape[1:])
    return rows.swapaxes(1, 2).reshape(weight.shape)


def tensors_of(model: Any, architecture: str) -> dict[str, np.ndarray]:
    """The weights by their names in GGUF."""
    import gguf

    config = model.config
    number = next(key for key, name in gguf.MODEL_ARCH_NAMES.items() if name == architecture)
    names = gguf.get_tensor_name_map(number, config.num_hidden_layers)
    tied = config.tie_word_embeddings
    found = {}
    for name, weight in model.state_dict().items():
        if tied and name == "lm_head.weight":
            continue
        if architecture == "llama" and name.endswith(("q_proj.weight", "k_proj.weight")):
            weight = permuted(weight, config.num_attention_heads if "q_proj" in name else config.num_key_value_heads)
        if architecture == "gemma2" and name.endswith("norm.weight"):
            weight = weight + 1
        place, _, suffix = name.rpartition(".")
        found[f"{names.get_name(place)}.{suffix}"] = weight.float().numpy()
    return found


def write_gguf(
    path: Path,
    architecture: str = "llama",
    *,
    kind: str = "F32",
    metadata: Mapping[str, Any] | None = None,
    change: Callable[[dict[str, np.ndarray]], Any] = lambda tensors: None,
    stated: str | None = None,
    bos: bool = False,
    **overrides: Any,
) -> Any:
    """Write a tiny model with its tokenizer, and return the model that was written.

    Args:
        path: The file.
        architecture: Of GGUF and of :data:`tests.tiny.ARCHITECTURES`.
        kind: Type of the matrices; the rest is float32.
        metadata: Further or other entries.
        change: Changes the tensors before they are written.
        stated: The architecture that the file names, if another.
        bos: Whether a token is put in front.
        overrides: Settings of the model.
    """
    import gguf

    model = build_model(architecture, **overrides)
    tensors = tensors_of(model, architecture)
    change(tensors)
    writer = gguf.GGUFWriter(str(path), stated or architecture)
    entries = {**_shape(model.config, stated or architecture), **_tokenizer(bos), **(metadata or {})}
    for key, value in entries.items():
        _add(writer, key, value)
    numbers = getattr(gguf.GGMLQuantizationType, kind)
    for name, tensor in tensors.items():
        if tensor.ndim > 1 and kind != "F32":
            writer.add_tensor(name, gguf.quants.quantize(tensor, numbers), raw_dtype=numbers)
        else:
            writer.add_tensor(name, tensor)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return model


def _shape(config: Any, architecture: str) -> dict[str, Any]:
    said = {
        "context_length": config.max_position_embeddings,
        "block_count": config.num_hidden_layers,
        "embedding_length": config.hidden_size,
        "feed_forward_length": config.intermediate_size,
        "attention.head_count": config.num_attention_heads,
        "attention.head_count_kv": config.num_key_value_heads,
        "attention.layer_norm_rms_epsilon": float(config.rms_norm_eps),
        "vocab_size": config.vocab_size,
    }
    if architecture == "llama":
        said["rope.dimension_count"] = config.hidden_size // config.num_attention_heads
    if architecture == "gemma2":
        said |= {"attention.key_length": config.head_dim, "attention.sliding_window": config.sliding_window}
        said |= {name: getattr(config, name) for name in ("attn_logit_softcapping", "final_logit_softcapping")}
    rotary = config.rope_parameters.get("rope_theta")
    if rotary is not None:
        said["rope.freq_base"] = float(rotary)
    return {f"{architecture}.{key}": value for key, value in said.items()}


def _tokenizer(bos: bool) -> dict[str, Any]:
    backend = json.loads(byte_level(bos=bos).backend_tokenizer.to_str())
    special = {token["id"] for token in backend["added_tokens"]}
    tokens = [token for token, _ in sorted(backend["model"]["vocab"].items(), key=lambda pair: pair[1])]
    merges = [merge if isinstance(merge, str) else " ".join(merge) for merge in backend["model"]["merges"]]
    return {
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": "gpt-2",
        "tokenizer.ggml.tokens": tokens,
        "tokenizer.ggml.token_type": [CONTROL if number in special else NORMAL for number in range(len(tokens))],
        "tokenizer.ggml.merges": merges,
        "tokenizer.ggml.padding_token_id": 0,
        "tokenizer.ggml.bos_token_id": 1,
        "tokenizer.ggml.eos_token_id": 2,
        "tokenizer.ggml.add_bos_token": bos,
    }


def _add(writer: Any, key: str, value: Any) -> None:
    if value is None:
        return
    if isinstance(value, bool):
        writer.add_bool(key, value)
    elif isinstance(value, int):
        writer.add_uint32(key, value)
    elif isinstance(value, float):
        writer.add_float32(key, value)
    elif isinstance(value, str):
        writer.add_string(key, value)
    else:
        writer.add_array(key, value)
