"""What a ``tokenizer.json`` says of how a text is split, beside its vocabulary: read without reading all of it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

_STEPS = ("normalizer", "pre_tokenizer", "post_processor")
_VOCABULARY = 20_000  # characters within which a model's own settings end and its vocabulary begins


def splits_as_its_file(backend: Any, file: str) -> bool:
    """Whether a loaded tokenizer has the same parts as its file: then it splits every text as the file does.

    False means that it may or may not. A vocabulary of 262,144 tokens takes a second to read and 300 MB; both have it
    from the same file, so it is left out.

    Args:
        backend: What tokenizes in a fast tokenizer.
        file: The ``tokenizer.json``.
    """
    parts = _parts_of(file)
    return parts is not None and parts == _parts_in(backend, parts["model"])


def same_steps(one: Any, other: Any) -> bool:
    """Whether two backends prepare a text in the same way, so that they differ in no text, also of those not tried."""

    def steps(backend: Any) -> list[Any]:
        return [*(_step(backend, name) for name in _STEPS[:2]), _added(backend)]

    return steps(one) == steps(other)


def _parts_of(file: str) -> dict[str, Any] | None:
    """The parts as the file has them; None if it is laid out otherwise than the tokenizers library writes it."""
    try:
        text = Path(file).read_text(encoding="utf-8")
        model = re.search(r',\s*"model"\s*:\s*\{', text)
        if model is None:
            return None
        vocabulary = re.compile(r',\s*"vocab"\s*:').search(text, model.end(), model.end() + _VOCABULARY)
        if vocabulary is None:
            return None
        whole = json.loads(text[: model.start()] + "}")
        return {
            **{name: whole.get(name) for name in _STEPS},
            "added": {(a["id"], a["content"], a["special"], a["lstrip"], a["rstrip"]) for a in whole["added_tokens"]},
            "model": json.loads("{" + text[model.end() : vocabulary.start()] + "}"),
        }
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None


def _parts_in(backend: Any, settings: dict[str, Any]) -> dict[str, Any]:
    """The parts as the loaded tokenizer has them; of its model those ``settings`` that the file names."""
    missing = object()
    model = {name: getattr(backend.model, name, missing) for name in settings if name != "type"}
    return {
        **{name: _step(backend, name) for name in _STEPS},
        "added": _added(backend),
        "model": {**model, **({"type": type(backend.model).__name__} if "type" in settings else {})},
    }


def _step(backend: Any, name: str) -> Any:
    step = getattr(backend, name)
    return None if step is None else json.loads(step.__getstate__())


def _added(backend: Any) -> set[tuple[int, str, bool, bool, bool]]:
    added = backend.get_added_tokens_decoder()
    return {(number, token.content, token.special, token.lstrip, token.rstrip) for number, token in added.items()}
