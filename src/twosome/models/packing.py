"""Token ids to packs: every decision one block, every block read once.

A decision's prompt is read once and its actions hang from the prompt's last token as a trie, so that tokens shared by
several actions are read once too. An action's last token is never fed: it is only predicted. Blocks stand side by side
in one packed row; a token attends to its own ancestors and to nothing of any other block, so its scores do not depend
on what else is in the pack.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from twosome.models.encoding import EncodedDecision


@dataclass(frozen=True, eq=False)
class Block:
    """One decision, ready to be read in one pass. L tokens are fed, M tokens are scored.

    Attributes:
        ids: int64 [L], the prompt's tokens, then the trie's inner nodes.
        positions: int64 [L], depth of each token: its position in the sentence it belongs to.
        mask: bool [L, L], True where the row's token may attend to the column's.
        last: Index of the prompt's last token.
        context: int64 [M], index of the token whose output predicts each scored token.
        targets: int64 [M], the scored tokens.
        action: int64 [M], which action each scored token belongs to.
        offset: int64 [M], its place in that action.
        shape: (A, K): how many actions, and tokens in the longest.
    """

    ids: Tensor
    positions: Tensor
    mask: Tensor
    last: int
    context: Tensor
    targets: Tensor
    action: Tensor
    offset: Tensor
    shape: tuple[int, int]

    def __len__(self) -> int:
        return len(self.ids)


def build_block(encoded: EncodedDecision) -> Block:
    """The block of one encoded decision; with no actions, of a prompt alone."""
    ids = list(encoded.prompt_ids)
    parents = list(range(-1, len(ids) - 1))
    last = len(ids) - 1
    children: dict[tuple[int, int], int] = {}
    scored: list[tuple[int, int, int, int]] = []
    for action, tokens in enumerate(encoded.action_ids):
        node = last
        for offset, token in enumerate(tokens):
            scored.append((node, token, action, offset))
            if offset == len(tokens) - 1:
                break
            child = children.get((node, token))
            if child is None:
                child = children[node, token] = len(ids)
                ids.append(token)
                parents.append(node)
            node = child
    context, targets, actions, offsets = torch.tensor(scored, dtype=torch.long).reshape(-1, 4).T.contiguous()
    mask, positions = _ancestors(parents)
    widest = max(map(len, encoded.action_ids), default=0)
    return Block(
        ids=torch.tensor(ids),
        positions=positions,
        mask=mask,
        last=last,
        context=context,
        targets=targets,
        action=actions,
        offset=offsets,
        shape=(len(encoded.action_ids), widest),
    )


def _ancestors(parents: Sequence[int]) -> tuple[Tensor, Tensor]:
    """Ancestor-or-self mask [L, L] and depths [L] of a forest whose parents come before their children."""
    mask = np.zeros((len(parents), len(parents)), dtype=bool)
    for node, parent in enumerate(parents):
        if parent >= 0:
            mask[node] = mask[parent]
        mask[node, node] = True
    tensor = torch.from_numpy(mask)
    return tensor, tensor.sum(-1) - 1


@dataclass(frozen=True, eq=False)
class Pack:
    """Blocks side by side in one row of T tokens.

    Attributes:
        ids: int64 [1, T].
        positions: int64 [1, T].
        bounds: For every block where it starts and ends in the row.
        masks: For every block its bool [L, L] attention mask.
        readers: The attention layers that honoured the bounds, filled in while the pack is read.
    """

    ids: Tensor
    positions: Tensor
    bounds: tuple[tuple[int, int], ...]
    masks: tuple[Tensor, ...]
    readers: set[int] = field(default_factory=set)


MULTIPLE = 8
"""Packs are filled up to a multiple of this many tokens.

On a CPU, matrix products of fewer than 4 rows go through other kernels, and elementwise functions treat the last few
numbers of a tensor by scalar code, each with its own rounding. With whole multiples a token's numbers do not depend on
how many others are in the pack, so that the same decision scores the same to the last bit in rollout and update.
"""


def build_pack(blocks: Sequence[Block], device: torch.device) -> Pack:
    """Put blocks side by side on ``device``, and fill up to a multiple of :data:`MULTIPLE` tokens."""
    missing = -sum(len(block) for block in blocks) % MULTIPLE
    if missing:
        blocks = [*blocks, build_block(EncodedDecision((0,) * missing, ()))]
    ends = np.cumsum([len(block) for block in blocks]).tolist()
    starts = [0, *ends[:-1]]
    return Pack(
        ids=torch.cat([block.ids for block in blocks]).unsqueeze(0).to(device),
        positions=torch.cat([block.positions for block in blocks]).unsqueeze(0).to(device),
        bounds=tuple(zip(starts, ends, strict=True)),
        masks=tuple(block.mask.to(device) for block in blocks),
    )


def split_by_budget(lengths: Sequence[int], budget: int) -> Iterator[range]:
    """Consecutive ranges whose lengths add up to at most ``budget``; a longer item stands alone."""
    start, total = 0, 0
    for index, length in enumerate(lengths):
        if index > start and total + length > budget:
            yield range(start, index)
            start, total = index, 0
        total += length
    if start < len(lengths):
        yield range(start, len(lengths))
