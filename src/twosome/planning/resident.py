"""How much memory this process has at the moment, and what a training's own program takes of it."""

from __future__ import annotations

import ctypes
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

_STATUS = Path("/proc/self/status")


def resident_bytes() -> int:
    """Resident memory of this process: now where the system tells, else the most it ever had."""
    return _told("VmRSS") or _most()


def settled_bytes() -> int:
    """The same after what is free was given back to the system: what comes later would be put there first."""
    with suppress(AttributeError, OSError, TypeError):  # of glibc alone
        ctypes.CDLL(None).malloc_trim(0)
    return resident_bytes()


def most_bytes() -> int:
    """The most resident memory that this process ever had."""
    return _told("VmHWM") or _most()


def draw_for_nothing() -> int:
    """What drawing a learning curve takes, as every run does at its end: bytes."""
    from twosome.runs.curve import draw_learning_curve

    before = resident_bytes()
    with tempfile.TemporaryDirectory() as folder:
        points = [{"decisions": n, "episodes": 1, "success": 0.5, "discounted_return": 0.5} for n in (1, 2)]
        draw_learning_curve(points, "none", Path(folder) / "curve.png")
    return max(0, resident_bytes() - before)


def _told(name: str) -> int:
    """A line of the process's state; 0 where there is none."""
    try:
        lines = _STATUS.read_text(encoding="ascii", errors="replace").splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{name}:"))
    except (OSError, StopIteration, ValueError, IndexError):
        return 0


def _most() -> int:
    try:
        import resource
    except ImportError:  # Windows
        return 0
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024
