"""What the user gets to read: progress, and errors that say what to do.

Also read by a Python that is too old for the project, so free of newer syntax.
"""

from __future__ import annotations

import contextlib
import platform
import re
import sys
import time
from collections.abc import Iterator
from typing import NamedTuple

from development import project


def say(text: str) -> None:
    """Print one line at once, also into a pipe."""
    print(text, flush=True)


@contextlib.contextmanager
def timed(label: str) -> Iterator[None]:
    """Say what begins, and how long it took once it ends well."""
    say(f"  {label} ...")
    start = time.perf_counter()
    yield
    say(f"    done in {time.perf_counter() - start:.1f} s")


class Failure(Exception):
    """Why a command cannot go on.

    Attributes:
        advice: What to do about it.
        harmless: Whether it came before any file of a package was written, so that `.venv` is still whole.
    """

    def __init__(self, reason: str, advice: str, *, harmless: bool = False) -> None:
        """Keep ``reason`` as the message."""
        super().__init__(reason)
        self.advice = advice
        self.harmless = harmless


class Diagnosis(NamedTuple):
    """What a pattern in the output of pip, uv or venv means."""

    pattern: str
    reason: str
    advice: str
    harmless: bool = False


MACHINE = f"Python {platform.python_version()}, {platform.system()} {platform.machine()}"

# Searched from the top: pip also ends in "No matching distribution" when it merely cannot reach its index.
DIAGNOSES = (
    Diagnosis(
        r"No space left on device|Errno 28|not enough space on the disk|os error 28|os error 112",
        "the disk is full",
        "free about 3 GB (10 GB for a CUDA build of torch) where this project lies and in the temporary directory, "
        "then run the same command again; `python3 -m pip cache purge` frees downloads",
    ),
    Diagnosis(
        r"CERTIFICATE_VERIFY_FAILED|invalid peer certificate|SSLError|UnknownIssuer",
        "the package index's certificate is not trusted here",
        "behind a company proxy name its certificate file in PIP_CERT and SSL_CERT_FILE, then run the command again",
        harmless=True,
    ),
    Diagnosis(
        r"name resolution|NameResolutionError|getaddrinfo|nodename nor servname|Name or service not known"
        r"|Failed to establish a new connection|Network is unreachable|Connection refused|ConnectTimeout|ReadTimeout"
        r"|Read timed out|ProxyError|dns error|error sending request|Connection reset|Connection aborted",
        "the package index cannot be reached",
        "check the network (and HTTPS_PROXY, PIP_INDEX_URL, TORCH_INDEX_URL where you use them), then run the same "
        "command again; only the first set-up needs a network",
        harmless=True,
    ),
    Diagnosis(
        r"No matching distribution found for torch\b|\(constraint\) torch==",
        f"torch {project.TORCH_PIN} has no build for this machine ({MACHINE})",
        "use a 64-bit Python 3.11 to 3.14 on Linux, Windows or macOS 14 with Apple silicon; if TORCH_INDEX_URL is set, "
        "check that this index has that version",
        harmless=True,
    ),
    Diagnosis(
        r"ensurepip is not available|No module named '?(venv|ensurepip)|ensurepip.*returned non-zero",
        "this Python comes without the venv module",
        "on Debian and Ubuntu: apt-get install python3-venv (or python{}.{}-venv); then run the same command "
        "again".format(*sys.version_info[:2]),
    ),
    Diagnosis(
        r"Permission denied|Errno 13|Access is denied|Read-only file system|Errno 30|WinError 5\b|WinError 32\b",
        "a file cannot be written",
        "make sure that this directory belongs to you and that no program from .venv is still running, then run the "
        "same command again",
    ),
    Diagnosis(
        r"MemoryError|Cannot allocate memory|\bKilled\b|Errno 12\b",
        "the machine ran out of memory",
        "close other programs, or give the machine at least 4 GB, then run the same command again",
    ),
    Diagnosis(
        r"(Readme|License) file does not exist|metadata-generation-failed|Failed to build `?twosome",
        "the project itself cannot be built",
        "the lines above say which file is missing or wrong; `git status` shows what differs from the repository",
        harmless=True,
    ),
)


def diagnose(output: str, step: str, returncode: int = 1) -> Failure:
    """The failure that explains why ``step`` ended with ``output`` and ``returncode``."""
    if returncode in (-9, 137):  # a killed process says nothing itself
        output += "\nKilled"
    for pattern, reason, advice, harmless in DIAGNOSES:
        if re.search(pattern, output, re.IGNORECASE):
            return Failure(f"{step} failed: {reason}", advice, harmless=harmless)
    return Failure(
        f"{step} failed (exit status {returncode})",
        f"the lines above are its own words; report them together with: {MACHINE}",
    )
