"""Tokenizers that split texts as their own file says, whatever class a configuration names.

A ``tokenizer.json`` holds all of a fast tokenizer: how text is cut before tokens are looked up, the vocabulary, what
stands in front. transformers nevertheless rebuilds it from the class that ``tokenizer_config.json`` or the model's type
names, with that class's way of cutting. Where the two differ, the model is given other tokens than it was trained with,
and every probability is another. So both are compared as they are loaded, and the file is followed.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from twosome.collector import resting
from twosome.errors import ModelError, first_line
from twosome.tokenizing.choice import Choice, keep, key_for, recall
from twosome.tokenizing.leftovers import without_parts
from twosome.tokenizing.parts import same_steps, splits_as_its_file
from twosome.tokens.encoding import Tokenizer

PROBES = (
    "You see the tomato and the bowl on the table, so you should now pick up the tomato",
    "12 tomatoes cost 3.50, in 2024 1000",
    "two  spaces, three   spaces",
    " a space in front and behind ",
    "one\ntwo\n\nthree\tfour",
    "don't, I'll, WE'VE, it's",
    "Café naïve 番茄 トマト Привет مرحبا 🍅",
    "snake_case(x) != CamelCase; [a-b] {c}...",
    "cafe\u0301, \ufb01ve, \uff11\uff12",
    "A",
)
"""Texts on which two tokenizers show how they differ: digits, spaces, line breaks, apostrophes, other scripts,
what Unicode writes in two ways."""

FILES = ("tokenizer.json", "tokenizer.model", "tokenizer_config.json", "vocab.json", "spiece.model")
_SPECIAL = ("bos_token", "eos_token", "unk_token", "pad_token", "sep_token", "cls_token", "mask_token")
_MODELS = {
    "tokenizer.model": ("sentencepiece", "google.protobuf"),
    "spiece.model": ("sentencepiece", "google.protobuf"),
}


def read_tokenizer(
    name: str, source: str, *, revision: str | None = None, trust_remote_code: bool = False
) -> Tokenizer:
    """The tokenizer of a model or adapter, which splits texts as its ``tokenizer.json`` does, if it has one.

    Args:
        name: What to call it in messages.
        source: A directory, or a hub id.
        revision: Branch, tag or commit of a hub id.
        trust_remote_code: Run code that comes with it. Such a class is kept, and only told where it differs.

    Raises:
        ModelError: If there is none, or it cannot be read.
    """
    from transformers import AutoTokenizer

    where = {"revision": revision or "main"}
    own = _own_file(source, where["revision"])
    key = None if own is None or trust_remote_code else key_for(own)
    known = recall(key) if key is not None else None
    found = None if known is None else _as_chosen(known, source, where)
    if known is not None and found is not None:
        _tell(name, known)
        return without_parts(found)
    loaded, failure = None, ""
    try:
        loaded = AutoTokenizer.from_pretrained(source, trust_remote_code=trust_remote_code, **where)
    except Exception as error:  # the tokenizers library raises no better, and a class may fail on another's file
        failure = first_line(error)
        if isinstance(error, OSError):  # it is not even there
            own = None
    found, choice = (loaded, Choice("class")) if own is None else _faithful(source, own, loaded, where)
    if found is None:
        raise ModelError(f"cannot load a tokenizer from {name!r}: {_missing(source) or failure}")
    _tell(name, choice)
    if key is not None and own is not None:
        keep(key, choice)
    del loaded  # where the file is followed
    return without_parts(found)


def adapter_tokenizer(directory: str | Path, model: Any, tokenizer: Tokenizer, *, trust_remote_code: bool) -> Tokenizer:
    """The tokenizer saved beside an adapter, whose added tokens it was trained with; ``tokenizer`` if there is none.

    Where the adapter brings embeddings for a vocabulary of another size, the model's are made to have it, before the
    adapter is loaded.

    Raises:
        ModelError: If it cannot be read, or has more tokens than the model and the adapter have embeddings for.
    """
    if not has_tokenizer(directory):
        return tokenizer
    with resting():
        own = read_tokenizer(str(directory), str(directory), trust_remote_code=trust_remote_code)
    rows, needed = len(model.get_input_embeddings().weight), max(own.get_vocab().values(), default=-1) + 1
    brought = _brought_rows(Path(directory), model)
    if brought is not None and brought != rows and brought >= needed:
        model.resize_token_embeddings(brought, mean_resizing=False)  # every row is the adapter's
    elif needed > rows:
        raise ModelError(
            f"the tokenizer beside the adapter in {str(directory)!r} has {needed} tokens, but {type(model).__name__} "
            f"has embeddings for {rows}, and the adapter brings {brought or 'none'}; save it with its embeddings "
            "(save_embedding_layers=True), or remove the tokenizer if the adapter was trained without it"
        )
    return own


def _brought_rows(directory: Path, model: Any) -> int | None:
    """For how many tokens an adapter brings embeddings, of the input and, if that has its own, of the output."""
    file = directory / "adapter_model.safetensors"
    modules = {module: name for name, module in model.named_modules()}
    layers = [model.get_input_embeddings(), model.get_output_embeddings()]
    if layers[1] is None or layers[1].weight is layers[0].weight:
        layers.pop()
    found = []
    try:
        with safe_open(str(file), framework="pt") as weights:
            for layer in layers:
                whole = re.compile(rf"(^|\.){re.escape(modules[layer])}(\.[\w.]+)?\.weight$")
                names = [name for name in weights.keys() if whole.search(name)]  # noqa: SIM118
                found.append(weights.get_slice(names[0]).get_shape()[0] if names else None)
    except (OSError, SafetensorError):  # told when the adapter itself is loaded
        return None
    return found[0] if found and all(rows == found[0] for rows in found) else None


def has_tokenizer(directory: str | Path) -> bool:
    """Whether a directory holds a tokenizer."""
    return any((Path(directory) / file).is_file() for file in FILES)


def _faithful(
    source: str, file: str, loaded: Tokenizer | None, where: dict[str, str]
) -> tuple[Tokenizer | None, Choice]:
    """The loaded tokenizer if it splits as the file does, else the file's own; None if neither can be read."""
    from transformers import PreTrainedTokenizerFast

    if getattr(loaded, "is_fast", False) and splits_as_its_file(loaded.backend_tokenizer, file):  # type: ignore[union-attr]
        return loaded, Choice("class")
    foreign = loaded is not None and (
        not type(loaded).__module__.startswith("transformers.") or not getattr(loaded, "is_fast", False)
    )
    kept, special = loaded is not None and (foreign or type(loaded) is PreTrainedTokenizerFast), _special(loaded)
    own = None if kept else _from_file_alone(source, where, special)
    backend = _backend(file, own)
    if backend is None:  # a file that cannot be read alone
        return loaded, Choice("class")
    told: list[str | None] = []
    if loaded is not None and type(loaded) is not PreTrainedTokenizerFast:
        its = f"its class {type(loaded).__name__}"
        if foreign:
            told.append(_differing(its, loaded, backend, "the class is followed, as it was not made from the file"))
            return loaded, Choice("class", told=_said(told))
        if same_steps(loaded.backend_tokenizer, backend) and _difference(loaded, backend) is None:
            return loaded, Choice("class")
        followed = "tokenizer.json" if own is not None else "no other way could be loaded, and the class"
        told.append(_differing(its, loaded, backend, f"{followed} is followed"))
    read = own if not kept else loaded
    if read is not None and getattr(read, "backend_tokenizer", None) is not backend:
        asked = "the configuration is followed, as it asks for that"
        told.append(_differing("tokenizer_config.json", read, backend, asked))
    if own is None:
        return loaded, Choice("class", told=_said(told))
    return own, Choice("file", special, _said(told))


def _said(told: Sequence[str | None]) -> tuple[str, ...]:
    return tuple(message for message in told if message)


def _as_chosen(choice: Choice, source: str, where: dict[str, str]) -> Tokenizer | None:
    """The tokenizer that was chosen before, loaded in that way alone; None if it cannot be."""
    from transformers import AutoTokenizer

    if choice.follows == "file":
        return _from_file_alone(source, where, choice.special)
    try:
        loaded: Tokenizer = AutoTokenizer.from_pretrained(source, **where)
    except Exception:  # tried anew, and told
        return None
    return loaded


def _backend(file: str, own: Tokenizer | None) -> Any:
    """What splits as the file does: the part of ``own`` if that has all that is in the file, else the file read again.

    None if it cannot be read alone.
    """
    from transformers.tokenization_utils_tokenizers import TokenizerFast

    found = getattr(own, "backend_tokenizer", None)
    if found is None or not splits_as_its_file(found, file):
        try:
            found = TokenizerFast.from_file(file)
        except Exception:  # the tokenizers library raises no better
            return None
    found.no_truncation()
    found.no_padding()
    return found


def _special(loaded: Tokenizer | None) -> dict[str, str]:
    """Special tokens of a class, some of which no file may name."""
    tokens = {name: getattr(loaded, name, None) for name in _SPECIAL}
    return {name: str(token) for name, token in tokens.items() if token is not None}


def _from_file_alone(source: str, where: dict[str, str], special: Mapping[str, str]) -> Tokenizer | None:
    """The tokenizer of the file, with the settings of its configuration; what it lacks of ``special`` is added."""
    from transformers import PreTrainedTokenizerFast

    try:
        own: Tokenizer = PreTrainedTokenizerFast.from_pretrained(source, **where)
    except Exception:  # a configuration for another class
        return None
    lacking = {name: token for name, token in special.items() if getattr(own, name, None) is None}
    vocabulary = own.get_vocab() if lacking else {}
    for name, token in lacking.items():
        if token in vocabulary:
            setattr(own, name, token)
    return own


def _own_file(source: str, revision: str) -> str | None:
    """Where the ``tokenizer.json`` is, if there is one."""
    if Path(source).is_dir():
        file = Path(source) / "tokenizer.json"
        return str(file) if file.is_file() else None
    from transformers.utils import cached_file

    try:
        return cached_file(source, "tokenizer.json", revision=revision)  # type: ignore[no-any-return]
    except (OSError, ValueError):
        return None


def _difference(tokenizer: Tokenizer, backend: Any) -> tuple[str, list[str], list[str]] | None:
    """The first text that the two split differently, with both splits; None if they agree."""
    for text in PROBES:
        expected = backend.encode(text)
        try:
            ids = list(tokenizer(text)["input_ids"])
        except Exception as error:  # a class whose unknown token the file does not have, say
            return text, [f"an error ({error})"], list(expected.tokens)
        if ids != expected.ids:
            return text, [str(token) for token in tokenizer.convert_ids_to_tokens(ids)], list(expected.tokens)
    return None


def _differing(who: str, tokenizer: Tokenizer, backend: Any, followed: str) -> str | None:
    """Where a tokenizer does not split as the file does, in words; None if it does."""
    found = _difference(tokenizer, backend)
    if found is None:
        return None
    text, split, expected = found
    first, behind = _where(split, expected)
    return (
        f"{who} splits {text!r} into {_shown(split, first, behind)}, its tokenizer.json into "
        f"{_shown(expected, first, behind)}; {followed}"
    )


def _tell(name: str, choice: Choice) -> None:
    """Warn of what is described in two ways."""
    for message in choice.told:
        warnings.warn(f"the tokenizer of {name!r} is described in two ways: {message}", stacklevel=3)


def _where(one: Sequence[str], other: Sequence[str]) -> tuple[int, int]:
    """How many tokens two splits share at their beginning, and how many at their end."""
    first = next(
        (i for i, pair in enumerate(zip(one, other, strict=False)) if pair[0] != pair[1]), min(len(one), len(other))
    )
    rest = min(len(one), len(other)) - first
    behind = next((i for i in range(rest) if one[-1 - i] != other[-1 - i]), rest)
    return first, behind


def _shown(tokens: Sequence[str], first: int, behind: int) -> str:
    """The part of a split that differs, with a token around it."""
    start, end = max(0, first - 1), min(len(tokens), len(tokens) - behind + 1)
    inside = " | ".join(tokens[start:end][:12])
    return f"{'... ' if start else ''}{inside}{' ...' if end < len(tokens) or end - start > 12 else ''}"


def _missing(source: str) -> str | None:
    """What is not installed that a SentencePiece model needs; transformers asks for something else then."""
    for file, needs in _MODELS.items():
        if (Path(source) / file).is_file() and not (Path(source) / "tokenizer.json").is_file():
            missing = [need for need in needs if not _is_installed(need)]
            if missing:
                names = [need.removeprefix("google.") for need in missing]
                return f"reading its {file} needs {' and '.join(names)}: pip install {' '.join(names)}"
    return None


def _is_installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except (ImportError, ValueError):  # the package around it is missing
        return False
