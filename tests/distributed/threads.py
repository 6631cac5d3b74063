"""Processes of a run as threads of one process: the same meetings, without a start of seconds."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import torch
from torch import Tensor

Result = TypeVar("Result")


class Meeting:
    """Where threads give each other what they have."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.barrier = threading.Barrier(count, timeout=60)
        self._given: list[Any] = [None] * count

    def exchange(self, rank: int, own: Any) -> list[Any]:
        self._given[rank] = own
        self.barrier.wait()
        found = list(self._given)
        self.barrier.wait()
        return found


class ThreadRanks:
    """Ranks by their meeting."""

    sent = 0

    def __init__(self, rank: int, meeting: Meeting) -> None:
        self.rank, self.count, self._meeting = rank, meeting.count, meeting

    def gather(self, own: bytes) -> list[bytes]:
        return self._meeting.exchange(self.rank, own)

    def tell(self, told: bytes) -> bytes:
        found: bytes = self._meeting.exchange(self.rank, told)[0]
        return found

    def rows(self, own: Tensor, sizes: Sequence[int]) -> Tensor:
        found = self._meeting.exchange(self.rank, own)
        assert [len(each) for each in found] == list(sizes)
        return torch.cat(found)

    def ordered_sum(self, own: Tensor, counts: Sequence[int]) -> Tensor:
        vectors = torch.cat(self._meeting.exchange(self.rank, own))
        assert len(vectors) == sum(counts)
        total = vectors[0].clone()
        for vector in vectors[1:]:
            total += vector
        return total


def together(count: int, work: Callable[[ThreadRanks], Result]) -> list[Result]:
    """What ``work`` gives in each of ``count`` threads, by rank; the error of the first that fails."""
    meeting = Meeting(count)

    def run(rank: int) -> Result:
        try:
            return work(ThreadRanks(rank, meeting))
        except BaseException:
            meeting.barrier.abort()
            raise

    with ThreadPoolExecutor(count) as pool:
        futures = [pool.submit(run, rank) for rank in range(count)]
    errors = [error for future in futures if (error := future.exception()) is not None]
    own = [error for error in errors if not isinstance(error, threading.BrokenBarrierError)]
    if errors:
        raise (own or errors)[0]
    return [future.result() for future in futures]
