"""What the C library does with memory that was freed."""

from __future__ import annotations

import ctypes
import os
import sys

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # names of glibc's malloc.h
_NEVER = 2**31 - 1
_LARGEST_KEPT = 2**25  # bytes; glibc takes no more
_SETTINGS = ("MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_", "MALLOC_TOP_PAD_", "GLIBC_TUNABLES")


def keep_freed_memory() -> bool:
    """Whether freed memory now waits in this process for its next use, rather than going back to the system.

    A pass of a model takes and frees megabytes. glibc gives what lies on top of its heap back at once, and the next
    pass pays for every page of it again. The most memory a process takes is the same either way. Where the C library
    is another one, or the environment says how it should manage memory, nothing is changed.
    """
    if sys.platform != "linux" or any(name in os.environ for name in _SETTINGS):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):  # no glibc
        return False
    return all([mallopt(_TRIM_THRESHOLD, _NEVER), mallopt(_MMAP_THRESHOLD, _LARGEST_KEPT)])
