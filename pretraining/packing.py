"""Documents to rows of tokens: no document is split, and none sees another."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator
from itertools import islice
from random import Random

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pretraining.tokenizer import PAD_ID, START_ID

WINDOW = 4096
IGNORED = -100


def pack(documents: Iterable[list[int]], length: int, seed: int = 0) -> Iterator[NDArray[np.uint16]]:
    """Yield rows of ``length`` tokens, each filled with whole documents (best fit within a window, then shuffled).

    A document longer than a row is cut to it.
    """
    rng, source = Random(seed), iter(documents)
    while window := list(islice(source, WINDOW)):
        rows: list[list[int]] = []
        room: list[tuple[int, int]] = []  # (free tokens, row), sorted
        for tokens in sorted((document[:length] for document in window), key=len, reverse=True):
            index = bisect_left(room, (len(tokens), -1))
            if index == len(room):
                row, free = len(rows), length
                rows.append([])
            else:
                free, row = room.pop(index)
            rows[row].extend(tokens)
            if free > len(tokens):
                insort(room, (free - len(tokens), row))
        rng.shuffle(rows)
        for tokens in rows:
            yield np.array(tokens + [PAD_ID] * (length - len(tokens)), dtype=np.uint16)


def batch_inputs(tokens: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return (positions [B, L], attention mask bool [B, 1, L, L], labels [B, L]) of packed rows.

    Positions count from each document's start; a token sees the earlier tokens of its own document; the label of a
    document's last token would be the next document's start, which nothing in the document foretells, so it is kept:
    it teaches where documents end.  Padding is ignored.
    """
    length = tokens.shape[1]
    starts = tokens == START_ID
    document = starts.cumsum(1)
    index = torch.arange(length, device=tokens.device)
    positions = index - torch.where(starts, index, 0).cummax(1).values
    mask = (document[:, :, None] == document[:, None, :]) & (index[:, None] >= index[None, :])
    labels = torch.full_like(tokens, IGNORED)
    labels[:, :-1] = tokens[:, 1:]
    labels[(labels == PAD_ID) | (tokens == PAD_ID)] = IGNORED
    return positions, mask[:, None], labels
