"""Rows of a pack that attend together, and what they may attend to."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from twosome.tokens.blocks import Booleans, Integers

Span = tuple[int, int]


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

    @property
    def key_rows(self) -> Integers:
        """The rows [k] of ``keys``."""
        return rows_of(self.keys)


def rows_of(spans: Sequence[Span]) -> Integers:
    """The rows of the spans, one after the other."""
    return np.concatenate([np.arange(start, end) for start, end in spans])


def joined(spans: Sequence[Span]) -> tuple[Span, ...]:
    """The same rows with adjoining spans made one."""
    found: list[Span] = []
    for start, end in spans:
        if found and found[-1][1] == start:
            found[-1] = (found[-1][0], end)
        else:
            found.append((start, end))
    return tuple(found)


def restricted(segments: Sequence[Segment], rows: Integers, length: int) -> Iterator[Segment]:
    """Segments with the queries among ``rows`` alone."""
    asked = np.zeros(length, dtype=bool)
    asked[rows] = True
    for segment in segments:
        chosen = asked[segment.queries]
        if chosen.any():
            yield Segment(segment.queries[chosen], segment.keys, segment.mask[chosen])
