"""Token ids to blocks: a prompt, and its actions as tries.

A decision is a *block*: its prompt, and its actions as a trie that hangs from the prompt's last token, so that tokens
shared by several actions are read once. An action's last token is never fed: it is only predicted.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from twosome.tokens.encoding import EncodedDecision

Integers = NDArray[np.int64]
Booleans = NDArray[np.bool_]

GROUP = 64
"""Most trie tokens that attend to each other in one go. Larger tries are cut between actions: attention grows with the
square, and the few tokens that two groups share are read twice."""
_SMALL = 512  # tokens of all actions up to which their tries are remembered


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
    actions = encoded.action_ids
    room = None if budget is None else budget - len(encoded.prompt_ids)
    if sum(map(len, actions)) <= _SMALL:
        whole = _known_branches(actions)
        if room is None or len(whole.ids) <= room or len(whole.groups) <= 1:
            return (_block(encoded, whole),)
    parts: list[list[_Trie]] = [[]]
    size = 0
    for trie in _tries(actions):
        if parts[-1] and room is not None and size + len(trie.parents) > room:
            parts.append([])
            size = 0
        parts[-1].append(trie)
        size += len(trie.parents)
    return tuple(_block(encoded, _branches(part)) for part in parts)


@dataclass(frozen=True, eq=False)
class _Branches:
    """Tries as they hang from the last token of any prompt, which counts as 0; as the fields of :class:`Block`."""

    ids: Integers
    depths: Integers
    groups: tuple[Booleans, ...]
    context: Integers
    targets: Integers
    action: Integers
    offset: Integers
    longest: int


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


def _tries(actions: Sequence[tuple[int, ...]]) -> Iterator[_Trie]:
    """The actions in tries of at most :data:`GROUP` nodes, a longer action alone."""
    trie = _Trie()
    # In lexicographic order, so that actions that begin alike are in one group.
    for action in sorted(range(len(actions)), key=actions.__getitem__):
        tokens = actions[action]
        if trie.scored and len(trie.ids) + trie.missing(tokens) > GROUP:
            yield trie
            trie = _Trie()
        trie.add(action, tokens)
    yield trie


@lru_cache(512)
def _known_branches(actions: tuple[tuple[int, ...], ...]) -> _Branches:
    """All tries of some actions, remembered: the same choices come again behind other prompts."""
    return _branches(list(_tries(actions)))


def _branches(tries: Sequence[_Trie]) -> _Branches:
    starts = np.cumsum([0, *(len(trie.ids) for trie in tries)]).tolist()
    scored = [
        (0 if node < 0 else 1 + start + node, token, action, offset)
        for start, trie in zip(starts, tries, strict=False)
        for node, token, action, offset in trie.scored
    ]
    context, targets, actions, offsets = np.array(scored, dtype=np.int64).reshape(-1, 4).T
    return _Branches(
        ids=integers([token for trie in tries for token in trie.ids]),
        depths=integers([1 + depth for trie in tries for depth in trie.depths]),
        groups=tuple(trie.mask() for trie in tries if trie.ids),
        context=context,
        targets=targets,
        action=actions,
        offset=offsets,
        longest=int(offsets.max()) + 1 if len(offsets) else 0,
    )


def _block(encoded: EncodedDecision, branches: _Branches) -> Block:
    last = len(encoded.prompt_ids) - 1
    return Block(
        prompt_ids=encoded.prompt_ids,
        tree_ids=branches.ids,
        tree_positions=last + branches.depths,
        groups=branches.groups,
        context=last + branches.context,
        targets=branches.targets,
        action=branches.action,
        offset=branches.offset,
        shape=(len(encoded.action_ids), branches.longest),
    )


def integers(values: Sequence[int]) -> Integers:
    """Whole numbers as an array."""
    return np.array(values, dtype=np.int64)


def tree_mask(length: int, groups: Sequence[Booleans]) -> Booleans:
    """Ancestor-or-self mask [L, L] of ``length`` prompt tokens and the tries that hang from the last of them."""
    total = length + sum(map(len, groups))
    mask = np.zeros((total, total), dtype=bool)
    mask[:length, :length] = np.tri(length, dtype=bool)
    mask[length:, :length] = True
    start = length
    for group in groups:
        end = start + len(group)
        mask[start:end, start:end] = group
        start = end
    return mask
