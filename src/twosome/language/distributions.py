"""Two tables of next-token distributions compared, a part of the vocabulary at a time, each part looked at once.

Logits are made where they are used and become odds in place, in the processor's cache. One thing needs to know the sums
over all of the vocabulary first, the total variation: for that the odds are kept, with what each part was scaled by.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

Columns = Callable[[int, int], Tensor]
"""Logits of the tokens from the first number on, up to the second, after each of R contexts: [R, second - first]."""

COLUMNS = 2048
"""Tokens of the vocabulary at a time."""


def compare(columns: tuple[Columns, ...], vocabulary: int, row_of: Tensor, targets: Tensor) -> Tensor:
    """What became of the distributions before M tokens: float32 [M, 5].

    The columns: the token's loss off and on, KL(off || on), total variation, and whether the likeliest token differs.
    Where both give the same logits, the last three are exactly 0.

    Args:
        columns: Logits with the adapter off, and on.
        vocabulary: How many tokens there are.
        row_of: int64 [M], the context of each token.
        targets: int64 [M], the tokens.
    """
    sides = _Side(vocabulary, row_of, targets), _Side(vocabulary, row_of, targets)
    starts = range(0, vocabulary, COLUMNS)
    apart: Tensor | None = None  # odds off times the difference of logits, summed
    for start in starts:
        logits = [side(start, min(start + COLUMNS, vocabulary)).float() for side in columns]
        difference = logits[0] - logits[1]
        odds, shrink = sides[0].take(start, logits[0])
        sides[1].take(start, logits[1])
        here = _expected(odds, difference)
        apart = here if apart is None else apart.mul_(shrink[:, 0]).add_(here)
    assert apart is not None
    normalisers = [side.normaliser() for side in sides]
    kl = apart / sides[0].total[:, 0] - (normalisers[0] - normalisers[1])
    variation = torch.zeros_like(kl)
    for number, start in enumerate(starts):
        end = min(start + COLUMNS, vocabulary)
        variation += (
            (sides[0].probabilities(number, end - start) - sides[1].probabilities(number, end - start)).abs_().sum(-1)
        )
    changed = (sides[0].best != sides[1].best).float()
    losses = [normaliser[row_of] - side.found for normaliser, side in zip(normalisers, sides, strict=True)]
    return torch.stack([*losses, kl[row_of], variation[row_of] / 2, changed[row_of]], dim=1)


class _Side:
    """One table, as it is read from left to right.

    Attributes:
        total: Odds so far, relative to the largest logit so far: [R, 1].
        best: The likeliest token so far: int64 [R].
        found: Logits of the targets: [M].
    """

    def __init__(self, vocabulary: int, row_of: Tensor, targets: Tensor) -> None:
        rows = int(row_of.max()) + 1
        # Part by part: rows as far apart as a vocabulary of a power of two would share one place of the cache.
        self._odds = torch.empty(-(-vocabulary // COLUMNS), rows, COLUMNS, device=targets.device)
        self._top = self._odds.new_full((rows, 1), torch.finfo(self._odds.dtype).min)
        self._tops: list[Tensor] = []
        self.total = torch.zeros_like(self._top)
        self.best = torch.zeros(rows, dtype=torch.int64, device=targets.device)
        self.found = self._odds.new_empty(len(targets))
        self._row_of = row_of
        self._targets, self._order = torch.sort(targets)

    def take(self, start: int, logits: Tensor) -> tuple[Tensor, Tensor]:
        """Take in the next tokens' logits, which become odds; returns these, and what odds before are multiplied by."""
        end = start + logits.shape[1]
        first, last = torch.searchsorted(self._targets, torch.tensor([start, end], device=logits.device)).tolist()
        here = self._order[first:last]
        self.found[here] = logits[self._row_of[here], self._targets[first:last] - start]
        largest = logits.amax(-1, keepdim=True)
        (better,) = (largest > self._top)[:, 0].nonzero(as_tuple=True)
        self.best[better] = logits[better].argmax(-1) + start  # of few rows after the first parts
        top = torch.maximum(self._top, largest)
        shrink = (self._top - top).exp_()
        self._top = top
        self._tops.append(top)
        odds = self._odds[start // COLUMNS, :, : end - start]
        torch.sub(logits, top, out=odds)
        odds.exp_()
        self.total.mul_(shrink).add_(odds.sum(-1, keepdim=True))
        return odds, shrink

    def normaliser(self) -> Tensor:
        """Logarithm of the sum of all odds: [R]."""
        return (self._top + self.total.log())[:, 0]

    def probabilities(self, number: int, width: int) -> Tensor:
        """Of the tokens of a part, once all were taken in: [R, width]."""
        return self._odds[number, :, :width] * ((self._tops[number] - self._top).exp_() / self.total)


def _expected(odds: Tensor, difference: Tensor) -> Tensor:
    """Sum of the differences, weighted: [R]. What has no odds counts nothing, however different it is."""
    found: Tensor = torch.linalg.vecdot(odds, difference)
    if not torch.isfinite(found).all():
        found = (odds * difference).nan_to_num(0.0, posinf=math.inf).sum(-1)
    return found
