"""Checkpoints: everything an exact continuation needs, written whole or not at all, verified when read.

    checkpoints/update-000040/
        manifest.json         format, package version, update, SHA-256 of the other files
        state.json            counters, optimizers' settings, open episodes, file offsets
        tensors.safetensors   weights, optimizers' moments, generators

Nothing is pickled: tensors are safetensors, the rest is JSON.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load, load_file, save, save_file
from torch import Tensor

from twosome.caching import file_sha256
from twosome.errors import RunError
from twosome.runs.files import sync

FORMAT = 1
DIRECTORY = "checkpoints"
_MANIFEST, _STATE, _TENSORS = "manifest.json", "state.json", "tensors.safetensors"


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint read back.

    Attributes:
        update: How many updates had been made.
        state: What was saved: nested dictionaries and lists of tensors, numbers and texts.
    """

    update: int
    state: dict[str, Any]


def write_checkpoint(run: Path, update: int, state: Mapping[str, Any], keep: int = 2) -> Path:
    """Save ``state`` as the checkpoint after ``update`` updates, and remove all but the newest ``keep``.

    The directory gets its name only when everything in it has reached the disk.

    Raises:
        RunError: If it cannot be written; the checkpoints that are there stay.
    """
    try:
        return _write(run, update, state, keep)
    except (OSError, SafetensorError) as error:
        raise RunError(f"cannot write the checkpoint after update {update}: {error}") from None


def _write(run: Path, update: int, state: Mapping[str, Any], keep: int) -> Path:
    folder = run / DIRECTORY
    folder.mkdir(exist_ok=True)
    partial, final = folder / f".{_name(update)}.partial", folder / _name(update)
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()
    tensors: dict[str, Tensor] = {}
    plain = _split(state, "", tensors)
    save_file(tensors, str(partial / _TENSORS))
    (partial / _STATE).write_text(json.dumps(plain), encoding="utf-8")
    manifest = {
        "format": FORMAT,
        "twosome": version("twosome"),
        "update": update,
        "sha256": {name: file_sha256(partial / name) for name in (_STATE, _TENSORS)},
    }
    (partial / _MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
    for path in (*partial.iterdir(), partial):
        sync(path)
    shutil.rmtree(final, ignore_errors=True)
    partial.rename(final)
    sync(folder)
    for old in _checkpoints(run)[keep:]:
        shutil.rmtree(old, ignore_errors=True)
    return final


def newest_checkpoint(run: Path, warn: Any = print) -> Checkpoint | None:
    """The newest checkpoint of a run that is whole; None if there is none.

    Args:
        run: The run directory.
        warn: Told about every damaged one that is passed over.

    Raises:
        RunError: If a checkpoint was written by a newer version.
    """
    for path in _checkpoints(run):
        try:
            return _read(path)
        except _Damaged as damage:
            warn(f"passing over the damaged checkpoint {path.name}: {damage}")
    return None


@contextmanager
def expecting_ours(checkpoint: Checkpoint) -> Iterator[None]:
    """Say in a sentence that a checkpoint holds something else than this version writes."""
    try:
        yield
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, RuntimeError, OverflowError) as error:
        said = " ".join(str(error).split())[:200]
        raise RunError(
            f"the checkpoint after update {checkpoint.update} is whole, but not what this version of twosome "
            f"writes ({type(error).__name__}: {said}); resume it with the version that wrote it"
        ) from None


class _Damaged(Exception):
    pass


def _read(path: Path) -> Checkpoint:
    try:
        manifest = json.loads((path / _MANIFEST).read_text(encoding="utf-8"))
        made, update, digests = int(manifest["format"]), int(manifest["update"]), dict(manifest["sha256"])
    except (OSError, ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
        raise _Damaged(f"its {_MANIFEST} cannot be read ({error})") from None
    if path.name != _name(update):
        raise _Damaged(f"its {_MANIFEST} says that it was made after update {update}")
    if made > FORMAT:
        raise RunError(
            f"{path.name} has format {made}, but this version of twosome reads up to {FORMAT}; resume it with the "
            f"version that wrote it ({manifest.get('twosome')}) or a newer one"
        )
    for name in (_STATE, _TENSORS):
        try:
            if file_sha256(path / name) != digests.get(name):
                raise _Damaged(f"{name} is not what was written")
        except OSError as error:
            raise _Damaged(f"{name} cannot be read ({error.strerror})") from None
    try:
        tensors = load_file(str(path / _TENSORS))
        state = _join(json.loads((path / _STATE).read_text(encoding="utf-8")), tensors)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError, SafetensorError) as error:
        raise _Damaged(f"it cannot be read ({error})") from None
    return Checkpoint(update, state)


def as_bytes(state: Mapping[str, Any]) -> bytes:
    """``state`` in one piece, for another process; :func:`from_bytes` gives it back."""
    tensors: dict[str, Tensor] = {}
    plain = json.dumps(_split(state, "", tensors)).encode()
    content: bytes = len(plain).to_bytes(8, "little") + plain + save(tensors)
    return content


def from_bytes(content: bytes) -> dict[str, Any]:
    """What :func:`as_bytes` was given."""
    end = 8 + int.from_bytes(content[:8], "little")
    found: dict[str, Any] = _join(json.loads(content[8:end]), load(content[end:]))
    return found


def _name(update: int) -> str:
    return f"update-{update:06d}"


def _checkpoints(run: Path) -> list[Path]:
    """Newest first."""
    return sorted((run / DIRECTORY).glob("update-*"), reverse=True)


def _split(value: Any, name: str, tensors: dict[str, Tensor]) -> Any:
    """``value`` as JSON can hold it, its tensors put aside under their path."""
    if isinstance(value, Tensor):
        tensors[name] = value.detach().cpu().contiguous().clone()
        return {"tensor": name}
    if isinstance(value, Mapping):
        pairs = [[key, _split(item, f"{name}/{key}", tensors)] for key, item in value.items()]
        return {"mapping": pairs}
    if isinstance(value, (list, tuple)):
        items = [_split(item, f"{name}/{index}", tensors) for index, item in enumerate(value)]
        return {"tuple": items} if isinstance(value, tuple) else items
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    raise TypeError(f"a checkpoint cannot hold {type(value).__name__} at {name}")


def _join(value: Any, tensors: Mapping[str, Tensor]) -> Any:
    """The inverse of :func:`_split`."""
    if isinstance(value, list):
        return [_join(item, tensors) for item in value]
    if not isinstance(value, dict):
        return value
    ((kind, content),) = value.items()
    if kind == "tensor":
        return tensors[content]
    if kind == "tuple":
        return tuple(_join(item, tensors) for item in content)
    return {key: _join(item, tensors) for key, item in content}
