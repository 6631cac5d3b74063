"""Weights wanted in another precision than their file has, converted piece by piece as they are read.

transformers maps a file into memory and converts from there, so at the end of loading both are in memory: of a float32
file that is wanted in bfloat16 three times what the model takes. Here a piece of the file is, at a time. Weights that
are wanted as they are in the file stay mapped.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import Any

import torch
from torch import Tensor

PIECE = 2**23
"""Bytes of the file at a time."""
_DTYPES = {"F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}
"""The names that safetensors files have for what can be converted here."""
_ONE_AT_A_TIME = Lock()


@contextmanager
def converted_in_pieces(dtype: torch.dtype | str) -> Iterator[None]:
    """Let transformers read files so while the context lasts; nothing changes where ``dtype`` is ``"auto"``."""
    from transformers import modeling_utils as library

    opened = getattr(library, "safe_open", None)
    if opened is None or not isinstance(dtype, torch.dtype):
        yield
        return

    def open_in_pieces(file: Any, *arguments: Any, **named: Any) -> _File:
        return _File(Path(file), opened(file, *arguments, **named))

    with _ONE_AT_A_TIME:
        library.safe_open = open_in_pieces
        try:
            yield
        finally:
            library.safe_open = opened


class _File:
    """An open file of weights; ``inner`` is what safetensors makes of it, and does all but hand out weights."""

    def __init__(self, path: Path, inner: Any) -> None:
        self._path, self._inner = path, inner
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            self._header = json.loads(file.read(length))
        self._data = 8 + length

    def __enter__(self) -> _File:
        self._inner.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        self._inner.__exit__(*error)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def get_slice(self, name: str) -> Any:
        """A weight, not read yet."""
        entry, inner = self._header[name], self._inner.get_slice(name)
        if entry["dtype"] not in _DTYPES:
            return inner
        start = self._data + entry["data_offsets"][0]
        return _Weight(self._path, start, entry["shape"], _DTYPES[entry["dtype"]], inner)


class _Weight:
    """A weight in a file, which is read when it is known in which precision and where it is wanted."""

    def __init__(self, path: Path, start: int, shape: list[int], dtype: torch.dtype, inner: Any) -> None:
        self._path, self._start, self._shape, self._dtype, self._inner = path, start, shape, dtype, inner

    def __getitem__(self, index: Any) -> Any:
        return self if index is Ellipsis else self._inner[index]

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner if hasattr(self._inner, name) else self._inner[...], name)

    def to(self, device: Any = None, dtype: torch.dtype | None = None) -> Tensor:
        """As a tensor's ``to``."""
        if dtype in (None, self._dtype) or torch.device(device or "cpu").type != "cpu":
            found: Tensor = self._inner[...].to(device=device, dtype=dtype)
            return found
        return _converted(self._path, self._start, self._shape, self._dtype, dtype)


def _converted(path: Path, start: int, shape: list[int], source: torch.dtype, dtype: torch.dtype | None) -> Tensor:
    """The numbers of ``source`` precision from ``start`` on, in ``dtype``; rounded as a tensor's ``to`` rounds.

    Raises:
        OSError: If the file ends before them.
    """
    found = torch.empty(shape, dtype=dtype)
    flat, done = found.view(-1), 0
    content = bytearray(min(PIECE, flat.numel() * source.itemsize))
    with path.open("rb", buffering=0) as file:
        file.seek(start)
        while done < flat.numel():
            count = min(len(content) // source.itemsize, flat.numel() - done)
            _fill(file, memoryview(content)[: count * source.itemsize], path)
            flat[done : done + count].copy_(torch.frombuffer(content, dtype=source, count=count))
            done += count
    return found


def _fill(file: Any, content: memoryview, path: Path) -> None:
    """Read as many bytes as ``content`` has room for."""
    while content:
        read = file.readinto(content)
        if not read:
            raise OSError(f"the file {str(path)!r} ends too early; get it again")
        content = content[read:]
