"""Attention inside the blocks of a packed row, for every model that uses transformers' attention interface."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from transformers import AttentionInterface

from twosome.models.packing import Pack

BLOCK_ATTENTION = "twosome_block_attention"


def block_attention(
    module: torch.nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    *,
    pack: Pack | None = None,
    scaling: float | None = None,
    sliding_window: int | None = None,
    softcap: float | None = None,
    s_aux: Tensor | None = None,
    **_: Any,
) -> tuple[Tensor, None]:
    """Attend within each block of ``pack`` only.

    The other arguments are transformers' own. A sliding window counts positions along the sentence, so a token sees
    those ancestors that are fewer than ``sliding_window`` positions back.

    Args:
        module: The calling attention layer.
        query: [1, heads, T, D] after rotary embedding.
        key: [1, key-value heads, T, D].
        value: [1, key-value heads, T, D].
        attention_mask: Unused; transformers builds none for an implementation it does not know.
        pack: The packed row being read.
        scaling: Factor on the dot products.
        sliding_window: Width of local attention, if the layer has it.
        softcap: Soft limit of the attention logits, if the layer has one.
        s_aux: [heads] attention sinks, if the layer has them.

    Returns:
        Outputs [1, T, heads, D] and None for the attention weights.
    """
    if pack is None:
        raise RuntimeError("block attention was called without a pack; score through twosome, or reset the model")
    pack.readers.add(id(module))
    outputs = []
    for (start, end), mask in zip(pack.bounds, pack.masks, strict=True):
        if sliding_window is not None:
            positions = pack.positions[0, start:end]
            mask = mask & (positions[:, None] - positions[None, :] < sliding_window)
        q, k, v = (x[:, :, start:end] for x in (query, key, value))
        if softcap is None and s_aux is None:
            outputs.append(F.scaled_dot_product_attention(q, k, v, mask, scale=scaling, enable_gqa=True))
        else:
            outputs.append(_explicit_attention(q, k, v, mask, scaling, softcap, s_aux))
    return torch.cat(outputs, dim=2).transpose(1, 2), None


def _explicit_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    mask: Tensor,
    scaling: float | None,
    softcap: float | None,
    sinks: Tensor | None,
) -> Tensor:
    """Attention spelled out, for soft caps and sinks, which the fused kernel has no place for."""
    groups = query.shape[1] // key.shape[1]
    key, value = key.repeat_interleave(groups, dim=1), value.repeat_interleave(groups, dim=1)
    logits = query @ key.transpose(-1, -2) * (query.shape[-1] ** -0.5 if scaling is None else scaling)
    if softcap is not None:
        logits = torch.tanh(logits / softcap) * softcap
    logits = logits.masked_fill(~mask, -torch.inf)
    if sinks is not None:
        sink = sinks.reshape(1, -1, 1, 1).expand(logits.shape[0], -1, logits.shape[2], 1)
        logits = torch.cat([logits, sink.to(logits.dtype)], dim=-1)
    weights = torch.softmax(logits.float(), dim=-1).to(query.dtype)
    return weights[..., : key.shape[2]] @ value


AttentionInterface.register(BLOCK_ATTENTION, block_attention)


@contextmanager
def use_block_attention(model: Any) -> Iterator[None]:
    """Let ``model`` attend within blocks while the context lasts.

    The configuration is all that attention layers look at. ``model.set_attn_implementation`` would do the same, but it
    walks through all modules, and this happens for every pack. A model that pays no heed is found out by the layers
    missing from ``pack.readers``.
    """
    before = model.config._attn_implementation
    model.config._attn_implementation = BLOCK_ATTENTION
    try:
        yield
    finally:
        model.config._attn_implementation = before
