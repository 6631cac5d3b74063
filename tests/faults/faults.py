"""The kinds of faults: each tries once and tells how it ended."""

from __future__ import annotations

import os
import random
import resource
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock

from tests.faults import machine, misbehaviour
from tests.faults.campaign import FAILED, REFUSED, Arena, Outcome
from twosome.runs import checkpoint, directory, files


@dataclass(frozen=True)
class Fault:
    """A kind of fault.

    Attributes:
        try_once: Runs one trial.
        trials: How many by default.
        summary: What happens.
    """

    try_once: Callable[[Arena, random.Random], tuple[Outcome, str]]
    trials: int
    summary: str


def signalled(*numbers: signal.Signals) -> Callable[[Arena, random.Random], tuple[Outcome, str]]:
    """A process is sent a signal at a random time, up to three times over, and then resumed to its end."""

    def try_once(arena: Arena, chance: random.Random) -> tuple[Outcome, str]:
        run = arena.fresh()
        for _ in range(chance.randint(1, 3)):
            child = arena.start(run)
            time.sleep(chance.uniform(0, 1.1 * arena.seconds))
            os.kill(child, chance.choice(numbers))
            _, status = os.waitpid(child, 0)
            if os.waitstatus_to_exitcode(status) == FAILED:
                return Outcome.WRONG, arena.said()
        return arena.judge(run, arena.to_the_end(run))

    return try_once


WRITES: tuple[tuple[Any, str], ...] = (
    (checkpoint, "save_file"),
    (checkpoint, "file_sha256"),
    (checkpoint, "sync"),
    (checkpoint.shutil, "rmtree"),
    (Path, "rename"),
    (Path, "replace"),
    (Path, "write_text"),
    (Path, "mkdir"),
    (files.os, "fsync"),
    (directory, "move_files"),
)


def killed_while_writing(arena: Arena, chance: random.Random) -> tuple[Outcome, str]:
    """A process kills itself right before or after one of the calls that write files."""
    run, fatal, after = arena.fresh(), chance.randint(1, 160), chance.random() < 0.5
    if arena.finish(run, lambda: _arm(fatal, after)) == FAILED:
        return Outcome.WRONG, arena.said()
    return arena.judge(run, arena.to_the_end(run))


def _arm(fatal: int, after: bool) -> None:
    """Have the ``fatal``-th call that writes be the last thing this process does."""
    made = [0]

    def armed(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **further: Any) -> Any:
            made[0] += 1
            if made[0] == fatal and not after:
                os.kill(os.getpid(), signal.SIGKILL)
            result = function(*arguments, **further)
            if made[0] == fatal:
                os.kill(os.getpid(), signal.SIGKILL)
            return result

        return call

    for owner, name in WRITES:
        setattr(owner, name, armed(getattr(owner, name)))


def damaged(arena: Arena, chance: random.Random) -> tuple[Outcome, str]:
    """A file of a killed run is cut, emptied, removed, or has a bit flipped; resuming ends the same, or refuses."""
    run = arena.killed_late(chance)
    victim = chance.choice(sorted(path for path in run.rglob("*") if path.is_file() and path.name != ".lock"))
    content, kind = victim.read_bytes(), chance.choice(("cut", "flipped", "emptied", "removed"))
    if kind == "removed":
        victim.unlink()
    elif kind == "flipped" and content:
        place = chance.randrange(len(content))
        victim.write_bytes(content[:place] + bytes([content[place] ^ 1 << chance.randrange(8)]) + content[place + 1 :])
    else:
        victim.write_bytes(content[: chance.randrange(len(content) + 1)] if kind == "cut" else b"")
    name = f"{victim.relative_to(run)} {kind}"
    if not (run / "config.yaml").exists():
        return Outcome.REFUSED, name  # no longer a run; a new one would be refused as the directory is not empty
    status = arena.finish(run)
    if status == REFUSED:
        return Outcome.REFUSED, name
    outcome, detail = arena.judge(run, status)
    return outcome, f"{name}: {detail}"


def full_disk(arena: Arena, chance: random.Random) -> tuple[Outcome, str]:
    """No file may grow beyond a random size; the process says so, and with room again the run ends the same."""
    run, limit = arena.fresh(), chance.randint(0, 60_000)

    def starve() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))

    status = arena.finish(run, starve)
    if status not in (0, REFUSED):
        return Outcome.WRONG, f"limit {limit}, status {status}: {arena.said()}"
    return arena.judge(run, arena.to_the_end(run))


def occupied(arena: Arena, chance: random.Random) -> tuple[Outcome, str]:
    """A second process takes up a run that is being written: it is refused, and the first goes on."""
    run = arena.killed_late(chance)
    with FileLock(run / ".lock"):
        status = arena.finish(run)
    if status != REFUSED:
        return Outcome.WRONG, f"status {status}"
    return arena.judge(run, arena.to_the_end(run))


FAULTS = {
    "kills": Fault(signalled(signal.SIGKILL), 300, "SIGKILL at a random time"),
    "write-kills": Fault(killed_while_writing, 200, "SIGKILL before or after a call that writes"),
    "signals": Fault(signalled(signal.SIGINT, signal.SIGTERM), 60, "SIGINT or SIGTERM at a random time"),
    "damages": Fault(damaged, 200, "a file is cut, emptied, removed, or a bit flipped"),
    "full-disks": Fault(full_disk, 60, "files may not grow beyond a random size"),
    "occupied": Fault(occupied, 20, "a second process on one run"),
    "environments": Fault(misbehaviour.misbehaving, 60, "an environment dies, hangs, raises or lies at a random step"),
    "process-kills": Fault(misbehaviour.killed_with_processes, 60, "SIGKILL of a run or of one of its environments"),
    "losses": Fault(machine.losses, 40, "a loss that is not finite at a random moment"),
    "clocks": Fault(machine.clocks, 20, "clocks that jump forth and back"),
    "read-only": Fault(machine.read_only, 20, "a directory that must not be written"),
    "small-disks": Fault(machine.small_disk, 40, "a file system of random size that is full (needs to mount one)"),
}
