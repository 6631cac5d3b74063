"""What a GGUF file says of itself: its metadata and the table of its tensors, without the tensors.

The ``gguf`` package reads the same in ten seconds where a vocabulary is large, and takes what is cut off for whatever
numpy makes of it. Here everything is checked against the size of the file.
"""

from __future__ import annotations

import mmap
import re
import struct
from dataclasses import dataclass
from math import prod
from typing import Any

from twosome.errors import ModelError
from twosome.models.gguf.naming import MAGIC, GgufFile, megabytes

VERSIONS = (2, 3)
_SCALARS = {0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 7: "<?", 10: "<Q", 11: "<q", 12: "<d"}
_STRING, _ARRAY = 8, 9
_ALIGNMENT = 32
_PART = re.compile(r"-(\d{5})-of-(\d{5})\.gguf$", re.IGNORECASE)


@dataclass(frozen=True)
class TensorInfo:
    """A tensor of the file.

    Attributes:
        shape: As GGUF has it: the fastest dimension first.
        kind: Number of its type.
        offset: From the beginning of the tensors.
    """

    name: str
    shape: tuple[int, ...]
    kind: int
    offset: int

    @property
    def numbers(self) -> int:
        """How many numbers it holds."""
        return prod(self.shape)


@dataclass(frozen=True)
class Header:
    """What is in front of the tensors.

    Attributes:
        architecture: Its name in GGUF.
        metadata: Everything else; arrays of texts as their length.
        tensors: The table.
    """

    architecture: str
    metadata: dict[str, Any]
    tensors: tuple[TensorInfo, ...]

    def get(self, key: str) -> Any:
        """A value of the architecture, None if there is none."""
        return self.metadata.get(f"{self.architecture}.{key}")


def read_header(file: GgufFile) -> Header:
    """The header of a file that is whole.

    Raises:
        ModelError: If it is cut off, one part of several, or of a version that is not read.
    """
    try:
        with file.path.open("rb") as opened, mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ) as content:
            header, end = _Reading(content, file.name).header()
    except (OSError, ValueError, TypeError, struct.error, ArithmeticError, IndexError, RecursionError) as error:
        raise ModelError(
            f"the GGUF file {file.name!r} of {megabytes(file.size)} is cut off or damaged in its header ({error}); get "
            "it again"
        ) from None
    _refuse_part(file, header)
    needed = end + max((info.offset + _size(info, file.name) for info in header.tensors), default=0)
    if needed > file.size:
        raise ModelError(
            f"the GGUF file {file.name!r} is cut off: its tensors take {needed:,} bytes, it has {file.size:,}; get it "
            "again"
        )
    return header


def _refuse_part(file: GgufFile, header: Header) -> None:
    named = _PART.search(file.path.name)
    parts = int(named.group(2)) if named else header.metadata.get("split.count", 1)
    if parts > 1:
        raise ModelError(
            f"the GGUF file {file.name!r} is one of {parts} parts, which are not read: make one file of them with "
            "`llama-gguf-split --merge FIRST_PART WHOLE.gguf` of llama.cpp"
        )


def _size(info: TensorInfo, name: str) -> int:
    """Bytes of a tensor."""
    from gguf import GGML_QUANT_SIZES, GGMLQuantizationType

    try:
        block, size = GGML_QUANT_SIZES[GGMLQuantizationType(info.kind)]
    except (ValueError, KeyError):
        raise ModelError(
            f"the GGUF file {name!r} holds {info.name!r} in the type of number {info.kind}, which the installed gguf "
            "does not know; install a newer one (pip install --upgrade gguf), or get the model in another type"
        ) from None
    return int(info.numbers // block * size)


class _Reading:
    """Goes through a header; whatever leads past its end raises."""

    def __init__(self, content: mmap.mmap, name: str) -> None:
        self._content = content
        self._name = name
        self._at = len(MAGIC)

    def header(self) -> tuple[Header, int]:
        """The header, and where the tensors begin."""
        (version,) = self._take("<I")
        if version not in VERSIONS:
            raise ModelError(
                f"the GGUF file {self._name!r} has version {version}; versions {VERSIONS[0]} and {VERSIONS[1]} in "
                "little-endian order are read: convert it anew"
            )
        tensors, keys = self._take("<QQ")
        metadata = {}
        for _ in range(keys):
            key = self._text()
            metadata[key] = self._value(self._take("<I")[0])
        table = tuple(self._tensor() for _ in range(tensors))
        architecture = metadata.get("general.architecture")
        if not isinstance(architecture, str):
            raise ModelError(f"the GGUF file {self._name!r} does not name its architecture (general.architecture)")
        alignment = metadata.get("general.alignment", _ALIGNMENT)
        return Header(architecture, metadata, table), -(-self._at // alignment) * alignment

    def _take(self, what: str) -> tuple[Any, ...]:
        found = struct.unpack_from(what, self._content, self._at)
        self._at += struct.calcsize(what)
        return found

    def _skip(self, length: int) -> None:
        if self._at + length > len(self._content):
            raise ValueError(f"byte {self._at + length:,} is expected")
        self._at += length

    def _text(self) -> str:
        (length,) = self._take("<Q")
        start = self._at
        self._skip(length)
        return self._content[start : self._at].decode("utf-8")

    def _value(self, kind: int) -> Any:
        if kind in _SCALARS:
            return self._take(_SCALARS[kind])[0]
        if kind == _STRING:
            return self._text()
        if kind != _ARRAY:
            raise ValueError(f"a value of type {kind}")
        inner, count = self._take("<IQ")
        if inner in _SCALARS:
            size = struct.calcsize(_SCALARS[inner])
            start = self._at
            self._skip(count * size)
            return [*struct.unpack_from(f"<{count}{_SCALARS[inner][1]}", self._content, start)]
        for _ in range(count):
            if inner == _STRING:
                self._skip(self._take("<Q")[0])
            else:
                self._value(inner)
        return count

    def _tensor(self) -> TensorInfo:
        name = self._text()
        (dimensions,) = self._take("<I")
        shape = self._take(f"<{dimensions}Q")
        kind, offset = self._take("<IQ")
        return TensorInfo(name, tuple(shape), kind, offset)
