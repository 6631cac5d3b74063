"""Who a process is, so that others on the same machine can tell that it is no more."""

from __future__ import annotations

import os
import platform
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

_PROC = Path("/proc")


@dataclass(frozen=True)
class Worker:
    """A process.

    Attributes:
        host: Its machine's name, for people.
        place: What only processes have in common that see each other's numbers: one running machine, one container.
            Empty where that cannot be told.
        pid: Its number there.
        began: When it began, in the machine's own count: numbers are given again.
    """

    host: str
    place: str
    pid: int
    began: str

    @property
    def name(self) -> str:
        """What it is called where people read it."""
        return f"{self.host}:{self.pid}"

    def note(self) -> dict[str, Any]:
        """What is written down of it."""
        return asdict(self)

    def is_gone(self) -> bool:
        """Whether it certainly runs no more; False where that cannot be told from here."""
        return bool(self.place) and self.place == _place() and _began(self.pid) != self.began


def this_worker() -> Worker:
    """The process that asks."""
    return Worker(platform.node() or "unnamed", _place(), os.getpid(), _began(os.getpid()))


def from_note(note: Any) -> Worker | None:
    """The inverse of :meth:`Worker.note`; None if it is none."""
    try:
        return Worker(str(note["host"]), str(note["place"]), int(note["pid"]), str(note["began"]))
    except (KeyError, TypeError, ValueError):
        return None


@lru_cache(maxsize=1)
def _place() -> str:
    """The running machine and the space of process numbers on it; empty where there is no such file system."""
    try:
        boot = (_PROC / "sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot} {(_PROC / 'self/ns/pid').readlink()}"
    except OSError:
        return ""


def _began(pid: int) -> str:
    """When a process began, in the machine's ticks; empty if there is none, or only its remains."""
    try:
        words = (_PROC / str(pid) / "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if words[0] in "ZX" else words[19]
