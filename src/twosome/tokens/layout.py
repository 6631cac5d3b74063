"""The segments of a pack as an attention kernel takes them: filled up to a few sizes, side by side."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
from torch import Tensor

from twosome.tokens.blocks import Booleans, Integers
from twosome.tokens.packing import MULTIPLE, Pack
from twosome.tokens.segments import Segment

_PANEL = 192  # keys that a CPU matrix product sums in one go; from there to twice as many it splits them in halves
CALLS = {"cpu": 2048, "cuda": 500_000}
"""Pairs of queries and keys that cost about as much as one more call of the kernel, by kind of device.

For a GPU that is an estimate, a dozen launches of small kernels."""


@dataclass(frozen=True)
class Batch:
    """Segments of about one size, side by side.

    Attributes:
        queries: int64 [b, q], rows that attend, filled up.
        keys: int64 [b, k], rows they may attend to, filled up.
        mask: [b, 1, q, k], added to the logits.
    """

    queries: Tensor
    keys: Tensor
    mask: Tensor


@dataclass(frozen=True)
class Layout:
    """The segments of a pack as a kernel takes them.

    Attributes:
        batches: All of them.
        place: int64 [T], for every row the place of its output among all queries of all batches.
    """

    batches: tuple[Batch, ...]
    place: Tensor


def layout_of(pack: Pack, wanted: bool, window: int | None, like: Tensor) -> Layout:
    """The segments as the kernel takes them, worked out once per pack."""
    name = (wanted, window, like.dtype)
    if name not in pack.layouts:
        segments = pack.wanted if wanted else pack.segments
        positions = np.concatenate([pack.positions[0].cpu().numpy(), pack.before_positions])
        masks = [_windowed(segment, positions, window) for segment in segments]
        pack.layouts[name] = lay_out(segments, masks, pack.ids.shape[1], like)
    return cast(Layout, pack.layouts[name])


def _windowed(segment: Segment, positions: Integers, window: int | None) -> Booleans:
    """The segment's mask, restricted to keys fewer than ``window`` positions back."""
    if window is None:
        return segment.mask
    near: Booleans = positions[segment.queries][:, None] - positions[segment.key_rows][None, :] < window
    return segment.mask & near


def lay_out(segments: Sequence[Segment], masks: Sequence[Booleans], length: int, like: Tensor) -> Layout:
    """Segments of a row of ``length`` tokens with their masks [q, k], on the device and in the dtype of ``like``."""
    batches, done = [], 0
    place = np.zeros(length, dtype=np.int64)
    call = CALLS.get(like.device.type, CALLS["cuda"])
    for members in similar([mask.shape for mask in masks], call):
        height = _multiple(max(masks[i].shape[0] for i in members))
        width = key_width(max(masks[i].shape[1] for i in members))
        queries = np.zeros((len(members), height), dtype=np.int64)
        keys = np.zeros((len(members), width), dtype=np.int64)
        full = np.zeros((len(members), 1, height, width), dtype=bool)
        full[..., 0] = True  # what merely fills up attends to something, so that nothing is divided by 0
        for number, i in enumerate(members):
            q, k = masks[i].shape
            queries[number, :q] = segments[i].queries
            keys[number, :k] = segments[i].key_rows
            full[number, 0, :q, :k] = masks[i]
            place[segments[i].queries] = done + number * height + np.arange(q)
        done += len(members) * height
        batches.append(
            Batch(
                queries=torch.from_numpy(queries).to(like.device),
                keys=torch.from_numpy(keys).to(like.device),
                mask=_additive(full, like),
            )
        )
    return Layout(tuple(batches), torch.from_numpy(place).to(like.device))


def similar(shapes: Sequence[tuple[int, ...]], call: int) -> list[list[int]]:
    """Numbers of segments in groups, each to be filled up to one size.

    Of all ways to cut the segments, in order of size, into groups, the one with the fewest pairs of queries and keys.

    Args:
        shapes: How many queries and keys each has.
        call: As how many pairs one more group counts.
    """
    members: defaultdict[tuple[int, int], list[int]] = defaultdict(list)
    for number, (queries, keys) in enumerate(shapes):
        members[key_width(keys), _multiple(queries)].append(number)
    sizes = sorted(members, reverse=True)
    ways: list[tuple[int, int]] = [(0, 0)]  # for the first so many sizes: the cost, and where the last group begins
    for end in range(1, len(sizes) + 1):
        height, count, found = 0, 0, []
        for start in range(end - 1, -1, -1):
            width, own_height = sizes[start]  # widths fall, so a group has its first member's
            height, count = max(height, own_height), count + len(members[sizes[start]])
            found.append((ways[start][0] + count * height * width + call, start))
        ways.append(min(found))
    groups: list[list[int]] = []
    end = len(sizes)
    while end:
        start = ways[end][1]
        groups.append([number for size in sizes[start:end] for number in members[size]])
        end = start
    return groups


def _multiple(count: int) -> int:
    return -(-count // MULTIPLE) * MULTIPLE


def key_width(keys: int) -> int:
    """How many keys a segment's keys are filled up to.

    With this, and queries in multiples of :data:`MULTIPLE`, the fused CPU kernel gives a query the same numbers however
    many masked keys stand behind those it sees: whole vectors only, and no sum split at a place that depends on the
    length. So a prompt may be cut into segments anywhere. Whether that holds on this machine is tried when a model is
    loaded.
    """
    filled = -(-keys // 16) * 16
    return 2 * _PANEL if _PANEL < filled < 2 * _PANEL else filled


def _additive(mask: Booleans, like: Tensor) -> Tensor:
    """A boolean mask as numbers to add to logits."""
    zero = like.new_zeros(())
    return torch.where(torch.from_numpy(mask).to(like.device), zero, zero - torch.inf)
