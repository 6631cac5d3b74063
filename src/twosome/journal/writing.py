"""A journal that is written: whole lines, one writer, nothing confirmed that is not kept."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from filelock import FileLock, Timeout

from twosome.errors import RunError, TwosomeError
from twosome.journal.reading import FILE, check, records
from twosome.journal.records import Outcome, Recorded, to_line

_SYNC_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Known:
    """What is remembered of a decision, so that an outcome can be checked."""

    actions: tuple[str, ...]
    best: int
    sampled: int | None


class Contradiction(TwosomeError):
    """An outcome that says something else than one before it.

    Args:
        number: Which of those that were told.
        before: What was said before.
    """

    def __init__(self, number: int, before: Outcome) -> None:
        super().__init__(f"outcome {number} contradicts an earlier one")
        self.number, self.before = number, before


class JournalWriter:
    """Appends decisions and outcomes to a file that nobody else writes and only its owner reads (mode 0600).

    A line reaches the operating system, whole, before :meth:`decisions` returns, so a killed process loses nothing
    that was confirmed; the disk has it within about a second, and outcomes before :meth:`sync` returns. A power cut may
    lose the decisions of the last second. A last line that a kill tore is cut off when the file is taken up again. May
    be used from several threads.

    Args:
        place: The file, or a directory (one that is there, or ends with a slash) that gets one; made if it does not
            exist, continued if it does.

    Raises:
        RunError: If it is damaged, in use, or cannot be written.
    """

    def __init__(self, place: str | Path) -> None:
        self._writing = threading.Lock()
        self._known: dict[str, Known] = {}
        self._outcomes: dict[str, Outcome] = {}
        self._actions: dict[tuple[str, ...], tuple[str, ...]] = {}
        self._dirty, self._closing = threading.Event(), threading.Event()
        path = Path(place)
        self.path = path / FILE if path.is_dir() or str(place).endswith(("/", os.sep)) else path
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._lock = FileLock(self.path.with_name(f".{self.path.name}.lock"), timeout=0)
            self._lock.acquire()
        except Timeout:
            raise RunError(f"another server writes the journal {str(self.path)!r}; give each its own") from None
        except OSError as error:
            raise self._cannot(error) from None
        try:
            self._descriptor = os.open(
                self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o600
            )
            if hasattr(os, "fchmod"):
                os.fchmod(self._descriptor, 0o600)
            self._size = self._take_up()
        except OSError as error:
            self._lock.release()
            raise self._cannot(error) from None
        except RunError:
            os.close(self._descriptor)
            self._lock.release()
            raise
        self._syncing = threading.Thread(target=self._sync_now_and_then, name="twosome-journal", daemon=True)
        self._syncing.start()

    def decisions(self, recorded: Sequence[Recorded]) -> None:
        """Append decisions.

        Raises:
            RunError: If they cannot be written; then none is there.
        """
        with self._writing:
            self._append(recorded)
            for one in recorded:
                self._remember(one)

    def known(self, decision: str) -> Known | None:
        """What was recorded of a decision; None if nothing was."""
        return self._known.get(decision)

    def outcome(self, decision: str) -> Outcome | None:
        """What came of a decision; None as long as nobody said."""
        return self._outcomes.get(decision)

    def outcomes(self, told: Sequence[Outcome]) -> int:
        """Append the outcomes that are new: how many. That they are of known decisions and fit is the caller's care.

        Raises:
            Contradiction: If one says something else than was said before; then none is there.
            RunError: If they cannot be written; then none is there.
        """
        with self._writing:
            new: dict[str, Outcome] = {}
            for number, one in enumerate(told):
                before = self._outcomes.get(one.decision, new.get(one.decision))
                if before is None:
                    new[one.decision] = one
                elif not before.same(one):
                    raise Contradiction(number, before)
            self._append(list(new.values()))
            self._outcomes |= new
        return len(new)

    def sync(self) -> None:
        """Return when the disk holds everything.

        Raises:
            RunError: If it cannot.
        """
        try:
            os.fsync(self._descriptor)
        except OSError as error:
            raise self._cannot(error) from None

    def close(self) -> None:
        """Let go of the file."""
        if self._closing.is_set():
            return
        self._closing.set()
        self._dirty.set()
        self._syncing.join()
        with self._writing:
            try:
                self.sync()
            finally:
                os.close(self._descriptor)
                self._lock.release()

    def __enter__(self) -> JournalWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def count(self) -> int:
        """How many decisions are recorded."""
        return len(self._known)

    def _remember(self, one: Recorded) -> None:
        actions = self._actions.setdefault(one.decision.actions, one.decision.actions)
        self._known[one.id] = Known(actions, one.best, one.sampled)

    def _append(self, lines: Sequence[Recorded | Outcome]) -> None:
        content = b"".join((json.dumps(to_line(line), ensure_ascii=False) + "\n").encode() for line in lines)
        try:
            written = os.write(self._descriptor, content) if content else 0
            if written != len(content):
                raise OSError("only a part was written; is the disk full?")
        except OSError as error:
            with suppress(OSError):
                os.ftruncate(self._descriptor, self._size)
            raise self._cannot(error) from None
        self._size += len(content)
        self._dirty.set()

    def _take_up(self) -> int:
        """Read what is there, and cut off what a kill tore; the size of the rest."""
        for record in records(self.path):
            if isinstance(record, Recorded):
                check(record, record.id in self._known, None, self.path)
                self._remember(record)
            else:
                known = self._known.get(record.decision)
                fits = known is not None and record.action < len(known.actions)
                check(record, fits, self._outcomes.get(record.decision), self.path)
                self._outcomes[record.decision] = record
        size = _whole(self._descriptor)
        os.ftruncate(self._descriptor, size)
        return size

    def _sync_now_and_then(self) -> None:
        while not self._closing.is_set():
            self._dirty.wait()
            self._closing.wait(_SYNC_SECONDS)
            self._dirty.clear()
            if not self._closing.is_set():
                try:
                    os.fsync(self._descriptor)
                except OSError:  # the next confirmed outcome says so
                    continue

    def _cannot(self, error: OSError) -> RunError:
        return RunError(f"cannot write the journal {str(self.path)!r}: {error.strerror or error}")


def _whole(descriptor: int) -> int:
    """Where the last whole line ends."""
    end = os.lseek(descriptor, 0, os.SEEK_END)
    while end > 0:
        start = max(0, end - 65_536)
        os.lseek(descriptor, start, os.SEEK_SET)
        found = os.read(descriptor, end - start).rfind(b"\n")
        if found >= 0:
            return start + found + 1
        end = start
    return 0
