"""How prompts begin, remembered as keys and values, so that the next that begins alike is read from there on.

A token's keys and values depend on it and on those before it, not on what else is in a pack, to the last bit
(:mod:`twosome.tokens.packing`). So those of one reading do for the next, for as long as no weight changes.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from twosome.scoring.memory import LIMIT, Memory
from twosome.tokens.blocks import Integers
from twosome.tokens.packing import LayersRead, Pack, common_prefix

PromptIds = tuple[int, ...]
WORTH_RECALLING = 32
"""Fewer tokens are read anew: to fetch what is remembered costs several small operations a layer."""


_RECENT = 4
"""Readings whose keys and values are left where they are: what was read last is what most prompts go on from."""


@dataclass(eq=False)
class Read:
    """A prompt that was read.

    Attributes:
        layers: Keys and values of all rows of its pack, or of its own alone.
        rows: Which of them are its own.
        recent: Whether its pack was read a short while ago, and is likely to be remembered as a whole.
    """

    layers: LayersRead
    rows: Integers
    recent: bool = True

    def held(self) -> tuple[LayersRead, Integers]:
        """Keys and values of some rows, and which of them are its tokens', in order.

        From an older pack they are copied out when they are first needed, so that they do not hold all of it.
        """
        first = next(iter(self.layers.values()))[0]
        if not self.recent and len(self.rows) < len(first):
            index = torch.from_numpy(self.rows)
            pairs = self.layers.items()
            self.layers = {layer: (k.index_select(0, index), v.index_select(0, index)) for layer, (k, v) in pairs}
            self.rows = np.arange(len(index))
        return self.layers, self.rows


class Beginnings:
    """Keys and values of prompts that were read, within bounds.

    Holds for one state of the weights, adapter on or off: whoever changes that takes another.

    Args:
        limit: Most bytes; the least recently used goes first.
    """

    def __init__(self, limit: int = LIMIT) -> None:
        self._memory: Memory[PromptIds, Read] = Memory(limit)
        self._sorted: list[PromptIds] = []
        self._recent: deque[list[Read]] = deque()

    def __len__(self) -> int:
        """How many prompts are remembered."""
        return len(self._memory)

    @property
    def nbytes(self) -> int:
        """Memory they take, about."""
        return self._memory.nbytes

    def longest(self, ids: Sequence[int], most: int) -> tuple[Read, int] | None:
        """What is remembered that begins as ``ids`` does, and how many tokens of it agree, at most ``most``."""
        own = tuple(ids)
        place = bisect_left(self._sorted, own)
        # In order, those that begin most alike are next to it.
        near = self._sorted[max(0, place - 1) : place + 1]
        lengths = {each: min(most, _agreeing(each, own)) for each in near}
        best = max(near, key=lambda each: lengths[each], default=None)
        if best is None or lengths[best] < WORTH_RECALLING:
            return None
        found = self._memory.get(best)
        return None if found is None else (found, lengths[best])

    def add(self, pack: Pack) -> None:
        """Remember the prompts of a pack that was read."""
        each = sum(x[:1].nbytes for pair in pack.kept.values() for x in pair)
        self._recent.append([])
        for ids, rows in zip(pack.prompts, pack.members, strict=True):
            if len(ids) < WORTH_RECALLING or ids in self._memory:
                continue
            # Its tries' rows count, too, as they stay until it is recalled or forgotten.
            read = Read(pack.kept, rows[: len(ids)])
            self._memory.put(ids, read, each * len(rows) + 16 * len(ids))
            self._recent[-1].append(read)
            insort(self._sorted, ids)
        if len(self._recent) > _RECENT:
            for read in self._recent.popleft():
                read.recent = False
        if len(self._sorted) > len(self._memory):
            self._sorted = [ids for ids in self._sorted if ids in self._memory]


@contextmanager
def remembering(reader: Any, beginnings: Beginnings | None) -> Iterator[None]:
    """Let a reader make use of beginnings, and add to them, while the context lasts.

    Only where that leaves no trace in any bit: packs on a CPU whose prompts may be cut anywhere.

    Args:
        reader: A :class:`~twosome.scoring.readers.Reader`.
        beginnings: Those of the state that the weights are in; None for a model whose tokens depend on their company.
    """
    economies = getattr(reader, "economies", None)
    exact = economies is not None and economies.share and reader.attention == "segments" and not reader.frozen_layers
    if not exact or reader.model.device.type != "cpu":
        yield
        return
    before, reader.beginnings = reader.beginnings, beginnings
    try:
        yield
    finally:
        reader.beginnings = before


def _agreeing(known: PromptIds, ids: PromptIds) -> int:
    """How many tokens of what is known two prompts share at the front."""
    if known == ids:
        return len(ids)
    return common_prefix((*known, -1), (*ids, -2))
