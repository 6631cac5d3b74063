"""The processes of one run, and what they say to each other: always all of them, always in one order."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import torch
import torch.distributed as dist
from torch import Tensor, nn

from twosome.errors import RunError

_LENGTH = struct.Struct("<q")
_FIRST_ROOM = 4096
"""Bytes of a message that go in one piece, at first."""


class Ranks(Protocol):
    """What a run needs to know of its processes.

    Attributes:
        rank: Which of them this is; 0 alone writes.
        count: How many there are.
        sent: Bytes that this one sent to others so far.
    """

    rank: int
    count: int
    sent: int

    def gather(self, own: bytes) -> list[bytes]:
        """What each process gave, by rank; all have it."""
        ...

    def tell(self, told: bytes) -> bytes:
        """What rank 0 gave; of the others nothing is taken."""
        ...

    def rows(self, own: Tensor, sizes: Sequence[int]) -> Tensor:
        """The numbers [sum of ``sizes``] of all processes, by rank; ``own`` are this one's, ``sizes[rank]`` of them."""
        ...

    def ordered_sum(self, own: Tensor, counts: Sequence[int]) -> Tensor:
        """The sum [G] of vectors, taken one after the other by rank, so that it does not depend on who holds which.

        Args:
            own: This process's, [k, G].
            counts: The k of each process.
        """
        ...


class Alone:
    """One process: nothing is sent."""

    rank, count, sent = 0, 1, 0

    def gather(self, own: bytes) -> list[bytes]:
        """What it gave."""
        return [own]

    def tell(self, told: bytes) -> bytes:
        """What it gave."""
        return told

    def rows(self, own: Tensor, sizes: Sequence[int]) -> Tensor:
        """Its own numbers."""
        return own

    def ordered_sum(self, own: Tensor, counts: Sequence[int]) -> Tensor:
        """The sum, one after the other."""
        return _summed(own)


ALONE = Alone()


class Group:
    """The processes of PyTorch's process group, which is there.

    Args:
        lost: Makes the error to raise when the others cannot be reached, of what PyTorch said.
    """

    def __init__(self, lost: Callable[[str], Exception] = RunError) -> None:
        self.rank, self.count, self.sent = dist.get_rank(), dist.get_world_size(), 0
        self._lost = lost
        self._room = _FIRST_ROOM

    def gather(self, own: bytes) -> list[bytes]:
        """What each process gave, by rank. One exchange, and a second one where a message is longer than all before."""
        found, lengths = self._exchanged(own)
        if max(lengths) > self._room:
            while max(lengths) > self._room:  # all see the same lengths, so all make the same room
                self._room *= 2
            found, lengths = self._exchanged(own)
        return [piece[:length] for piece, length in zip(found, lengths, strict=True)]

    def tell(self, told: bytes) -> bytes:
        """What rank 0 gave."""
        length = torch.tensor([len(told)])
        self._call(dist.broadcast, length, src=0)
        content = torch.empty(int(length), dtype=torch.uint8)
        if self.rank == 0:
            content.copy_(torch.frombuffer(bytearray(told), dtype=torch.uint8))
            self.sent += len(told) * (self.count - 1)
        self._call(dist.broadcast, content, src=0)
        return content.numpy().tobytes()

    def rows(self, own: Tensor, sizes: Sequence[int]) -> Tensor:
        """The numbers of all processes, by rank."""
        padded = own.new_zeros(max(sizes))
        padded[: len(own)] = own
        return torch.cat([found[:size] for found, size in zip(self._gathered(padded), sizes, strict=True)])

    def ordered_sum(self, own: Tensor, counts: Sequence[int]) -> Tensor:
        """The sum by rank: each process sums a slice of all vectors, and gives it to the others.

        With one vector a process that is as much as a ring would send: twice the vector, but for one part in ``count``.
        """
        held, size = own.shape
        piece = -(-size // self.count)
        given = nn.functional.pad(own, (0, piece * self.count - size)).view(held, self.count, piece)
        taken = own.new_empty(sum(counts) * piece)
        self._call(
            dist.all_to_all_single,
            taken,
            given.transpose(0, 1).flatten(),
            output_split_sizes=[count * piece for count in counts],
            input_split_sizes=[held * piece] * self.count,
        )
        self.sent += held * piece * (self.count - 1) * taken.element_size()
        return torch.cat(self._gathered(_summed(taken.view(-1, piece))))[:size]

    def _exchanged(self, own: bytes) -> tuple[list[bytes], list[int]]:
        """The beginning of what each process gave, and how long it is in all."""
        room = torch.zeros(_LENGTH.size + self._room, dtype=torch.uint8)
        content = bytearray(_LENGTH.pack(len(own)) + own[: self._room])
        room[: len(content)] = torch.frombuffer(content, dtype=torch.uint8)
        found = [piece.numpy().tobytes() for piece in self._gathered(room)]
        lengths = [_LENGTH.unpack_from(piece)[0] for piece in found]
        return [piece[_LENGTH.size :] for piece in found], lengths

    def _gathered(self, own: Tensor) -> list[Tensor]:
        found = [torch.empty_like(own) for _ in range(self.count)]
        self._call(dist.all_gather, found, own)
        self.sent += own.nbytes * (self.count - 1)
        return found

    def _call(self, collective: Callable[..., Any], *arguments: Any, **options: Any) -> None:
        try:
            collective(*arguments, **options)
        except RuntimeError as error:
            raise self._lost(str(error)) from None


def _summed(vectors: Tensor) -> Tensor:
    """Their sum, from the first to the last."""
    total = vectors[0].clone()
    for vector in vectors[1:]:
        total += vector
    return total


def shares_of(rank: int, count: int, shares: int) -> range:
    """Which of ``shares`` parts a process takes: neighbours, as many as others or one more or less."""
    return range(rank * shares // count, (rank + 1) * shares // count)


def same(ranks: Ranks, own: bytes, what: str) -> None:
    """Look whether all processes hold the same.

    Raises:
        RunError: If one holds something else than rank 0.
    """
    held = ranks.gather(own)
    odd = [rank for rank, each in enumerate(held) if each != held[0]]
    if odd:
        raise RunError(
            f"rank {odd[0]} holds other {what} than rank 0, which must not be: expected processes on equal processors "
            "with equal versions of all libraries; start them so, and resume the run"
        )
