"""Files that are either whole or not there."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from twosome.errors import RunError

_LEFT = (".staging-*", ".*.old", "checkpoints/.*.partial", ".best-*", ".weights-*")  # the last two by older versions


def write_text(path: Path, text: str) -> None:
    """Write ``text`` so that a reader, or a crash, sees the old file or the new one and nothing between."""
    with replacing(path) as partial:
        partial.write_text(text, encoding="utf-8")


def write_json(path: Path, value: Any) -> None:
    """Write ``value`` as indented JSON; see :func:`write_text`."""
    write_text(path, json.dumps(value, indent=2) + "\n")


def move_files(source: Path, target: Path) -> None:
    """Put every file below ``source`` in the same place below ``target``, each whole or not at all."""
    for path in sorted(source.rglob("*")):
        if path.is_file():
            place = target / path.relative_to(source)
            place.parent.mkdir(parents=True, exist_ok=True)
            with path.open("rb") as file:
                os.fsync(file.fileno())
            path.replace(place)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A path to write to, which takes the place of ``path`` when the context ends well."""
    partial = path.with_name(f".{path.name}.partial")
    try:
        yield partial
        with partial.open("rb") as file:
            os.fsync(file.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def staging(folder: Path) -> Iterator[Path]:
    """A directory inside ``folder`` to make things ready in, gone when the context ends (or by :func:`sweep`)."""
    with tempfile.TemporaryDirectory(prefix=".staging-", dir=folder) as place:
        yield Path(place)


def sweep(run: Path) -> None:
    """Remove the directories that a killed process left half written in a run; only who holds its lock may ask."""
    for old in run.glob(".*.old"):
        put_back(old.with_name(old.name.removeprefix(".").removesuffix(".old")))
    for left in [left for pattern in _LEFT for left in run.glob(pattern)]:
        shutil.rmtree(left, ignore_errors=True)


def replace_directory(source: Path, target: Path) -> None:
    """Put ``source`` in the place of ``target``, whole or not at all; killed between, :func:`put_back` mends it."""
    for path in (*source.rglob("*"), source):
        sync(path)
    old = _aside(target)
    shutil.rmtree(old, ignore_errors=True)
    if target.exists():
        target.rename(old)
    source.rename(target)
    sync(target.parent)
    shutil.rmtree(old, ignore_errors=True)


def put_back(target: Path) -> None:
    """Undo what :func:`replace_directory` had begun when it was killed."""
    if _aside(target).is_dir() and not target.exists():
        with suppress(OSError):
            _aside(target).rename(target)


def remove_directory(target: Path) -> None:
    """Remove what :func:`replace_directory` put there."""
    for path in (_aside(target), target):
        shutil.rmtree(path, ignore_errors=True)


def _aside(target: Path) -> Path:
    return target.with_name(f".{target.name}.old")


def sync(path: Path) -> None:
    """Have the disk hold what was written; directories cannot be synced on every system."""
    with suppress(OSError):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def check_free(path: Path) -> None:
    """Check that a run directory may be created.

    Raises:
        RunError: If something is there already.
    """
    try:
        # Hidden files are what an interrupted attempt leaves before there is a run.
        occupied = path.exists() and any(not entry.name.startswith(".") for entry in path.iterdir())
    except OSError as error:
        raise RunError(f"cannot write a run to {str(path)!r}: {error.strerror or error}") from None
    if occupied:
        raise RunError(
            f"{str(path)!r} is not empty; give another directory with --out, or remove it first; a run that "
            "was stopped goes on by `twosome train --resume`"
        )


def new_run_directory(path: Path) -> Path:
    """Create an empty run directory.

    Raises:
        RunError: If it holds a run already, or cannot be written.
    """
    check_free(path)
    try:
        path.mkdir(parents=True, exist_ok=True)
        probe = path / ".writable"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise RunError(f"cannot write a run to {str(path)!r}: {error.strerror or error}") from None
    return path
