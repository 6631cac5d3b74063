"""A journal read back: line by line, with a last line that may be torn."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from twosome.errors import RunError
from twosome.journal.records import NotARecord, Outcome, Recorded, from_line

FILE = "decisions.jsonl"
"""Name of the journal in a directory."""


@dataclass
class Contents:
    """What a journal holds.

    Attributes:
        decisions: By name, in the order in which they were answered.
        outcomes: By the name of their decision.
        torn: Bytes of a last line that was not written to its end, which are left out.
    """

    decisions: dict[str, Recorded] = field(default_factory=dict)
    outcomes: dict[str, Outcome] = field(default_factory=dict)
    torn: int = 0


def journal_file(place: Path) -> Path:
    """The journal that a path names: itself, or the one in a directory."""
    return place / FILE if place.is_dir() else place


def read_journal(place: Path) -> Contents:
    """All decisions and outcomes of a journal; its server may go on writing meanwhile.

    Raises:
        RunError: If there is none, or a line other than the last is damaged.
    """
    found, file = Contents(), journal_file(place)
    for record in records(file, found):
        if isinstance(record, Recorded):
            check(record, record.id in found.decisions, None, file)
            found.decisions[record.id] = record
        else:
            decided = found.decisions.get(record.decision)
            count = len(decided.decision.actions) if decided else 0
            check(record, record.action < count, found.outcomes.get(record.decision), file)
            found.outcomes[record.decision] = record
    return found


def check(record: Recorded | Outcome, known: bool, before: Outcome | None, file: Path) -> None:
    """Refuse a record that contradicts those before it.

    Args:
        record: The record.
        known: Whether its decision was recorded before, with the action that an outcome names.
        before: What was told of the same decision before.
        file: Where it stands.

    Raises:
        RunError: If it does.
    """
    if isinstance(record, Recorded) and known:
        raise RunError(f"{str(file)!r} holds the decision {record.id[:80]} twice; was it put together of two?")
    if isinstance(record, Outcome) and (not known or (before is not None and not before.same(record))):
        raise RunError(
            f"{str(file)!r} holds an outcome of {record.decision[:80]} that does not fit what stands before it; was "
            "it put together of two?"
        )


def records(file: Path, contents: Contents | None = None) -> Iterator[Recorded | Outcome]:
    """The records of a journal in order; how much of the last line is torn is noted in ``contents``.

    Raises:
        RunError: If it cannot be read, or a line other than the last is damaged.
    """
    try:
        with file.open("rb") as lines:
            for number, line in enumerate(lines, 1):
                if not line.endswith(b"\n"):  # killed while it was written, or written now
                    if contents is not None:
                        contents.torn = len(line)
                    return
                yield _record(line, number, file)
    except OSError as error:
        raise RunError(
            f"cannot read the journal {str(file)!r}: {error.strerror or error}; `twosome serve --record` writes one"
        ) from None


def _record(line: bytes, number: int, file: Path) -> Recorded | Outcome:
    try:
        return from_line(json.loads(line))
    except NotARecord as error:
        why = str(error)
    except (ValueError, RecursionError):
        why = "it is no JSON"
    raise RunError(f"line {number} of {str(file)!r} is damaged ({why}); mend it, or take it out")
