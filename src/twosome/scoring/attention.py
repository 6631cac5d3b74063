"""Attention within the segments of a pack, for every model that uses transformers' attention interface."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F
from transformers import AttentionInterface

from twosome.scoring.sparse import sparse_attention
from twosome.tokens.layout import Layout, lay_out, layout_of
from twosome.tokens.packing import Pack
from twosome.tokens.segments import Segment

BLOCK_ATTENTION = "twosome_block_attention"

Attention = Literal["segments", "sparse"]
"""How a pack attends: segment by segment through the usual kernel, or all at once through a block-sparse one."""


@dataclass(frozen=True)
class _Reading:
    """The pack being read, the layer (by id) that is asked for the wanted rows alone, and how it attends."""

    pack: Pack
    last_layer: int | None
    attention: Attention


_READING: ContextVar[_Reading | None] = ContextVar("twosome_reading", default=None)


@contextmanager
def reading(model: Any, pack: Pack, last_layer: int | None = None, attention: Attention = "segments") -> Iterator[None]:
    """Let ``model`` attend within the segments of ``pack`` while the context lasts.

    The configuration is all that attention layers look at. ``model.set_attn_implementation`` would do the same, but it
    walks through all modules, and this happens for every pack. A model that pays no heed is found out by the layers
    missing from ``pack.readers``. The pack travels in a context variable, because some models do not pass arguments on.

    Args:
        model: The model.
        pack: What it reads.
        last_layer: ``id`` of the attention module whose output is wanted for ``pack.rows`` only, or None.
        attention: How the pack attends.
    """
    token = _READING.set(_Reading(pack, last_layer, attention))
    before = model.config._attn_implementation
    model.config._attn_implementation = BLOCK_ATTENTION
    try:
        yield
    finally:
        model.config._attn_implementation = before
        _READING.reset(token)


def block_attention(
    module: torch.nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    *,
    scaling: float | None = None,
    sliding_window: int | None = None,
    softcap: float | None = None,
    s_aux: Tensor | None = None,
    **_: Any,
) -> tuple[Tensor, None]:
    """Attend within each segment of the pack being read.

    The other arguments are transformers' own. A sliding window counts positions along the sentence, so a token sees
    those ancestors that are fewer than ``sliding_window`` positions back.

    Args:
        module: The calling attention layer.
        query: [1, heads, T, D] after rotary embedding.
        key: [1, key-value heads, T, D].
        value: [1, key-value heads, T, E].
        attention_mask: Unused; transformers builds none for an implementation it does not know.
        scaling: Factor on the dot products.
        sliding_window: Width of local attention, if the layer has it.
        softcap: Soft limit of the attention logits, if the layer has one.
        s_aux: [heads] attention sinks, if the layer has them.

    Returns:
        Outputs [1, T, heads, E], zero where not wanted, and None for the attention weights.
    """
    state = _READING.get()
    if state is None:
        raise RuntimeError("block attention was called without a pack; score through twosome, or reset the model")
    pack = state.pack
    pack.readers[id(module)] = sliding_window
    wanted = state.last_layer == id(module)
    if state.attention == "sparse":
        return sparse_attention(
            query, key, value, s_aux, pack, wanted=wanted, window=sliding_window, scaling=scaling, softcap=softcap
        ), None
    heads = query.shape[1], key.shape[1], value.shape[1]
    rows = (_by_row(query), *pack.with_beginnings(id(module), _by_row(key), _by_row(value)))
    layout, kernel = layout_of(pack, wanted, sliding_window, query), _Kernel(scaling, softcap)
    return _attend(rows, heads, s_aux, layout, kernel), None


AttentionInterface.register(BLOCK_ATTENTION, block_attention)


@dataclass(frozen=True)
class _Kernel:
    """How queries meet keys."""

    scaling: float | None
    softcap: float | None

    def __call__(self, query: Tensor, key: Tensor, value: Tensor, mask: Tensor, sinks: Tensor | None) -> Tensor:
        """Outputs [b, heads, q, E]; ``mask`` [b, 1, q, k] is added to the logits."""
        if self.softcap is None and sinks is None:
            grouped = query.shape[1] != key.shape[1]
            return F.scaled_dot_product_attention(query, key, value, mask, scale=self.scaling, enable_gqa=grouped)
        return self._spelled_out(query, key, value, mask, sinks)

    def _spelled_out(self, query: Tensor, key: Tensor, value: Tensor, mask: Tensor, sinks: Tensor | None) -> Tensor:
        """For soft caps and sinks, which the fused kernel has no place for."""
        groups = query.shape[1] // key.shape[1]
        key, value = key.repeat_interleave(groups, dim=1), value.repeat_interleave(groups, dim=1)
        scaling = query.shape[-1] ** -0.5 if self.scaling is None else self.scaling
        logits = query @ key.transpose(-1, -2) * scaling
        if self.softcap is not None:
            logits = torch.tanh(logits / self.softcap) * self.softcap
        logits = logits + mask
        if sinks is not None:
            sink = sinks.reshape(1, -1, 1, 1).expand(logits.shape[0], -1, logits.shape[2], 1)
            logits = torch.cat([logits, sink.to(logits.dtype)], dim=-1)
        weights = torch.softmax(logits.float(), dim=-1).to(query.dtype)
        return weights[..., : key.shape[2]] @ value


def _by_row(heads: Tensor) -> Tensor:
    """[1, heads, T, D] as [T, heads * D], in which most models have it in memory."""
    return heads[0].transpose(0, 1).flatten(1)


def _attend(
    rows: Sequence[Tensor], heads: Sequence[int], sinks: Tensor | None, layout: Layout, kernel: _Kernel
) -> Tensor:
    """Outputs [1, T, heads, E] of queries [T, heads * D], keys and values, of so many heads each."""

    def take(which: int, index: Tensor) -> Tensor:
        # A lookup like that of word embeddings, whose gradient is a plain sum over rows.
        found = torch.embedding(rows[which], index)
        return found.view(*index.shape, heads[which], -1).transpose(1, 2)

    outputs = []
    for batch in layout.batches:
        found = kernel(take(0, batch.queries), take(1, batch.keys), take(2, batch.keys), batch.mask, sinks)
        outputs.append(found.transpose(1, 2).flatten(2).flatten(0, 1))
    return torch.embedding(torch.cat(outputs), layout.place).view(1, len(layout.place), heads[0], -1)


def sharing_is_exact(heads: int, size: int, dtype: torch.dtype) -> bool:
    """Whether this machine's kernel gives a query the same bits wherever its prompt is cut into segments.

    Tried on made-up numbers, for prompts on both sides of where matrix products change their ways.
    """
    generator = torch.Generator().manual_seed(0)
    kernel = _Kernel(None, None)
    with torch.no_grad():
        for length in (40, 88, 152, 208, 304, 400, 616):
            made = (torch.randn(1, heads, length, size, generator=generator).to(dtype) for _ in range(3))
            rows = [_by_row(each) for each in made]

            def attend(ends: list[int], rows: list[Tensor] = rows) -> Tensor:
                return _attend(rows, [heads] * 3, None, _cut(rows[0].shape[0], ends, rows[0]), kernel)

            whole = attend([length])
            for ends in ([length // 3, length], [17, length // 2, length], [length - 3, length]):
                if not torch.equal(whole, attend(ends)):
                    return False
    return True


def _cut(length: int, ends: Sequence[int], like: Tensor) -> Layout:
    """A sentence cut into segments that end at ``ends``."""
    causal = np.tri(length, dtype=bool)
    segments = [
        Segment(np.arange(start, end), ((0, end),), causal[start:end, :end])
        for start, end in zip([0, *ends[:-1]], ends, strict=True)
    ]
    return lay_out(segments, [segment.mask for segment in segments], length, like)
