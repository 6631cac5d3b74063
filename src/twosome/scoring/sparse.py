"""Attention within a pack by one block-sparse kernel: PyTorch's flex attention (Dong et al. 2024), for GPUs.

The rows of a pack stand in depth-first order: below a row come, without a gap, all those that may attend to it. So the
whole tree is one number per row, the end of what hangs from it, and no mask of the segments is needed.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from twosome.errors import ModelError
from twosome.tokens.blocks import Integers
from twosome.tokens.packing import Pack

_BLOCK = 128
"""Rows are filled up to whole blocks: compiled for a CPU, the kernel of PyTorch 2.13 is wrong at some other lengths."""


def sparse_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    sinks: Tensor | None,
    pack: Pack,
    *,
    wanted: bool,
    window: int | None,
    scaling: float | None,
    softcap: float | None,
) -> Tensor:
    """Outputs [1, T, heads, E] of queries [1, heads, T, D], keys and values of the rows of ``pack``.

    Args:
        query, key, value: After rotary embedding; keys and values may have fewer heads.
        sinks: [heads] attention sinks, if the layer has them.
        pack: What is being read.
        wanted: Only ``pack.rows`` are asked for; the other outputs are zero.
        window: Width of local attention in positions, if the layer has it.
        scaling: Factor on the dot products; None for the usual one.
        softcap: Soft limit of the attention logits, if the layer has one.
    """
    asked = query.index_select(2, pack.rows) if wanted else query
    how: dict[str, Any] = {
        "score_mod": None if softcap is None else _capped(softcap, query),
        "block_mask": _block_mask(pack, wanted, window),
        "scale": scaling,
        "enable_gqa": query.shape[1] != key.shape[1],
    }
    attend, count = _kernel(query.device.type), asked.shape[2]
    whole = [_filled(each) for each in (asked, key, value)]
    if sinks is None:
        outputs = attend(*whole, **how)
    else:
        from torch.nn.attention.flex_attention import AuxRequest

        # A sink is one more logit that takes its share of the weights and gives nothing.
        outputs, more = attend(*whole, **how, return_aux=AuxRequest(lse=True))
        outputs = outputs * torch.sigmoid(more.lse - sinks.view(1, -1, 1)).unsqueeze(-1).to(outputs.dtype)
    found: Tensor = outputs[:, :, :count].transpose(1, 2)
    if not wanted:
        return found
    return found.new_zeros(1, query.shape[2], *found.shape[2:]).index_copy(1, pack.rows, found)


def _filled(rows: Tensor) -> Tensor:
    """``rows`` [1, heads, n, D] filled up with zeros to a multiple of :data:`_BLOCK`."""
    return nn.functional.pad(rows, (0, 0, 0, -rows.shape[2] % _BLOCK)).contiguous()


def subtree_ends(pack: Pack) -> Integers:
    """For every row one past the last row that may attend to it: int64 [T]; those before the row itself may not.

    Raises:
        ModelError: If the rows are not in depth-first order.
    """
    length = pack.ids.shape[1]
    ends, askers = np.zeros(length, dtype=np.int64), np.zeros(length, dtype=np.int64)
    for segment in pack.segments:
        keys = segment.key_rows
        last = len(segment.queries) - np.argmax(segment.mask[::-1], axis=0)  # one past the last True of each column
        seen = segment.mask.any(axis=0)
        ends[keys[seen]] = np.maximum(ends[keys[seen]], segment.queries[0] + last[seen])
        askers[keys] += segment.mask.sum(axis=0)
    if not np.array_equal(ends - np.arange(length), askers):
        raise ModelError("the rows of this pack are not in depth-first order")
    return ends


def _block_mask(pack: Pack, wanted: bool, window: int | None) -> Any:
    """Which blocks of rows look at which, worked out once per pack."""
    name = ("sparse", wanted, window)
    if name not in pack.layouts:
        from torch.nn.attention.flex_attention import create_block_mask

        device = pack.ids.device
        ends = torch.from_numpy(subtree_ends(pack)).to(device)
        rows = pack.rows if wanted else torch.arange(len(ends), device=device)
        # What merely fills up is attended to by nobody, and attends to the first row, so that nothing is divided by 0.
        rows, ends, positions = (
            nn.functional.pad(each, (0, -len(each) % _BLOCK)) for each in (rows, ends, pack.positions[0])
        )
        may = _ancestors(rows, ends) if window is None else _near_ancestors(rows, ends, positions, window)
        pack.layouts[name] = create_block_mask(
            may, None, None, len(rows), len(ends), device=str(device), BLOCK_SIZE=_BLOCK
        )
    return pack.layouts[name]


# The functions below are traced by the compiler: they refer to tensors alone, as it would take numbers for shapes.


def _ancestors(rows: Tensor, ends: Tensor) -> Callable[..., Tensor]:
    """Whether a query, by its number among ``rows``, may attend to a row."""

    def may(batch: Tensor, head: Tensor, asking: Tensor, row: Tensor) -> Tensor:
        return (row <= rows[asking]) & (rows[asking] < ends[row])

    return may


def _near_ancestors(rows: Tensor, ends: Tensor, positions: Tensor, window: int) -> Callable[..., Tensor]:
    """The same, fewer than ``window`` positions back."""
    limits = positions[rows] - window

    def may(batch: Tensor, head: Tensor, asking: Tensor, row: Tensor) -> Tensor:
        return (row <= rows[asking]) & (rows[asking] < ends[row]) & (positions[row] > limits[asking])

    return may


def _capped(softcap: float, query: Tensor) -> Callable[..., Tensor]:
    """A score c tanh(s / c) for a score s."""
    caps = torch.full((query.shape[1],), softcap, device=query.device)

    def capped(score: Tensor, batch: Tensor, head: Tensor, asking: Tensor, row: Tensor) -> Tensor:
        return torch.tanh(score / caps[head]) * caps[head]

    return capped


@lru_cache
def _kernel(device: str) -> Callable[..., Any]:
    """Compiled, except on a CPU, where there is no backward pass and this only serves to check the numbers."""
    from torch.nn.attention.flex_attention import flex_attention

    # Packs differ in length; a kernel of its own for each would be compiled for most of a run.
    kernel: Callable[..., Any] = flex_attention
    return kernel if device == "cpu" else torch.compile(kernel, dynamic=True)
