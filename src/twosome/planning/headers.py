"""What the files of a model say of its weights, without the weights: how many bytes, in which precisions."""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

from twosome.errors import ModelError

_MOST = 100 * 2**20
"""Bytes that a header may take at most, as the format has it."""
SIZES = {"F64": 8, "I64": 8, "F32": 4, "I32": 4, "BF16": 2, "F16": 2, "I16": 2, "F8_E4M3": 1, "F8_E5M2": 1}
SIZES |= {"I8": 1, "U8": 1, "BOOL": 1}
_NAMES = {"F32": "float32", "BF16": "bfloat16", "F16": "float16"}


@dataclass(frozen=True)
class Files:
    """The weights of a directory.

    Attributes:
        numbers: How many numbers, by precision.
    """

    numbers: dict[str, int]

    @property
    def nbytes(self) -> int:
        """All together."""
        return sum(count * SIZES.get(kind, 1) for kind, count in self.numbers.items())

    @property
    def dtype(self) -> str | None:
        """The precision of most of them, as torch calls it; None if it has no such name."""
        most = max(self.numbers, key=lambda kind: self.numbers[kind], default="")
        return _NAMES.get(most)


def read_headers(directory: Path) -> Files | None:
    """What the safetensors files of a directory hold; None if there are none.

    Raises:
        ModelError: If one of them is none.
    """
    numbers: dict[str, int] = {}
    files = sorted(directory.glob("*.safetensors"))
    for file in files:
        for name, entry in _header(file).items():
            if name == "__metadata__":
                continue
            try:
                kind, count = str(entry["dtype"]), prod(int(size) for size in entry["shape"])
            except (KeyError, TypeError, ValueError):
                raise ModelError(f"{str(file)!r} has no dtype and shape for {name!r}; get the file again") from None
            numbers[kind] = numbers.get(kind, 0) + count
    return Files(numbers) if files else None


def _header(file: Path) -> dict[str, Any]:
    try:
        with file.open("rb") as opened:
            (length,) = struct.unpack("<Q", opened.read(8))
            content = json.loads(opened.read(length)) if length <= _MOST else None
    except (OSError, ValueError, struct.error, RecursionError) as error:
        raise ModelError(f"the header of {str(file)!r} cannot be read ({error}); get the file again") from None
    if not isinstance(content, dict):
        raise ModelError(f"{str(file)!r} is no safetensors file; get it again")
    return content
