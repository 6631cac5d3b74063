"""Bodies of requests: taken in within limits of size and time, and unpacked within the same."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Iterator
from contextlib import suppress
from importlib import import_module
from typing import Any

from starlette.requests import Request

from twosome.formats.refusals import Refusal

_PIECE = 65_536
_READ_ON = 16
"""So many times the limit is read and thrown away, so that a client that still sends can hear that it was too much."""
_WINDOW = 23
"""Binary logarithm of the most memory a zstd frame may ask for: 8 MiB, what the format's own text recommends."""


async def read_body(request: Request, most: int, seconds: float) -> bytes:
    """The body of a request, unpacked.

    Args:
        request: What came.
        most: Bytes it may have, before and after unpacking.
        seconds: How long it may take to arrive.

    Raises:
        Refusal: If it is no JSON by its media type, packed in a way we do not know, too large, late or damaged.
        starlette.requests.ClientDisconnect: If the client went away.
    """
    headers = request.headers
    media = headers.get("content-type", "").partition(";")[0].strip().lower()
    encoding = headers.get("content-encoding", "").strip().lower()
    refusal: Refusal | None = None
    if media != "application/json":
        asked = "text only, as application/json" if media.startswith("multipart/") else "application/json"
        refusal = Refusal(415, f"the media type is {media[:60]!r}; send {asked}")
    elif encoding not in ("", "identity", "gzip", "zstd"):
        refusal = Refusal(
            415,
            f"the content encoding is {encoding[:60]!r}; send gzip, zstd or none (in typesafe-sdk: compression=False)",
        )
    elif encoding == "zstd" and _zstd() is None:
        refusal = Refusal(415, "this server was installed without zstd; send gzip or none (compression=False)")
    try:
        async with asyncio.timeout(seconds):
            packed = await _received(request, most, refusal)
    except TimeoutError:
        raise Refusal(
            400,
            f"the body did not arrive within {seconds:g} seconds",
            code="body_late",
            headers={"Connection": "close"},
        ) from None
    return unpacked(packed, encoding, most)


async def _received(request: Request, most: int, refusal: Refusal | None) -> bytes:
    """All that was sent; or the refusal, once the client has sent all and listens."""
    pieces: list[bytes] = []
    size = 0
    async for piece in request.stream():
        size += len(piece)
        if size > most and refusal is None:
            refusal = _too_large(most)
        if refusal is None:
            pieces.append(piece)
        else:
            pieces.clear()
            if size > _READ_ON * most:
                refusal.headers = {"Connection": "close"}
                break
    if refusal is not None:
        raise refusal
    return b"".join(pieces)


def unpacked(packed: bytes, encoding: str, most: int) -> bytes:
    """What was packed, at most ``most`` bytes of it.

    Raises:
        Refusal: If it is damaged or grows larger.
    """
    if encoding in ("", "identity"):
        return packed
    pieces, size = [], 0
    try:
        for piece in _gzip(packed) if encoding == "gzip" else _zstandard(packed):
            size += len(piece)
            if size > most:
                raise _too_large(most)
            pieces.append(piece)
    except Refusal:
        raise
    except Exception as error:  # zlib.error, ZstdError of one of two modules, EOFError
        message = f"the body is no {encoding}: {str(error)[:100]}"
        raise Refusal(400, message, code="encoding_invalid") from None
    return b"".join(pieces)


def _gzip(packed: bytes) -> Iterator[bytes]:
    rest = packed
    while rest:
        unpacker = zlib.decompressobj(wbits=31)
        while not unpacker.eof:
            piece = unpacker.decompress(rest, _PIECE)
            rest = unpacker.unconsumed_tail
            if not piece and not unpacker.eof:
                raise EOFError("it ends too early")
            yield piece
        rest = unpacker.unused_data


def _zstandard(packed: bytes) -> Iterator[bytes]:
    zstd = _zstd()
    rest = packed
    while rest:
        unpacker = zstd.ZstdDecompressor(options={zstd.DecompressionParameter.window_log_max: _WINDOW})
        given = rest
        while not unpacker.eof:
            if not given and unpacker.needs_input:
                raise EOFError("it ends too early")
            yield unpacker.decompress(given, _PIECE)
            given = b""
        rest = unpacker.unused_data


def _zstd() -> Any:
    """The zstd of the standard library, or the same for older Pythons; None without either."""
    for name in ("compression.zstd", "backports.zstd"):
        with suppress(ImportError):
            return import_module(name)
    return None


def _too_large(most: int) -> Refusal:
    return Refusal(413, f"the body is larger than {most} bytes; ask fewer or shorter questions")
