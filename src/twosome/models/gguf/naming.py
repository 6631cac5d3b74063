"""What a user may call a GGUF file, and where it lies: a path, or ``owner/repo::file.gguf`` of a hub."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from twosome.caching import sha256_of
from twosome.errors import ModelError, first_line

SUFFIX = ".gguf"
MAGIC = b"GGUF"
HUB = "::"
"""Stands between a hub repository and the file in it."""


@dataclass(frozen=True)
class GgufFile:
    """A GGUF file as it is now.

    Attributes:
        name: What the user calls it.
        path: Where it lies.
        sha256: Of its bytes.
        size: In bytes.
    """

    name: str
    path: Path
    sha256: str
    size: int

    def note(self) -> dict[str, Any]:
        """What is written down of it, to know it again."""
        return {**asdict(self), "path": str(self.path.resolve())}


def find_gguf(name: str, revision: str | None = None) -> GgufFile | None:
    """The file that ``name`` means; None if it means a directory or a hub id.

    Args:
        name: What a user gave as a model.
        revision: Branch, tag or commit, for a file in a hub repository.

    Raises:
        ModelError: If there is no such file, or it is no GGUF file.
    """
    path = _path(name, revision)
    if path is None:
        _refuse_bare_directory(name)
        return None
    try:
        with path.open("rb") as file:
            beginning = file.read(len(MAGIC))
        if beginning != MAGIC:
            raise ModelError(
                f"{name!r} is a file, and no GGUF file: it begins with {beginning!r}, not {MAGIC!r}; a model is a GGUF "
                "file, the directory that holds config.json and the weights, or a hub id"
            )
        state = path.stat()
        digest = _sha256(path, state.st_size, state.st_mtime_ns, state.st_ctime_ns)
    except OSError as error:
        raise ModelError(f"cannot read the model {name!r}: {error.strerror or error}") from None
    return GgufFile(name, path, digest, state.st_size)


def _path(name: str, revision: str | None) -> Path | None:
    path = Path(name)
    if path.is_file():
        return path
    if HUB in name:
        repository, _, file = name.rpartition(HUB)
        return _from_hub(name, repository, file, revision)
    if path.suffix.lower() == SUFFIX and not path.is_dir():
        raise ModelError(
            f"there is no GGUF file {name!r}: expected a file there; if it was moved, name where it is now; one in a "
            f"hub repository is written owner/repo{HUB}file{SUFFIX}"
        )
    return None


def _from_hub(name: str, repository: str, file: str, revision: str | None) -> Path:
    if Path(repository).is_dir():
        raise ModelError(
            f"there is no file {file!r} in the directory {repository!r}: expected the GGUF file that {name!r} names"
        )
    from transformers.utils import cached_file

    try:
        found = cached_file(repository, file, revision=revision or "main")
    except (OSError, ValueError) as error:
        raise ModelError(f"cannot get the GGUF file {name!r}: {first_line(error)}") from None
    return Path(str(found))


def _refuse_bare_directory(name: str) -> None:
    """Say which file to name, if a directory holds GGUF files and nothing that is read from a directory."""
    path = Path(name)
    if not path.is_dir() or (path / "config.json").is_file():
        return
    files = sorted(entry.name for entry in path.iterdir() if entry.suffix.lower() == SUFFIX)
    if files:
        raise ModelError(
            f"the directory {name!r} holds {len(files)} GGUF file{'s' * (len(files) > 1)} and no config.json: name the "
            f"file, such as {str(path / files[0])!r}"
        )


@lru_cache(maxsize=64)
def _sha256(path: Path, size: int, modified: int, changed: int) -> str:
    """Of the file's bytes; remembered in this process until its size or one of its times is another."""
    return sha256_of(path)


def read_note(file: Path) -> dict[str, Any] | None:
    """A note of :meth:`GgufFile.note` in a JSON file, None if there is none that can be read."""
    try:
        return as_note(json.loads(file.read_text(encoding="utf-8")))
    except (OSError, ValueError, RecursionError):
        return None


def as_note(found: Any) -> dict[str, Any] | None:
    """What was read, if it is a note of :meth:`GgufFile.note`."""
    return found if isinstance(found, dict) and isinstance(found.get("sha256"), str) else None


def megabytes(size: int) -> str:
    """A size in words."""
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.0f} MB" if size >= 1e6 else f"{size:,} bytes"
