"""What both ends of the protocol know: its name, addresses, and how a key is proved without being sent."""

from __future__ import annotations

import hashlib
import hmac
import os
from pathlib import Path

from twosome.errors import ConfigError

PROTOCOL = "twosome-env/1"
"""The first word of a server; other numbers are other protocols."""
KEY_VARIABLE = "TWOSOME_ENV_KEY"
"""Environment variable with the key, so that it stands in no history and no configuration."""
MOMENT = {"prompt": (str,), "actions": (list,)}
"""What an environment shows."""
ANSWER = {
    **MOMENT,
    "reward": (float, int),
    "terminated": (bool,),
    "truncated": (bool,),
    "duration": (int,),
    "success": (bool, type(None)),
}
"""What a step is answered with; ``success`` is null where the world says nothing."""
TRAITS = {"joiner": (str, type(None)), "replays": (bool,), "quotes": (str, type(None)), "time_limit": (int, type(None))}
"""What an environment says of itself."""


def address(server: object) -> tuple[str, int]:
    """Host and port of ``HOST:PORT``; of ``[HOST]:PORT`` for IPv6.

    Raises:
        ConfigError: If it is no such thing.
    """
    host, _, port = server.rpartition(":") if isinstance(server, str) else ("", "", "")
    bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    digits = port.isascii() and port.isdigit() and len(port) <= 5
    if not bare or "/" in bare or (":" in bare and bare == host) or not digits or not 0 < int(port) < 65_536:
        raise ConfigError(
            f"environment.servers names {server!r}, which is no address of an environment server; expected HOST:PORT, "
            "such as 127.0.0.1:9117 ([::1]:9117 for IPv6)"
        )
    return bare, int(port)


def shared_key(file: str | None = None) -> str | None:
    """The key of a file, or of the environment variable; None if there is none.

    Raises:
        ConfigError: If the file cannot be read, or holds none.
    """
    if file is None:
        return os.environ.get(KEY_VARIABLE) or None
    try:
        key = Path(file).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        said = getattr(error, "strerror", None) or "it is no text"
        raise ConfigError(f"--key-file {file!r} cannot be read: {said}") from None
    if not key:
        raise ConfigError(f"--key-file {file!r} holds no key; write a word into it that cannot be guessed")
    return key


def proof(key: str, challenge: str) -> str:
    """HMAC-SHA256 of the challenge under the key, in hexadecimal digits: knows the key, and does not tell it."""
    return hmac.new(key.encode(), challenge.encode(), hashlib.sha256).hexdigest()


def proved(given: str | None, key: str, challenge: str) -> bool:
    """Whether a proof is right; takes as long whatever is wrong with it."""
    return given is not None and given.isascii() and hmac.compare_digest(given, proof(key, challenge))
