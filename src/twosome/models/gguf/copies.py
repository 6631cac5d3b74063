"""Directories made of GGUF files, kept between processes: reading a large vocabulary takes most of a minute.

A copy is called by the SHA-256 of the file and what it was made with. It gets its name when it is whole, is verified
when it is read, and may be deleted at any time.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
from pathlib import Path

from filelock import FileLock, Timeout
from safetensors import SafetensorError

from twosome.caching import cache_directory, key_of, sha256_of
from twosome.errors import ModelError
from twosome.models.gguf.conversion import convert, made_with
from twosome.models.gguf.naming import GgufFile, find_gguf, megabytes

KIND = "gguf"
WITHOUT = "TWOSOME_GGUF_COPIES"
"""Environment variable; at 0, nothing is kept."""
_MANIFEST = "manifest.json"
_trusted: set[Path] = set()  # verified by this process, or written by it
_passing: dict[str, tempfile.TemporaryDirectory[str]] = {}  # gone when the process ends


def directory_of(file: GgufFile) -> Path:
    """A model directory with what is in ``file``: the copy that is kept, or a new one.

    Raises:
        ModelError: If the file cannot be read, or the directory not written.
    """
    key = key_of({"sha256": file.sha256, **made_with()})
    if os.environ.get(WITHOUT) == "0":
        return _in_passing(file, key)
    final = cache_directory(KIND).absolute() / key
    if _usable(final, file):
        return final
    try:
        final.parent.mkdir(parents=True, exist_ok=True)
        with _lock(final, file):
            if not _usable(final, file):  # another process may have made it meanwhile
                _make(file, final)
    except (OSError, SafetensorError) as error:
        print(
            f"what was read of {file.name!r} cannot be kept in {str(final.parent)!r} ({error}); name another folder by "
            f"TWOSOME_CACHE, or set {WITHOUT}=0",
            file=sys.stderr,
        )
        return _in_passing(file, key)
    return final


def kept_copy(file: GgufFile) -> Path | None:
    """The directory that was made of a file before, if it is there; its weights are not looked at."""
    final = cache_directory(KIND).absolute() / key_of({"sha256": file.sha256, **made_with()})
    return final if (final / _MANIFEST).is_file() else None


def _lock(final: Path, file: GgufFile) -> FileLock:
    """A lock that is held, on making this copy."""
    lock = FileLock(final.with_suffix(".lock"))
    try:
        lock.acquire(timeout=0)
    except Timeout:
        print(f"waiting for another process that reads {file.name!r}", file=sys.stderr)
        lock.acquire()
    return lock


def _in_passing(file: GgufFile, key: str) -> Path:
    """A directory that goes when this process ends."""
    if key not in _passing:
        try:
            folder = tempfile.TemporaryDirectory(prefix="twosome-gguf-", ignore_cleanup_errors=True)
            _write(file, Path(folder.name) / key)
        except (OSError, SafetensorError) as error:
            raise ModelError(
                f"cannot unpack the GGUF file {file.name!r} into {tempfile.gettempdir()!r}: {error}; four bytes a "
                "weight must fit there (TMPDIR), or into the folder that TWOSOME_CACHE names"
            ) from None
        _passing[key] = folder
    return Path(_passing[key].name) / key


def _make(file: GgufFile, final: Path) -> None:
    """Write a copy, which has its name only when it is whole; the caller holds its lock."""
    for left in final.parent.glob(f".{final.name}.*"):  # by a process that was killed
        shutil.rmtree(left, ignore_errors=True)
    print(f"reading {file.name!r} ({megabytes(file.size)}), which takes longer the first time", file=sys.stderr)
    with tempfile.TemporaryDirectory(prefix=f".{final.name}.", dir=final.parent, ignore_cleanup_errors=True) as folder:
        made = Path(folder) / "made"
        _write(file, made)
        if final.exists():  # damaged; whoever reads it keeps what is open
            final.rename(Path(folder) / "damaged")
        made.rename(final)
    size = sum(path.stat().st_size for path in final.iterdir())
    print(
        f"what was read of {file.name!r} is kept in {str(final)!r} ({megabytes(size)}), from where it loads faster; it "
        f"may be deleted, and {WITHOUT}=0 keeps nothing",
        file=sys.stderr,
    )
    _trusted.add(final)


def _write(file: GgufFile, made: Path) -> None:
    made.mkdir()
    convert(file, made)
    now = find_gguf(str(file.path))
    if now is None or now.sha256 != file.sha256:
        raise ModelError(f"the GGUF file {file.name!r} changed while it was read: try again when it is whole")
    files = sorted(path for path in made.iterdir() if path.is_file())
    manifest = {"file": file.note(), "made_with": made_with(), "sha256": {path.name: sha256_of(path) for path in files}}
    (made / _MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
    for path in (*files, made / _MANIFEST):
        with path.open("rb") as opened:
            os.fsync(opened.fileno())


def _usable(final: Path, file: GgufFile) -> bool:
    """Whether there is a copy whose files are those that were written; verified once by a process."""
    if not final.is_dir():
        return False
    if final in _trusted:
        return True
    damage = _damage(final)
    if damage:
        print(f"the copy of {file.name!r} in {str(final)!r} is damaged ({damage}); it is made again", file=sys.stderr)
        return False
    _trusted.add(final)
    return True


def _damage(copy: Path) -> str:
    """What is wrong with a copy, empty if nothing is."""
    try:
        digests = json.loads((copy / _MANIFEST).read_text(encoding="utf-8"))["sha256"]
        names = {path.name for path in copy.iterdir()} - {_MANIFEST}
        if names != digests.keys() or not names:
            return "other files are in it than were written"
        changed = [name for name in sorted(names) if sha256_of(copy / name) != digests[name]]
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        return f"{type(error).__name__}: {error}"
    return f"{', '.join(changed)} changed" if changed else ""
