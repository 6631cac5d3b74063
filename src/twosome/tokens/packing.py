"""Blocks to packs: every token read once, whoever shares it.

Blocks (:mod:`twosome.tokens.blocks`) stand side by side in one packed row. Where several prompts begin alike, the
common beginning stands there once as well, so a pack is a tree of *segments*: a token attends to the segments above its
own and to its ancestors within it, to nothing else. Its scores do not depend on what else is in the pack.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from twosome.tokens.blocks import GROUP, Block, Booleans, Integers, integers, tree_mask
from twosome.tokens.segments import Segment, Span, joined, restricted, rows_of

MULTIPLE = 8
"""Packs, and the rows of every matrix product, are filled up to a multiple of this many tokens.

On a CPU, matrix products of fewer than 4 rows go through other kernels, and elementwise functions treat the last few
numbers of a tensor by scalar code, each with its own rounding. With whole multiples a token's numbers do not depend on
how many others are in the pack, so that the same decision scores the same to the last bit in rollout and update.
"""

WORTH_SHARING = 8
"""A common beginning gets a segment of its own if that saves at least this many tokens."""

_BEFORE = 2**40  # rows from here on were read before, while a pack is built


LayersRead = dict[int, tuple[Tensor, Tensor]]
"""Keys [n, heads * D] and values [n, heads * E] of n tokens, by ``id`` of the attention module."""


@dataclass(frozen=True, eq=False)
class Pack:
    """Blocks in one row of T tokens.

    Attributes:
        ids: int64 [1, T].
        positions: int64 [1, T].
        segments: Every row is a query of exactly one of them.
        wanted: The same for the rows alone whose output is wanted; the last layer needs no others.
        rows: int64 [R], whose output is wanted, in ascending order, filled up to a multiple of :data:`MULTIPLE`.
        row_of: int64 [M], for every scored token, block after block, the place in ``rows`` that predicts it.
        targets: int64 [M], the scored tokens, likewise.
        lasts: int64 [B], for every block the place in ``rows`` of its prompt's last token.
        members: For every block the rows [L] of its tokens.
        distinct: int64 [D], a row of every distinct token, filled up to a multiple of :data:`MULTIPLE`.
        kind: int64 [T], for every row the place of its token in ``distinct``.
        layouts: What attention works out from the segments, kept for the next layer.
        readers: The attention layers that honoured the segments, filled in while the pack is read.
        prompts: The prompts of the blocks.
        before: Beginnings of prompts that are not among the T rows, as they were read before: in which reading, and
            which rows of it. Keys of segments count them behind the rows, one after the other.
        before_positions: Their positions.
        known: Where they come from, and the prompts of this pack go to; or None.
        kept: Takes the keys and values of every layer for that.
    """

    ids: Tensor
    positions: Tensor
    segments: tuple[Segment, ...]
    wanted: tuple[Segment, ...]
    rows: Tensor
    row_of: Tensor
    targets: Tensor
    lasts: Tensor
    members: tuple[Integers, ...]
    distinct: Tensor
    kind: Tensor
    layouts: dict[object, object] = field(default_factory=dict)
    readers: dict[int, int | None] = field(default_factory=dict)
    before: tuple[tuple[LayersRead, Tensor], ...] = ()
    before_positions: Integers = field(default_factory=lambda: integers(()))
    prompts: tuple[tuple[int, ...], ...] = ()
    known: Known | None = None
    kept: LayersRead = field(default_factory=dict)

    def with_beginnings(self, layer: int, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Keys [n, heads * D] and values of a layer: those of the T rows, and behind them those read before."""
        if self.known is None:
            return keys, values
        if self.before:
            known = [(read[layer], rows) for read, rows in self.before]
            keys = torch.cat([keys, *(each.index_select(0, rows) for (each, _), rows in known)])
            values = torch.cat([values, *(each.index_select(0, rows) for (_, each), rows in known)])
        self.kept[layer] = keys, values
        return keys, values

    def whole(self) -> Pack:
        """The same, with the output of every row wanted."""
        rows = torch.arange(self.ids.shape[1], device=self.ids.device)
        row_of, lasts = self.rows[self.row_of], self.rows[self.lasts]
        return replace(self, rows=rows, row_of=row_of, lasts=lasts, wanted=self.segments)

    def remember(self) -> None:
        """It was read: hand what its prompts are on to where that is remembered, if anywhere."""
        if self.known is not None:
            self.known.add(self)


class PromptRead(Protocol):
    """A prompt that was read."""

    def held(self) -> tuple[LayersRead, Integers]:
        """Keys and values of a reading, and the rows that its tokens have there, in order."""
        ...


class Known(Protocol):
    """What is remembered of prompts that were read before."""

    def longest(self, ids: Sequence[int], most: int) -> tuple[PromptRead, int] | None:
        """What begins most as ``ids`` does, and how many tokens of it agree, at most ``most``."""
        ...

    def add(self, pack: Pack) -> None:
        """Remember the prompts of a pack that was read."""
        ...


def build_pack(
    blocks: Sequence[Block], device: torch.device, *, share: bool = True, known: Known | None = None
) -> Pack:
    """Put blocks into one row on ``device``.

    Args:
        blocks: In the order of their prompts' tokens, so that those that begin alike are neighbours.
        device: Where the tensors go.
        share: Whether common beginnings of prompts are read once.
        known: Beginnings that need not be read again.
    """
    builder = _Builder(blocks, known)
    if share:
        builder.grow(range(len(blocks)), 0, ())
    else:
        for index in range(len(blocks)):
            builder.leaf(index, 0, ())
    return builder.pack(device)


class _Builder:
    """Lays out the rows of a pack."""

    def __init__(self, blocks: Sequence[Block], known: Known | None = None) -> None:
        self.blocks = blocks
        self.known = known
        self.common = [common_prefix(a.prompt_ids, b.prompt_ids) for a, b in pairwise(blocks)]
        self.reach = [known and known.longest(block.prompt_ids, len(block.prompt_ids) - 1) for block in blocks]
        self.before: dict[PromptRead, tuple[int, int]] = {}  # where each that is made use of begins, and its length
        self.ids: list[Integers] = []
        self.positions: list[Integers] = []
        self.segments: list[Segment] = []
        self.length = 0
        self.contexts: list[Integers] = [np.empty(0, dtype=np.int64)] * len(blocks)
        self.lasts = [0] * len(blocks)
        self.members: list[Integers] = [np.empty(0, dtype=np.int64)] * len(blocks)

    def grow(self, members: range, depth: int, above: tuple[Span, ...]) -> None:
        """Lay out the blocks ``members``, whose first ``depth`` prompt tokens stand in the spans ``above``."""
        if len(members) == 1:
            self.leaf(members[0], depth, above)
            return
        common = self.common[members.start : members.stop - 1]
        shared = min(common)
        depth, above = self._recalled(members, shared, depth, above)
        # Who remembers what comes after it has no use for it.
        readers = sum(self._remembered(index) - shared < WORTH_SHARING for index in members)
        if (shared - depth) * (readers - 1) >= WORTH_SHARING:
            above = self._chain(self.blocks[members.start].prompt_ids[depth:shared], depth, above)
            depth = shared
        cuts = [members.start, *(members.start + i + 1 for i, c in enumerate(common) if c == shared), members.stop]
        for start, end in pairwise(cuts):
            self.grow(range(start, end), depth, above)

    def leaf(self, index: int, depth: int, above: tuple[Span, ...]) -> None:
        """Lay out what one block has to itself: the rest of its prompt, and its tries."""
        block = self.blocks[index]
        depth, above = self._recalled(range(index, index + 1), len(block.prompt_ids) - 1, depth, above)
        rest = block.prompt_ids[depth:]
        start = self.length
        tree = start + len(rest)
        if sum(map(len, block.groups)) <= GROUP:
            mask = tree_mask(len(rest), block.groups)
            self._append(np.array([*rest, *block.tree_ids]), self._positions(block, depth), above, mask)
        else:
            prompt = self._chain(rest, depth, above)
            done = 0
            for group in block.groups:
                part = slice(done, done + len(group))
                self._append(block.tree_ids[part], block.tree_positions[part], prompt, group)
                done += len(group)
        last = tree - 1
        self.lasts[index] = last
        self.members[index] = rows_of((*above, (start, self.length)))
        self.contexts[index] = np.where(
            block.context < len(block.prompt_ids), last, block.context - len(block.prompt_ids) + tree
        )

    def _remembered(self, index: int) -> int:
        """How much of a block's prompt is remembered."""
        found = self.reach[index]
        return found[1] if found else 0

    def _recalled(self, members: range, most: int, depth: int, above: tuple[Span, ...]) -> tuple[int, tuple[Span, ...]]:
        """How far ``members`` need not be read, and where that stands: as it was, or as remembered if that is more.

        At most what they share, ``most``; so what is remembered of any of them does for all.
        """
        found = self.reach[max(members, key=self._remembered)]
        if not found or min(found[1], most) - depth < WORTH_SHARING:
            return depth, above
        read, count = found[0], min(found[1], most)
        if read not in self.before:
            length = max(reach[1] for reach in self.reach if reach and reach[0] is read)
            self.before[read] = _BEFORE + sum(taken for _, taken in self.before.values()), length
        start, _ = self.before[read]
        return count, ((start, start + count),)

    def _settle(self, device: torch.device) -> tuple[tuple[tuple[LayersRead, Tensor], ...], Integers]:
        """What was read before and its positions, with a place behind all rows, now that their number is known.

        What comes from one reading stands together, so that it is fetched in one go.
        """
        readings: dict[int, tuple[LayersRead, list[tuple[int, Integers]]]] = {}
        for read, (start, length) in self.before.items():
            layers, rows = read.held()
            readings.setdefault(id(layers), (layers, []))[1].append((start, rows[:length]))
        ordered = [part for _, parts in readings.values() for part in parts]
        places = self.length + np.cumsum([0, *(len(rows) for _, rows in ordered)])
        place = {start: int(place) for (start, _), place in zip(ordered, places, strict=False)}

        def settled(span: Span) -> Span:
            return span if span[0] < _BEFORE else (place[span[0]], place[span[0]] + span[1] - span[0])

        self.segments = [Segment(each.queries, tuple(map(settled, each.keys)), each.mask) for each in self.segments]
        # (If any of a prompt's tokens were read before, its first was.)
        self.members = [
            np.where(rows < _BEFORE, rows, rows - rows[0] + place.get(int(rows[0]), 0)) for rows in self.members
        ]
        fetched = [(layers, np.concatenate([rows for _, rows in parts])) for layers, parts in readings.values()]
        positions = np.concatenate([np.arange(len(rows)) for _, rows in ordered])
        return tuple((layers, torch.from_numpy(rows).to(device)) for layers, rows in fetched), positions

    def pack(self, device: torch.device) -> Pack:
        """The finished pack, filled up to a multiple of :data:`MULTIPLE` tokens."""
        missing = -self.length % MULTIPLE
        if missing:
            self._chain((0,) * missing, 0, ())
        before, before_positions = self._settle(device) if self.before else ((), integers(()))
        contexts = np.concatenate(self.contexts)
        needed = np.unique(np.concatenate([contexts, self.lasts]))
        rows = _filled(needed, self.length)
        targets = np.concatenate([block.targets for block in self.blocks])
        ids = np.concatenate(self.ids)
        _, distinct, kind = np.unique(ids, return_index=True, return_inverse=True)
        distinct = np.pad(distinct, (0, -len(distinct) % MULTIPLE))
        return Pack(
            ids=torch.from_numpy(ids).unsqueeze(0).to(device),
            positions=torch.from_numpy(np.concatenate(self.positions)).unsqueeze(0).to(device),
            segments=tuple(self.segments),
            wanted=tuple(restricted(self.segments, needed, self.length)),
            rows=torch.from_numpy(rows).to(device),
            row_of=torch.from_numpy(np.searchsorted(rows, contexts)).to(device),
            targets=torch.from_numpy(targets).to(device),
            lasts=torch.from_numpy(np.searchsorted(rows, self.lasts)).to(device),
            members=tuple(self.members),
            distinct=torch.from_numpy(distinct).to(device),
            kind=torch.from_numpy(kind).to(device),
            prompts=tuple(block.prompt_ids for block in self.blocks),
            before=before,
            before_positions=before_positions,
            known=self.known,
        )

    def _positions(self, block: Block, depth: int) -> Integers:
        return np.concatenate([np.arange(depth, len(block.prompt_ids)), block.tree_positions])

    def _chain(self, ids: Sequence[int], depth: int, above: tuple[Span, ...]) -> tuple[Span, ...]:
        """Lay out a run of prompt tokens; returns the spans down to its end."""
        mask = np.tri(len(ids), dtype=bool)
        return self._append(integers(ids), np.arange(depth, depth + len(ids)), above, mask)

    def _append(self, ids: Integers, positions: Integers, above: tuple[Span, ...], own: Booleans) -> tuple[Span, ...]:
        start, end = self.length, self.length + len(ids)
        self.ids.append(ids)
        self.positions.append(positions)
        keys = joined((*above, (start, end)))
        seen = np.ones((len(ids), sum(b - a for a, b in above)), dtype=bool)
        self.segments.append(Segment(np.arange(start, end), keys, np.concatenate([seen, own], axis=1)))
        self.length = end
        return keys


def common_prefix(a: Sequence[int], b: Sequence[int]) -> int:
    """How many tokens two prompts share at the front; each keeps at least one to itself."""
    limit = min(len(a), len(b)) - 1
    return next((i for i in range(limit) if a[i] != b[i]), limit)


def _filled(needed: Integers, length: int) -> Integers:
    """``needed`` rows and as many others as make a multiple of :data:`MULTIPLE`, each once, in ascending order."""
    others = np.ones(length, dtype=bool)
    others[needed] = False
    missing = -len(needed) % MULTIPLE
    return np.sort(np.concatenate([needed, np.flatnonzero(others)[:missing]]))
