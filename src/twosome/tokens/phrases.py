"""Token ids of phrases, remembered where no prompt can change them: most decisions ask for phrases that came before.

Prompt and phrase are tokenised joined, because a tokenizer may merge one into the other. Many cannot: they cut a text
before a space that follows a word, and split what lies between the cuts by itself. Then a phrase has the same tokens
after every prompt, and a decision of ten phrases need not have its prompt split eleven times.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

GAP = " "
"""What must stand between a prompt and a phrase."""
_MOST = 4096  # phrases that are remembered, of at most so many characters:
_LONGEST = 200

_WORDS = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}%s| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_PARTING = {_WORDS % count for count in ("", "{1,3}", "{1,2}")}
"""Patterns of which no match that begins in a word, or in white space before it, reaches a space behind that word."""

Ids = tuple[int, ...]


class Phrases:
    """Token ids of phrases behind a gap.

    Args:
        read: Token ids of texts, without special tokens around them.
    """

    def __init__(self, read: Callable[[Sequence[str]], Sequence[Ids]]) -> None:
        self._read = read
        self._short = lru_cache(_MOST)(self._ids)

    def __call__(self, phrases: Sequence[str]) -> list[Ids]:
        """Token ids of each; as many as short phrases may take are remembered."""
        return [(self._short if len(phrase) <= _LONGEST else self._ids)(phrase) for phrase in phrases]

    def _ids(self, phrase: str) -> Ids:
        return self._read([GAP + phrase])[0]


def parts_before_spaces(tokenizer: Any) -> bool:
    """Whether any text has the tokens of its part up to a word's end, then those of the rest from the space on.

    Told by what the tokenizer is made of. False means that it may or may not.
    """
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None or not _is_plain(type(tokenizer)):
        return False
    model = backend.model
    if type(model).__name__ != "BPE" or model.dropout is not None:  # others may look at a whole text
        return False
    if backend.normalizer is not None and type(backend.normalizer).__name__ != "NFC":  # which leaves spaces alone
        return False
    added = backend.get_added_tokens_decoder().values()
    if any(token.lstrip or token.rstrip or any(map(str.isspace, token.content)) for token in added):
        return False
    return backend.pre_tokenizer is not None and _parts(json.loads(backend.pre_tokenizer.__getstate__()))


def _is_plain(kind: type) -> bool:
    """Whether its texts go to the tokenizers library as they are."""
    methods = (getattr(kind, name, None) for name in ("__call__", "_encode_plus"))
    return all(getattr(method, "__module__", "").startswith("transformers.tokenization_utils") for method in methods)


def _parts(step: dict[str, Any]) -> bool:
    """Whether a pre-tokenizer cuts before such spaces, wherever else it cuts."""
    steps = step["pretokenizers"] if step["type"] == "Sequence" else [step]
    for one in steps:
        if one["type"] == "ByteLevel" and not one["add_prefix_space"]:
            if one["use_regex"]:
                return _keep(steps)
        elif one["type"] == "Split" and one["pattern"].get("Regex") in _PARTING:
            if one["behavior"] == "Isolated" and not one["invert"]:
                return _keep(steps)
        elif one["type"] != "Digits":  # which cuts between two letters because of these two alone
            return False
    return False


def _keep(steps: Sequence[dict[str, Any]]) -> bool:
    """Whether none of the steps adds a space of its own."""
    return all(step["type"] in ("ByteLevel", "Split", "Digits") and not step.get("add_prefix_space") for step in steps)
