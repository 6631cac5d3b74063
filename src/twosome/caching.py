"""What is worth keeping between processes and can be made again at any time: a folder of this user's, small records.

``TWOSOME_CACHE`` names another folder; deleting it costs nothing but time.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from platformdirs import user_cache_path

_LARGE = 2**20
"""Bytes from which on a file's digest is worth a record."""
_SETTLED = 2 * 10**9
"""Nanoseconds since the last change from which on another change would show in a file's times."""


def cache_directory(kind: str) -> Path:
    """Where things of a kind are kept; may not exist yet."""
    chosen = os.environ.get("TWOSOME_CACHE")
    return (Path(chosen) if chosen else user_cache_path("twosome", appauthor=False)) / kind


def key_of(facts: Any) -> str:
    """A name for what depends on ``facts``, which must be JSON: other facts give another name."""
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:32]


def recall_record(kind: str, key: str) -> dict[str, Any] | None:
    """The record of that key, or None if there is none that can be read."""
    try:
        found = json.loads((cache_directory(kind) / f"{key}.json").read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def keep_record(kind: str, key: str, record: Mapping[str, Any]) -> None:
    """Keep a record, whole or not at all; a folder that cannot be written is no fault."""
    with contextlib.suppress(OSError):
        folder = cache_directory(kind)
        folder.mkdir(parents=True, exist_ok=True)
        write_whole(folder / f"{key}.json", json.dumps(record))


def write_whole(path: Path, text: str) -> None:
    """Write a file whole or not at all, also where several processes write it: a reader sees one of their texts.

    It is on the disk before it takes the place of what was there, so a crash leaves the one or the other; and it may be
    read by whoever may read this user's files, as other workers of a shared directory must.

    Raises:
        OSError: If it cannot be written.
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}-{os.urandom(4).hex()}.partial")
    try:
        with partial.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def file_sha256(path: Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal, read now; :func:`sha256_of` remembers those of large files.

    Raises:
        OSError: If it cannot be read.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file's bytes; of a large one remembered for as long as its size and its times are the same.

    Raises:
        OSError: If it cannot be read.
    """
    state, now = path.stat(), time.time_ns()
    changed = max(state.st_mtime_ns, state.st_ctime_ns)
    key = key_of([str(path.absolute()), *_state(state)])
    known = recall_record("digests", key) if state.st_size >= _LARGE else None
    if known is not None and isinstance(known.get("sha256"), str):
        return str(known["sha256"])
    digest = file_sha256(path)
    if state.st_size >= _LARGE and now - changed > _SETTLED and _state(path.stat()) == _state(state):
        keep_record("digests", key, {"sha256": digest})
    return digest


def _state(state: os.stat_result) -> tuple[int, ...]:
    return state.st_dev, state.st_ino, state.st_size, state.st_mtime_ns, state.st_ctime_ns
