"""What an environment was made from, and what to do when that has changed."""

from __future__ import annotations

import hashlib
import json
import platform
import sys
from dataclasses import dataclass
from pathlib import Path

from development import project


@dataclass(frozen=True)
class Stamp:
    """What an environment was made from.

    Attributes:
        environment: Digest of the place and the Python; only a new environment can follow a change of them.
        packages: Digest of pyproject.toml and constraints.txt; an installation on top can follow a change of them.
        extras: The project's extras that are installed, sorted.
        torch_index: TORCH_INDEX_URL, or empty; a change of it needs a new environment, too.
    """

    environment: str
    packages: str
    extras: tuple[str, ...] = ()
    torch_index: str = ""

    def write(self, path: Path) -> None:
        """Write the stamp as JSON."""
        path.write_text(json.dumps(self.__dict__, indent=1) + "\n", encoding="utf-8")

    @staticmethod
    def read(path: Path) -> Stamp | None:
        """The stamp in ``path``, or None where there is none that can be read."""
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            return Stamp(**{**content, "extras": tuple(content["extras"])})
        except (OSError, ValueError, KeyError, TypeError):
            return None


def digest(*parts: str) -> str:
    """A short hash over ``parts``, which may hold anything, line ends of Windows included."""
    texts = [part.replace("\r\n", "\n") for part in parts]
    return hashlib.sha256(json.dumps(texts).encode()).hexdigest()[:16]


def wanted_stamp(extras: tuple[str, ...], root: Path = project.ROOT, torch_index: str = "") -> Stamp:
    """The stamp an up-to-date environment for this tree, this Python and these extras carries."""
    python = "{} {}.{} {}".format(sys.implementation.name, *sys.version_info[:2], platform.machine())
    files = [(root / name).read_text(encoding="utf-8") for name in ("pyproject.toml", "constraints.txt")]
    # The place belongs to it: scripts and the editable install inside an environment hold absolute paths.
    return Stamp(digest(str(root), python), digest(*files), tuple(sorted(set(extras))), torch_index)


def plan(wanted: Stamp, found: Stamp | None, *, exists: bool, incomplete: bool, usable: bool) -> str:
    """What to do about the environment: "nothing", "install" into it, or "make" it anew.

    An environment without a stamp that works was made by hand; it is kept and completed.
    """
    if not exists or incomplete or not usable:
        return "make"
    if found is None:
        return "install"
    if (found.environment, found.torch_index) != (wanted.environment, wanted.torch_index):
        return "make"
    missing = set(wanted.extras) - set(found.extras)
    return "install" if missing or found.packages != wanted.packages else "nothing"
