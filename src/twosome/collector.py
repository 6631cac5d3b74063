"""Python's collector of reference cycles, let rest while millions of objects are made that stay.

It looks at all objects again and again as their number grows, and finds nothing: for a quarter of the processor time
that importing torch and transformers takes, and two fifths of what a vocabulary of 262,144 words takes.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def resting() -> Iterator[None]:
    """Let the collector rest while the context lasts; what is not part of a cycle is freed at once all the same."""
    working = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if working:
            gc.enable()


@contextmanager
def importing() -> Iterator[None]:
    """The same for the imports of a command, whose process has begun: what they made is not looked at later either."""
    with resting():
        yield
    if not gc.get_freeze_count():  # once: what a later command of the same process dropped must be found
        gc.freeze()
