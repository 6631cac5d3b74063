"""Whether a tokenizer's class or its file was followed, remembered from one process to the next: one load, not two."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

from twosome.caching import keep_record, key_of, recall_record, sha256_of

_KIND = "tokenizers"
_DECIDING = {".json", ".txt", ".model", ".tiktoken", ".jinja"}
"""How the names of files end that a tokenizer is made of."""


@dataclass(frozen=True)
class Choice:
    """How a tokenizer was loaded.

    Attributes:
        follows: The class that its configuration names, or the ``tokenizer.json`` alone.
        special: Special tokens that the class has and the file may lack.
        told: What a user is told of the difference.
    """

    follows: Literal["class", "file"]
    special: Mapping[str, str] = field(default_factory=dict)
    told: tuple[str, ...] = ()


def recall(key: str) -> Choice | None:
    """The choice made for what ``key`` stands for, if there is one that says no more and no less than a choice does."""
    record = recall_record(_KIND, key)
    if record is None or record.keys() != {"follows", "special", "told"}:
        return None
    follows, special, told = record["follows"], record["special"], record["told"]
    whole = (
        follows in ("class", "file")
        and isinstance(special, dict)
        and isinstance(told, list)
        and all(isinstance(text, str) for text in (*special.values(), *told))
    )
    return Choice(follows, special, tuple(told)) if whole else None


def keep(key: str, choice: Choice) -> None:
    """Remember a choice."""
    keep_record(_KIND, key, asdict(choice))


def key_for(file: str) -> str | None:
    """What a choice depends on: all files beside the ``tokenizer.json``, the libraries, this code.

    None if they cannot be read. Of a hub's files more may be fetched later, so there the commit, which is the name of
    their folder, counts too.
    """
    folder = Path(file).parent
    try:
        files = {
            path.name: sha256_of(path)
            for path in sorted(folder.iterdir())
            if path.suffix in _DECIDING and path.is_file()
        }
    except OSError:
        return None
    facts: dict[str, Any] = {
        "files": files,
        "commit": folder.name if folder.parent.name == "snapshots" else None,
        "code": [_own_code(), *(version(name) for name in ("transformers", "tokenizers"))],
    }
    return key_of(facts)


@lru_cache
def _own_code() -> str:
    """A hash of the code that chooses."""
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()
