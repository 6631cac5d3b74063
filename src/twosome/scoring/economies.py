"""What a packed reading may leave out."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Economies:
    """What a packed reading leaves out, exactly; each was tried on the model.

    Attributes:
        share: Common beginnings of prompts are read once.
        trim: The last layer computes wanted rows alone.
        fuse: Log-probabilities of targets come straight from the vocabulary matrix, where it is a plain frozen one.
        join: A linear layer and its low-rank update are computed together.
        once: The first layer's queries, keys and values are computed once for every distinct token.
    """

    share: bool = True
    trim: bool = True
    fuse: bool = True
    join: bool = True
    once: bool = True
