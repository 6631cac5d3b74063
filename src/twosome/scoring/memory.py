"""What is remembered, within bounds."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from typing import Generic, TypeVar

from torch import Tensor

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")

MEGABYTE = 2**20
LIMIT = 256 * MEGABYTE
"""Most bytes of a memory, unless said otherwise."""
_OVERHEAD = 200  # bytes an entry takes beside its numbers, about


class Memory(Generic[Key, Value]):
    """Values by key, in at most ``limit`` bytes: the least recently used goes first.

    Args:
        limit: Most bytes. An entry that is larger by itself is not kept.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._entries: OrderedDict[Key, tuple[Value, int]] = OrderedDict()
        self.nbytes = 0

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, key: object) -> bool:
        return key in self._entries

    def __iter__(self) -> Iterator[Key]:
        return iter(self._entries)

    def get(self, key: Key) -> Value | None:
        """The value, or None if it is not there."""
        entry = self._entries.get(key)
        if entry is None:
            return None
        self._entries.move_to_end(key)
        return entry[0]

    def put(self, key: Key, value: Value, nbytes: int) -> None:
        """Keep a value of ``nbytes`` bytes, in place of the least recently used ones."""
        self.drop(key)
        self._entries[key] = value, nbytes + _OVERHEAD
        self.nbytes += nbytes + _OVERHEAD
        while self.nbytes > self._limit:
            _, (_, freed) = self._entries.popitem(last=False)
            self.nbytes -= freed

    def drop(self, key: Key) -> None:
        """Forget one."""
        entry = self._entries.pop(key, None)
        if entry is not None:
            self.nbytes -= entry[1]

    def clear(self) -> None:
        """Forget all."""
        self._entries.clear()
        self.nbytes = 0


def recall(
    memory: Memory[Key, Tensor], keys: Sequence[Key], compute: Callable[[list[Key]], Iterable[Tensor]]
) -> list[Tensor]:
    """The tensors of ``keys``, from memory where they are there; the others computed in one go and kept.

    Args:
        memory: Where they are kept.
        keys: What is asked for; may repeat.
        compute: The tensors of the distinct keys that are missing, in order.
    """
    known = {key: memory.get(key) for key in dict.fromkeys(keys)}
    missing = [key for key, value in known.items() if value is None]
    if missing:
        for key, value in zip(missing, compute(missing), strict=True):
            own = value.clone()  # not a view of something larger
            known[key] = own
            memory.put(key, own, own.nbytes)
    return [value for key in keys for value in [known[key]] if value is not None]
