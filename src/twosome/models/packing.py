"""Token ids to packs: every prompt token and every action token read once, whoever shares it.

A decision is a *block*: its prompt, and its actions as a trie that hangs from the prompt's last token, so that tokens
shared by several actions are read once. An action's last token is never fed: it is only predicted. Blocks stand side by
side in one packed row. Where several prompts begin alike, the common beginning stands there once as well, so a pack is
a tree of *segments*: a token attends to the segments above its own and to its ancestors within it, to nothing else. Its
scores do not depend on what else is in the pack.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from twosome.models.encoding import EncodedDecision

Integers = NDArray[np.int64]
Booleans = NDArray[np.bool_]
Span = tuple[int, int]

MULTIPLE = 8
"""Packs, and the rows of every matrix product, are filled up to a multiple of this many tokens.

On a CPU, matrix products of fewer than 4 rows go through other kernels, and elementwise functions treat the last few
numbers of a tensor by scalar code, each with its own rounding. With whole multiples a token's numbers do not depend on
how many others are in the pack, so that the same decision scores the same to the last bit in rollout and update.
"""

GROUP = 64
"""Most trie tokens that attend to each other in one go. Larger tries are cut between actions: attention grows with the
square, and the few tokens that two groups share are read twice."""

WORTH_SHARING = 24
"""A common beginning gets a segment of its own if that saves at least this many tokens."""


@dataclass(frozen=True, eq=False)
class Block:
    """One decision, or some actions of a very large one. L tokens are fed, M tokens are scored.

    Attributes:
        prompt_ids: The prompt's n tokens.
        tree_ids: [L - n], the tries' inner nodes, group by group, parents before children.
        tree_positions: [L - n], depth of each: its position in the sentence it belongs to.
        groups: For every group of the trie its ancestor-or-self mask [g, g].
        context: [M], index of the token whose output predicts each scored token; the prompt's last is n - 1.
        targets: [M], the scored tokens.
        action: [M], which action each scored token belongs to.
        offset: [M], its place in that action.
        shape: (A, K): how many actions the decision has, and tokens in the longest of this block.
    """

    prompt_ids: tuple[int, ...]
    tree_ids: Integers
    tree_positions: Integers
    groups: tuple[Booleans, ...]
    context: Integers
    targets: Integers
    action: Integers
    offset: Integers
    shape: tuple[int, int]

    def __len__(self) -> int:
        return len(self.prompt_ids) + len(self.tree_ids)

    @property
    def nbytes(self) -> int:
        """Memory it takes, about."""
        arrays = (self.tree_ids, self.tree_positions, self.context, self.targets, self.action, self.offset)
        return 8 * len(self.prompt_ids) + sum(array.nbytes for array in (*arrays, *self.groups)) + 500


def build_blocks(encoded: EncodedDecision, budget: int | None = None) -> tuple[Block, ...]:
    """The blocks of one encoded decision: one, or several of at most ``budget`` tokens each if that is possible.

    With no actions, it is the block of a prompt alone.
    """
    if not encoded.action_ids:
        return (_block(encoded, ()),)
    # In lexicographic order, so that actions that begin alike are in one group.
    order = sorted(range(len(encoded.action_ids)), key=lambda action: encoded.action_ids[action])
    parts: list[list[_Trie]] = [[]]
    room = None if budget is None else budget - len(encoded.prompt_ids)
    size = 0
    for trie in _tries(encoded, order):
        if parts[-1] and room is not None and size + len(trie.parents) > room:
            parts.append([])
            size = 0
        parts[-1].append(trie)
        size += len(trie.parents)
    return tuple(_block(encoded, part) for part in parts)


class _Trie:
    """Some actions of a decision. Node -1 is the prompt's last token."""

    def __init__(self) -> None:
        self.ids: list[int] = []
        self.parents: list[int] = []
        self.depths: list[int] = []
        self.scored: list[tuple[int, int, int, int]] = []  # node, token, action, offset
        self._children: dict[tuple[int, int], int] = {}

    def missing(self, tokens: tuple[int, ...]) -> int:
        """How many nodes an action would add."""
        node = -1
        for offset, token in enumerate(tokens[:-1]):
            child = self._children.get((node, token))
            if child is None:
                return len(tokens) - 1 - offset
            node = child
        return 0

    def add(self, action: int, tokens: tuple[int, ...]) -> None:
        """Add an action; its last token is scored, but no node."""
        node = -1
        for offset, token in enumerate(tokens):
            self.scored.append((node, token, action, offset))
            if offset == len(tokens) - 1:
                break
            child = self._children.get((node, token))
            if child is None:
                child = self._children[node, token] = len(self.ids)
                self.ids.append(token)
                self.parents.append(node)
                self.depths.append(offset)
            node = child

    def mask(self) -> Booleans:
        """Ancestor-or-self mask [g, g]."""
        mask = np.zeros((len(self.parents), len(self.parents)), dtype=bool)
        for node, parent in enumerate(self.parents):
            if parent >= 0:
                mask[node] = mask[parent]
            mask[node, node] = True
        return mask


def _tries(encoded: EncodedDecision, order: Sequence[int]) -> Iterator[_Trie]:
    """The actions in tries of at most :data:`GROUP` nodes, a longer action alone."""
    trie = _Trie()
    for action in order:
        tokens = encoded.action_ids[action]
        if trie.scored and len(trie.ids) + trie.missing(tokens) > GROUP:
            yield trie
            trie = _Trie()
        trie.add(action, tokens)
    yield trie


def _block(encoded: EncodedDecision, tries: Sequence[_Trie]) -> Block:
    last = len(encoded.prompt_ids) - 1
    starts = np.cumsum([0, *(len(trie.ids) for trie in tries)]).tolist()
    scored = [
        (last if node < 0 else last + 1 + start + node, token, action, offset)
        for start, trie in zip(starts, tries, strict=False)
        for node, token, action, offset in trie.scored
    ]
    context, targets, actions, offsets = np.array(scored, dtype=np.int64).reshape(-1, 4).T
    return Block(
        prompt_ids=encoded.prompt_ids,
        tree_ids=_integers([token for trie in tries for token in trie.ids]),
        tree_positions=_integers([last + 1 + depth for trie in tries for depth in trie.depths]),
        groups=tuple(trie.mask() for trie in tries if trie.ids),
        context=context,
        targets=targets,
        action=actions,
        offset=offsets,
        shape=(len(encoded.action_ids), int(offsets.max()) + 1 if len(offsets) else 0),
    )


def _integers(values: Sequence[int]) -> Integers:
    return np.array(values, dtype=np.int64)


@dataclass(frozen=True, eq=False)
class Segment:
    """Some rows of a pack and all that they may attend to.

    Attributes:
        queries: Rows [q] that attend.
        keys: Spans of rows they may attend to, in the order of the sentence.
        mask: bool [q, k], True where the row may attend to the key.
    """

    queries: Integers
    keys: tuple[Span, ...]
    mask: Booleans


@dataclass(frozen=True, eq=False)
class Pack:
    """Blocks in one row of T tokens.

    Attributes:
        ids: int64 [1, T].
        positions: int64 [1, T].
        segments: Every row is a query of exactly one of them.
        wanted: The same for the rows alone whose output is wanted; the last layer needs no others.
        rows: int64 [R], whose output is wanted, in ascending order, filled up to a multiple of :data:`MULTIPLE`.
        row_of: int64 [M], for every scored token the place in ``rows`` that predicts it, in ascending order.
        targets: int64 [M], the scored tokens, likewise.
        order: int64 [M], where each token of the blocks, block after block, stands in that order.
        lasts: int64 [B], for every block the place in ``rows`` of its prompt's last token.
        members: For every block the rows [L] of its tokens.
        layouts: What attention works out from the segments, kept for the next layer.
        readers: The attention layers that honoured the segments, filled in while the pack is read.
    """

    ids: Tensor
    positions: Tensor
    segments: tuple[Segment, ...]
    wanted: tuple[Segment, ...]
    rows: Tensor
    row_of: Tensor
    targets: Tensor
    order: Tensor
    lasts: Tensor
    members: tuple[Integers, ...]
    layouts: dict[object, object] = field(default_factory=dict)
    readers: dict[int, int | None] = field(default_factory=dict)


def build_pack(blocks: Sequence[Block], device: torch.device, *, share: bool = True) -> Pack:
    """Put blocks into one row on ``device``.

    Args:
        blocks: In the order of their prompts' tokens, so that those that begin alike are neighbours.
        device: Where the tensors go.
        share: Whether common beginnings of prompts are read once.
    """
    builder = _Builder(blocks)
    if share:
        builder.grow(range(len(blocks)), 0, ())
    else:
        for index in range(len(blocks)):
            builder.leaf(index, 0, ())
    return builder.pack(device)


class _Builder:
    """Lays out the rows of a pack."""

    def __init__(self, blocks: Sequence[Block]) -> None:
        self.blocks = blocks
        self.common = [_common_prefix(a.prompt_ids, b.prompt_ids) for a, b in pairwise(blocks)]
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
        if (shared - depth) * (len(members) - 1) >= WORTH_SHARING:
            above = self._chain(self.blocks[members.start].prompt_ids[depth:shared], depth, above)
            depth = shared
        cuts = [members.start, *(members.start + i + 1 for i, c in enumerate(common) if c == shared), members.stop]
        for start, end in pairwise(cuts):
            self.grow(range(start, end), depth, above)

    def leaf(self, index: int, depth: int, above: tuple[Span, ...]) -> None:
        """Lay out what one block has to itself: the rest of its prompt, and its tries."""
        block = self.blocks[index]
        rest = block.prompt_ids[depth:]
        start = self.length
        tree = start + len(rest)
        if sum(map(len, block.groups)) <= GROUP:
            mask = _causal_then(len(rest), block.groups[0] if block.groups else np.zeros((0, 0), dtype=bool))
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
        self.members[index] = np.concatenate([*(np.arange(a, b) for a, b in above), np.arange(start, self.length)])
        self.contexts[index] = np.where(
            block.context < len(block.prompt_ids), last, block.context - len(block.prompt_ids) + tree
        )

    def pack(self, device: torch.device) -> Pack:
        """The finished pack, filled up to a multiple of :data:`MULTIPLE` tokens."""
        missing = -self.length % MULTIPLE
        if missing:
            self._chain((0,) * missing, 0, ())
        contexts = np.concatenate(self.contexts)
        needed = np.unique(np.concatenate([contexts, self.lasts]))
        rows = _filled(needed, self.length)
        row_of = np.searchsorted(rows, contexts)
        order = np.argsort(row_of, kind="stable")
        targets = np.concatenate([block.targets for block in self.blocks])
        return Pack(
            ids=torch.from_numpy(np.concatenate(self.ids)).unsqueeze(0).to(device),
            positions=torch.from_numpy(np.concatenate(self.positions)).unsqueeze(0).to(device),
            segments=tuple(self.segments),
            wanted=tuple(_restricted(self.segments, needed)),
            rows=torch.from_numpy(rows).to(device),
            row_of=torch.from_numpy(row_of[order]).to(device),
            targets=torch.from_numpy(targets[order]).to(device),
            order=torch.from_numpy(np.argsort(order)).to(device),
            lasts=torch.from_numpy(np.searchsorted(rows, self.lasts)).to(device),
            members=tuple(self.members),
        )

    def _positions(self, block: Block, depth: int) -> Integers:
        return np.concatenate([np.arange(depth, len(block.prompt_ids)), block.tree_positions])

    def _chain(self, ids: Sequence[int], depth: int, above: tuple[Span, ...]) -> tuple[Span, ...]:
        """Lay out a run of prompt tokens; returns the spans down to its end."""
        mask = np.tri(len(ids), dtype=bool)
        return self._append(_integers(ids), np.arange(depth, depth + len(ids)), above, mask)

    def _append(self, ids: Integers, positions: Integers, above: tuple[Span, ...], own: Booleans) -> tuple[Span, ...]:
        start, end = self.length, self.length + len(ids)
        self.ids.append(ids)
        self.positions.append(positions)
        keys = _joined((*above, (start, end)))
        seen = np.ones((len(ids), sum(b - a for a, b in above)), dtype=bool)
        self.segments.append(Segment(np.arange(start, end), keys, np.concatenate([seen, own], axis=1)))
        self.length = end
        return keys


def _common_prefix(a: Sequence[int], b: Sequence[int]) -> int:
    """How many tokens two prompts share at the front; each keeps at least one to itself."""
    limit = min(len(a), len(b)) - 1
    return next((i for i in range(limit) if a[i] != b[i]), limit)


def _causal_then(length: int, group: Booleans) -> Booleans:
    """Mask of ``length`` prompt tokens and the trie that hangs from the last of them."""
    total = length + len(group)
    mask = np.zeros((total, total), dtype=bool)
    mask[:length, :length] = np.tri(length, dtype=bool)
    mask[length:, :length] = True
    mask[length:, length:] = group
    return mask


def _joined(spans: Sequence[Span]) -> tuple[Span, ...]:
    """The same rows with adjoining spans made one."""
    joined: list[Span] = []
    for start, end in spans:
        if joined and joined[-1][1] == start:
            joined[-1] = (joined[-1][0], end)
        else:
            joined.append((start, end))
    return tuple(joined)


def _filled(needed: Integers, length: int) -> Integers:
    """``needed`` rows and as many others as make a multiple of :data:`MULTIPLE`, each once, in ascending order."""
    missing = -len(needed) % MULTIPLE
    others = np.setdiff1d(np.arange(length), needed, assume_unique=True)[:missing]
    return np.sort(np.concatenate([needed, others]))


def _restricted(segments: Sequence[Segment], rows: Integers) -> Iterator[Segment]:
    """Segments with the queries among ``rows`` alone."""
    for segment in segments:
        chosen = np.isin(segment.queries, rows, assume_unique=True)
        if chosen.any():
            yield Segment(segment.queries[chosen], segment.keys, segment.mask[chosen])


def split_by_budget(blocks: Sequence[Block], budget: int, *, share: bool = True) -> Iterator[range]:
    """Consecutive ranges of blocks, each of at most ``budget`` tokens once shared; a longer block stands alone.

    Args:
        blocks: In the order of their prompts' tokens.
        budget: Most tokens in a range.
        share: Whether common beginnings count once.
    """
    start, total = 0, 0
    for index, block in enumerate(blocks):
        length = len(block)
        if share and index > start:
            common = _common_prefix(blocks[index - 1].prompt_ids, block.prompt_ids)
            length -= common if common >= WORTH_SHARING else 0
        if index > start and total + length > budget:
            yield range(start, index)
            start, total, length = index, 0, len(block)
        total += length
    if start < len(blocks):
        yield range(start, len(blocks))


def block_mask(block: Block) -> Booleans:
    """Ancestor-or-self mask [L, L] of a whole block."""
    length = len(block.prompt_ids)
    mask = np.zeros((len(block), len(block)), dtype=bool)
    mask[:length, :length] = np.tri(length, dtype=bool)
    mask[length:, :length] = True
    start = length
    for group in block.groups:
        end = start + len(group)
        mask[start:end, start:end] = group
        start = end
    return mask
