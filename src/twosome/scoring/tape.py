"""What a layer's matrix products gave, kept in place of all else that its backward pass needs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from torch import Tensor


class Tape:
    """The outputs of matrix products in one reading of a layer, in order.

    A layer's backward pass works out the layer again; with this, all but the matrix products, which are most of what it
    costs and a third of what it would otherwise hold.
    """

    def __init__(self) -> None:
        self._outputs: list[tuple[Tensor, int]] = []
        self._next: int | None = None  # which output comes next, while the layer is worked out again

    @property
    def nbytes(self) -> int:
        """Memory it takes."""
        return sum(output.nbytes for output, _ in self._outputs)

    def record(self, output: Tensor) -> None:
        """Keep the output of the product that was just computed, unless the layer is being worked out again."""
        if self._next is None:
            self._outputs.append((output.detach(), output._version))

    def recall(self) -> Tensor | None:
        """The output of the product that is due, or None if it must be computed, for the first time or again."""
        if self._next is None:
            return None
        output, version = self._outputs[self._next]
        self._next += 1
        return output if output._version == version else None  # None: somebody changed it in place

    @contextmanager
    def recording(self) -> Iterator[None]:
        """Keep what products give while the context lasts."""
        with _running(self):
            yield

    @contextmanager
    def recalling(self) -> Iterator[None]:
        """Give what was kept, from the first on, while the context lasts."""
        self._next = 0
        with _running(self):
            yield


_TAPE: ContextVar[Tape | None] = ContextVar("twosome_tape", default=None)


@contextmanager
def _running(tape: Tape) -> Iterator[None]:
    token = _TAPE.set(tape)
    try:
        yield
    finally:
        _TAPE.reset(token)


def running() -> Tape | None:
    """The tape of the layer that is being read, if there is one."""
    return _TAPE.get()
