"""Whether a GGUF file is still the one that a run or an adapter was trained on."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from twosome.errors import ModelError
from twosome.models.gguf.naming import HUB, GgufFile, find_gguf, megabytes, read_note

NOTE_FILE = "gguf.json"
"""Beside an adapter, or a model that was trained as a whole: which file its base was read from."""


def note_base(directory: Path, file: GgufFile) -> None:
    """Write down beside weights which file they were trained on."""
    (directory / NOTE_FILE).write_text(json.dumps(file.note(), indent=2) + "\n", encoding="utf-8")


def describe_base(adapter: Path, file: GgufFile) -> None:
    """Write into an adapter's card which file it was trained on, and how to load both."""
    card = adapter / "README.md"
    text = card.read_text(encoding="utf-8") if card.is_file() else ""
    repository, _, name = file.name.rpartition(HUB)
    if not repository:
        repository, name = str(file.path.resolve().parent), file.path.name
    card.write_text(
        f"{text.rstrip()}\n\n## Base model\n\nThe GGUF file `{file.name}`, {file.size:,} bytes, SHA-256\n"
        f"`{file.sha256}`. Load it unpacked, and the adapter on it:\n\n```python\n"
        "import torch\nfrom peft import PeftModel\nfrom transformers import AutoModelForCausalLM, GgufConfig\n\n"
        f"base = AutoModelForCausalLM.from_pretrained(\n    {repository!r},\n    gguf_file={name!r},\n"
        "    quantization_config=GgufConfig(dequantize=True),\n    dtype=torch.float32,\n)\n"
        "model = PeftModel.from_pretrained(base, ADAPTER_DIRECTORY)\n```\n",
        encoding="utf-8",
    )


def noted_base(directory: Path) -> dict[str, Any] | None:
    """What :func:`note_base` wrote beside weights, None if they were trained on no GGUF file."""
    return read_note(directory / NOTE_FILE)


def same_file(
    note: Mapping[str, Any] | None, name: str, whose: str, *, revision: str | None = None, chosen: bool = False
) -> str:
    """What to load: ``name``, or the place where the same file was before, if it is not found under that name.

    Args:
        note: What was written down of the file that was trained on; None if nothing was, or it was no GGUF file.
        name: The model that is about to be loaded.
        whose: What was trained, in messages.
        revision: Branch, tag or commit of a hub repository.
        chosen: The user named this model for it: a difference is told, not refused.

    Raises:
        ModelError: If it is another one, or missing.
    """
    if note is None:
        return name
    then = f"the GGUF file {note.get('name')!r} (SHA-256 {note['sha256'][:12]}..., {_size(note)})"
    try:
        file = find_gguf(name, revision)
    except ModelError as error:
        place = None if chosen else _place_of(note)
        if place is None:
            raise ModelError(f"{whose} was trained on {then}; now {error}") from None
        return place
    if file is not None and file.sha256 == note["sha256"]:
        return name
    now = f"whose SHA-256 is now {file.sha256[:12]}..., {megabytes(file.size)}" if file else "which is no GGUF file"
    told = f"{whose} was trained on {then}; it is put on {name!r}, {now}"
    if not chosen:
        raise ModelError(
            f"{told}: what it learned does not hold for other weights; put that file back, or name where it is by "
            "--model (where a run is resumed, it must be in its place)"
        )
    print(f"{told}: what it learned holds only if these are the same weights", file=sys.stderr)
    return name


def _place_of(note: Mapping[str, Any]) -> str | None:
    """Where the noted file was, if it is there still: names may be relative to where a run was started."""
    place = str(note.get("path", ""))
    try:
        found = find_gguf(place) if place else None
    except ModelError:
        return None
    return place if found is not None and found.sha256 == note["sha256"] else None


def _size(note: Mapping[str, Any]) -> str:
    size = note.get("size")
    return megabytes(size) if isinstance(size, int) else "of unknown size"
