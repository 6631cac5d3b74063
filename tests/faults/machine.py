"""Faults of the machine: numbers that overflow, clocks that jump, places that cannot be written."""

from __future__ import annotations

import os
import random
import subprocess
import time
from collections.abc import Callable
from typing import Any

from tests.faults.campaign import REFUSED, Arena, Outcome
from twosome.algorithms import action_values, actor, fitting, ppo

NOBODY = 65534
LOSSES = {
    "value_loss": ppo,
    "clipped_surrogate": actor,
    "clipped_sum": actor,
    "squared_errors": action_values,
    "kl_divergence": fitting,
}
"""Where each loss is asked for."""
OWN = {"fitted": ("squared_errors", "kl_divergence"), "all_actions": ("squared_errors", "clipped_sum")}
"""What an algorithm asks for instead of PPO's losses, of values and of the actor."""


def losses(arena: Arena, chance: random.Random) -> tuple[Outcome, str]:
    """A loss is not finite: the process stops before it steps, and the next one ends the same."""
    run, (critics, actors) = arena.fresh(), OWN.get(arena.algorithm, ("value_loss", "clipped_surrogate"))
    name = chance.choice([critics, actors])
    # A run of ten updates takes ten losses of the critic, and several of the actor in each.
    fatal = chance.randint(1, 10 if name == critics else 30)
    wrong = chance.choice([float("nan"), float("inf"), -float("inf")])
    status = arena.finish(run, lambda: _spoil(name, fatal, wrong))
    if status == 0 and arena.judge(run, status)[0] is Outcome.IDENTICAL:
        return Outcome.SKIPPED, "the run took fewer losses than that"
    if status != REFUSED or "nothing was changed by this step" not in arena.said():
        return Outcome.WRONG, f"{name} {fatal} {wrong}: status {status}: {arena.said()}"
    return arena.judge(run, arena.to_the_end(run))


def _spoil(name: str, fatal: int, wrong: float) -> None:
    module = LOSSES[name]
    right: Callable[..., Any] = getattr(module, name)
    calls = [0]

    def spoiled(*arguments: Any) -> Any:
        calls[0] += 1
        result = right(*arguments)
        return result * wrong if calls[0] == fatal else result

    setattr(module, name, spoiled)


def clocks(arena: Arena, chance: random.Random) -> tuple[Outcome, str]:
    """Every clock jumps forth and back by up to ten years: the run ends the same."""
    run = arena.fresh()
    return arena.judge(run, arena.finish(run, lambda: _jump(chance)))


def _jump(chance: random.Random) -> None:
    def jumping(clock: Callable[[], float]) -> Callable[[], float]:
        return lambda: clock() + (chance.uniform(-3e8, 3e8) if chance.random() < 0.3 else 0.0)

    for name in ("time", "monotonic", "perf_counter"):
        setattr(time, name, jumping(getattr(time, name)))


def read_only(arena: Arena, chance: random.Random) -> tuple[Outcome, str]:
    """A run, or the place of a new one, must not be written: it is refused, and left alone."""
    run = arena.killed_late(chance) if chance.random() < 0.7 else arena.fresh()
    place = run if run.exists() else run.parent
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    modes = {path: path.stat().st_mode for path in (place, *run.rglob("*"))}
    for path in modes:
        path.chmod(0o555 if path.is_dir() else 0o444)
    try:
        status = arena.finish(run, _give_up_rights)
        after = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    finally:
        for path, mode in modes.items():
            path.chmod(mode)
    if status != REFUSED or after != before:
        return Outcome.WRONG, f"status {status}: {arena.said()}"
    return arena.judge(run, arena.to_the_end(run))


def _give_up_rights() -> None:
    """The rights of root, for which nothing is read-only."""
    if os.geteuid() == 0:
        os.setegid(NOBODY)
        os.seteuid(NOBODY)


def small_disk(arena: Arena, chance: random.Random) -> tuple[Outcome, str]:
    """A file system is full: the process says so, and once there is room the run ends the same."""
    disk, size = arena.folder / "disk", chance.randint(8, 500)
    disk.mkdir(exist_ok=True)
    if _mount("-t", "tmpfs", "-o", f"size={size}k", "tmpfs", str(disk)):
        return Outcome.SKIPPED, "a file system cannot be mounted here"
    try:
        run = disk / "run"
        status = arena.finish(run)
        if status not in (0, REFUSED):
            return Outcome.WRONG, f"{size} kB, status {status}: {arena.said()}"
        if status == REFUSED and "No space left" not in arena.said():
            return Outcome.WRONG, f"{size} kB: {arena.said()}"
        _mount("-o", "remount,size=64m", str(disk))
        return arena.judge(run, arena.to_the_end(run))
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def _mount(*words: str) -> int:
    return subprocess.run(["mount", *words], capture_output=True).returncode
