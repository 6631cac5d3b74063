"""A sign of life on standard error while something takes long, so that nobody wonders whether anything happens."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

FIRST = 3.0
"""Seconds until the first line; what is quicker says nothing."""
MORE = 1.6
"""Every line waits so many times longer than the one before."""
LONGEST = 60.0
"""Seconds between lines at most."""


class Waiting:
    """What is being done, as a text that whoever does it keeps up to date.

    Attributes:
        status: How far it is.
    """

    def __init__(self, what: str) -> None:
        self._what = what
        self.status = ""
        self._spoke = threading.Event()

    def spoke(self) -> None:
        """Something else was just said, so that the next line can wait as long as the first did."""
        self._spoke.set()

    def episodes(self, wanted: int, ended: int, decisions: int) -> None:
        """Note how many of some episodes have ended."""
        self.status = f"{ended} of {wanted} episodes ended, {decisions} decisions"

    def line(self, seconds: float) -> str:
        """What to say after so many seconds."""
        return f"{self._what}, {seconds:.0f} s{f': {self.status}' if self.status else ''}"


@contextmanager
def waiting(what: str, longest: float = LONGEST) -> Iterator[Waiting]:
    """Tell from time to time what is being done, for as long as it takes.

    Args:
        what: Such as "evaluating tomato-salad".
        longest: Seconds between lines at most.
    """
    told, over, began = Waiting(what), threading.Event(), time.monotonic()

    def tell() -> None:
        pause = FIRST
        while not over.wait(pause):
            if told._spoke.is_set():
                told._spoke.clear()
                pause = FIRST
                continue
            print(told.line(time.monotonic() - began), file=sys.stderr, flush=True)
            pause = min(longest, pause * MORE)

    thread = threading.Thread(target=tell, daemon=True)
    thread.start()
    try:
        yield told
    finally:
        over.set()
        thread.join()
