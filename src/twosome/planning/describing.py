"""What a model's configuration, headers and tokenizer say of it, while its weights stay where they are."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from twosome.errors import ModelError, first_line
from twosome.models.gguf.conversion import describe as describe_gguf
from twosome.models.gguf.copies import kept_copy
from twosome.models.gguf.naming import find_gguf
from twosome.models.gguf.tokenizer import read_copied
from twosome.models.loading import EMBEDDED, EMBEDDED_DIRECTORY, load_tokenizer
from twosome.planning.headers import Files, read_headers
from twosome.planning.resident import settled_bytes
from twosome.settings.config import LoadingConfig
from twosome.tokens.encoding import Tokenizer


@dataclass(frozen=True)
class Described:
    """A model before it is loaded.

    Attributes:
        config: Its configuration.
        files: What its weights' files hold; None if they are not on this machine.
        tokenizer: Its tokenizer.
        tokenizer_bytes: What reading that took of memory.
        unpacked: Whether the file is unpacked into another one when it is first read, as a GGUF file is.
    """

    config: Any
    files: Files | None
    tokenizer: Tokenizer
    tokenizer_bytes: int
    unpacked: bool = False

    def dtype(self, loading: LoadingConfig, on_cpu: bool) -> torch.dtype:
        """The precision that the frozen weights get."""
        if loading.dtype != "auto":
            return getattr(torch, loading.dtype)  # type: ignore[no-any-return]
        if on_cpu:
            return torch.float32
        saved = (self.files.dtype if self.files is not None else None) or getattr(self.config, "dtype", None)
        return getattr(torch, str(saved).removeprefix("torch."), torch.float32)


def describe(name: str, loading: LoadingConfig) -> Described:
    """What is known of a model.

    Raises:
        ModelError: If there is no such model, or it cannot be read.
    """
    before = settled_bytes()
    file = find_gguf(name, loading.revision)
    if file is not None and (copy := kept_copy(file)) is None:
        with tempfile.TemporaryDirectory() as folder:
            config, tokenizer, numbers = describe_gguf(file, Path(folder))
        return Described(config, Files(numbers), tokenizer, settled_bytes() - before, unpacked=True)
    source = str(EMBEDDED_DIRECTORY) if name == EMBEDDED else name
    if file is not None:
        source, tokenizer = str(copy), read_copied(str(copy))
    else:
        tokenizer = load_tokenizer(name, revision=loading.revision, trust_remote_code=loading.trust_remote_code)
    taken = settled_bytes() - before
    config = _config(source, name, loading)
    files = read_headers(Path(source)) if Path(source).is_dir() else None
    return Described(config, files, tokenizer, taken)


def _config(source: str, name: str, loading: LoadingConfig) -> Any:
    from transformers import AutoConfig

    try:
        return AutoConfig.from_pretrained(
            source, revision=loading.revision or "main", trust_remote_code=loading.trust_remote_code
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(f"cannot read the configuration of {name!r}: {first_line(error)}") from None
