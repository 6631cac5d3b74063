"""Which blocks go into one pack: as few packs as their size allows."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from twosome.tokens.blocks import Block
from twosome.tokens.packing import WORTH_SHARING, common_prefix


def savings(blocks: Sequence[Block]) -> list[int]:
    """How many tokens less each block takes behind the one before it, where what they share is read once."""
    common = [common_prefix(a.prompt_ids, b.prompt_ids) for a, b in pairwise(blocks)]
    return [0, *(length if length >= WORTH_SHARING else 0 for length in common)]


def split_by_budget(lengths: Sequence[int], budget: int, saved: Sequence[int] | None = None) -> list[range]:
    """Consecutive ranges whose lengths add up to at most ``budget``; a longer item stands alone.

    As few as possible, and of about one size: what many small operations cost is the same for a small pack as for a
    large one.

    Args:
        lengths: Of the items, each by itself.
        budget: Most in a range.
        saved: How much less each takes behind the one before it; None for nothing.
    """
    spared = [0] * len(lengths) if saved is None else saved
    fewest = _split(lengths, budget, spared)
    # The smallest budget that needs no more of them; below the average there is none.
    low, high = (sum(lengths) - sum(spared)) // max(1, len(fewest)), budget
    while low < high:
        middle = (low + high) // 2
        if len(_split(lengths, middle, spared)) > len(fewest):
            low = middle + 1
        else:
            high = middle
    return _split(lengths, high, spared)


def _split(lengths: Sequence[int], budget: int, saved: Sequence[int]) -> list[range]:
    """Consecutive ranges, each filled before the next begins."""
    ranges: list[range] = []
    start, total = 0, 0
    for index, length in enumerate(lengths):
        more = length - saved[index] if index > start else length
        if index > start and total + more > budget:
            ranges.append(range(start, index))
            start, total, more = index, 0, length
        total += more
    if start < len(lengths):
        ranges.append(range(start, len(lengths)))
    return ranges
