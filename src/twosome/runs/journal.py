"""A JSON Lines file that only grows, and knows what it held at a checkpoint."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from twosome.errors import RunError


class Journal:
    """Appends records to a file, one line each.

    Args:
        path: The file; made if it does not exist, continued if it does.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = path.open("ab")
        self._digest = hashlib.sha256(path.read_bytes())

    def write(self, record: Mapping[str, Any]) -> None:
        """Append a record; it reaches the operating system at once."""
        line = (json.dumps(record) + "\n").encode()
        self._file.write(line)
        self._file.flush()
        self._digest.update(line)

    def state_dict(self) -> dict[str, Any]:
        """Length and SHA-256 of all that is written, after it has reached the disk."""
        os.fsync(self._file.fileno())
        return {"bytes": self._file.tell(), "sha256": self._digest.hexdigest()}

    def check(self, state: Mapping[str, Any]) -> None:
        """Look whether what was written before :meth:`state_dict` is there, and change nothing.

        Raises:
            RunError: If it is not: it cannot be made again.
        """
        before = self.path.read_bytes()[: state["bytes"]]
        digest = hashlib.sha256(before)
        if len(before) < state["bytes"] or digest.hexdigest() != state["sha256"]:
            raise RunError(
                f"the first {state['bytes']} bytes of {self.path.name} are not what was written before the checkpoint; "
                "put the file back as it was, or start a new run"
            )

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Cut off what was written since :meth:`state_dict`.

        Raises:
            RunError: See :meth:`check`.
        """
        self.check(state)
        self._file.truncate(state["bytes"])
        self._file.seek(0, os.SEEK_END)
        self._digest = hashlib.sha256(self.path.read_bytes())

    def clear(self) -> None:
        """Begin anew."""
        self._file.truncate(0)
        self._file.seek(0)
        self._digest = hashlib.sha256()

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def read_lines(path: Path) -> list[dict[str, Any]]:
    """The records of a JSON Lines file, up to the first line that is none: a crash may leave a torn one at the end."""
    records = []
    for line in path.read_bytes().splitlines():
        try:
            record = json.loads(line)
        except (ValueError, RecursionError):
            break
        if not isinstance(record, dict):
            break
        records.append(record)
    return records
