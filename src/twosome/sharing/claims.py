"""Claims on pieces of work, as files of a directory that all workers see: each piece is one worker's at a time.

NAME.1, NAME.2 ...   a claim each, in the order in which they were made; the last one counts; none is ever removed

A claim is made by creating the next file, in which one process alone succeeds (O_EXCL). It is held as long as its
file's time is renewed, and given back by a word in it. Who finds the last claim given back, or not renewed for longer
than it says, or of a process of this machine that is gone, creates the next. As no file is removed, an old listing can
only make that creation fail, and two that see the same old claim cannot both take its place.

How old a claim is, two times of the directory's own say: that of the claim and that of a file written just now. No
clock of a host is asked. A worker that could not renew its claim in time ends itself, before another may take over.

What is assumed of the file system: exclusive creation and renaming are atomic, a file opened anew shows its newest time
and content (NFS from version 3 on does both, by its description), and all files get their times from one clock. It was
tried on local disks; on no NFS.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from twosome.caching import write_whole
from twosome.errors import RunError
from twosome.sharing.worker import from_note, this_worker

TIMEOUT = 180.0
"""Seconds after which a claim that is not renewed is anybody's; more than a network file system may keep old times."""
LOST_EXIT = 75
"""Exit status of a process that found its claim too old to go on."""
_BEATS = 9
_MARGIN = 0.75
"""The part of the time-out after which a holder gives up, while nobody else may take over yet."""


@dataclass(frozen=True)
class Holder:
    """Whose a piece of work is at the moment.

    Attributes:
        worker: What the process is called.
        number: Of its claim.
    """

    worker: str
    number: int


@dataclass(frozen=True)
class Claims:
    """The claims of a directory.

    Args:
        folder: Theirs alone.
        timeout: Seconds without renewal after which a claim made from here is anybody's.
    """

    folder: Path
    timeout: float = TIMEOUT

    def take(self, name: str) -> Claim | None:
        """A claim on ``name``, renewed while its context lasts; None if another process has one.

        Raises:
            RunError: If the directory cannot be written.
        """
        number, holder = self._newest(name, self._entries())
        if holder is not None:
            return None
        content = json.dumps({"worker": this_worker().note(), "timeout": self.timeout, "free": False})
        try:
            descriptor = os.open(self._file(name, number + 1), os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644)
        except FileExistsError:
            return None
        except OSError as error:
            raise self._unusable(error) from None
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        return Claim(self, name, number + 1)

    def holders(self, names: Iterable[str]) -> dict[str, Holder]:
        """Whose each of some pieces of work is; those that are nobody's are left out.

        Raises:
            RunError: If the directory cannot be read.
        """
        entries = self._entries()
        found = {name: self._newest(name, entries)[1] for name in names}
        return {name: holder for name, holder in found.items() if holder is not None}

    def age(self, file: Path) -> float:
        """Seconds since a file was written, by the directory's own clock.

        Raises:
            OSError: If it cannot be asked.
        """
        return self._now() - _time_of(file)

    def _entries(self) -> list[str]:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            return os.listdir(self.folder)
        except OSError as error:
            raise self._unusable(error) from None

    def _newest(self, name: str, entries: Sequence[str]) -> tuple[int, Holder | None]:
        """The number of the last claim on ``name``, 0 if there was none; and its holder, if it is held."""
        number = max((int(end) for entry in entries if (end := _number(entry, name))), default=0)
        try:
            return number, self._holder(name, number) if number else None
        except OSError as error:
            raise self._unusable(error) from None

    def _unusable(self, error: OSError) -> RunError:
        return RunError(f"cannot use the directory {str(self.folder)!r}: {error.strerror or error}")

    def _holder(self, name: str, number: int) -> Holder | None:
        file = self._file(name, number)
        content = _read(file)
        if content.get("free") is True:
            return None
        worker, timeout = from_note(content.get("worker")), content.get("timeout")
        if worker is not None and worker.is_gone():
            return None
        limit = timeout if isinstance(timeout, (int, float)) else self.timeout
        return None if self.age(file) > limit else Holder(worker.name if worker else "a process", number)

    def _file(self, name: str, number: int) -> Path:
        return self.folder / f"{name}.{number}"

    def _now(self) -> float:
        """The directory's time now: that of a file written just now."""
        token = f"{os.getpid()}-{threading.get_native_id()}-{os.urandom(4).hex()}"
        probe = self.folder / f".now-{token}"
        try:
            with probe.open("wb") as file:
                file.write(b"\n")
                file.flush()
                os.fsync(file.fileno())
            return _time_of(probe)
        finally:
            with suppress(OSError):
                probe.unlink()


class Claim:
    """A piece of work that is this process's while the context lasts.

    Args:
        claims: Where it was made.
        name: Of the work.
        number: Of the claim.
        on_lost: Called when it could not be renewed in time; None to end the process.
    """

    def __init__(self, claims: Claims, name: str, number: int, on_lost: Callable[[], None] | None = None) -> None:
        self.name, self.number = name, number
        self._claims = claims
        self._file = claims._file(name, number)
        self._ended = threading.Event()
        self._on_lost = on_lost or self._leave
        self._beating = threading.Thread(target=self._beat, name=f"claim {name}", daemon=True)

    def __enter__(self) -> Claim:
        self._beating.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._beating.join()
        with suppress(OSError):  # it then ends by itself
            write_whole(self._file, json.dumps({"worker": this_worker().note(), "free": True}))

    def is_ours(self) -> bool:
        """Whether it was renewed in time, and nobody has taken over.

        Raises:
            OSError: If the directory cannot be asked.
        """
        in_time = self._claims.age(self._file) < _MARGIN * self._claims.timeout
        return in_time and not self._claims._file(self.name, self.number + 1).exists()

    def _beat(self) -> None:
        failing = 0
        interval = self._claims.timeout / _BEATS
        while not self._ended.wait(interval):
            try:
                # By the directory's time, so that a process that was stopped, or a host that slept, finds out.
                kept = self.is_ours()
                if kept:
                    os.utime(self._file)
                failing = 0
            except OSError:
                failing += 1
                kept = (failing + 1) * interval < _MARGIN * self._claims.timeout
            if not kept:
                self._on_lost()
                return

    def _leave(self) -> None:
        print(
            f"this process was not heard of for too long, so {self.name} may be another's by now; it ends here, and "
            "the same command goes on",
            file=sys.stderr,
            flush=True,
        )
        os._exit(LOST_EXIT)


def _number(entry: str, name: str) -> str | None:
    end = entry.removeprefix(f"{name}.")
    return end if end != entry and end.isdigit() else None


def _time_of(file: Path) -> float:
    with file.open("rb") as stream:  # opened anew, a network file system asks the server
        return os.fstat(stream.fileno()).st_mtime


def _read(file: Path) -> dict[str, Any]:
    """What a claim says; nothing while it is being written."""
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (ValueError, FileNotFoundError):
        return {}
    return content if isinstance(content, dict) else {}
