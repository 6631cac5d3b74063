"""Faults of environments, and of the processes they run in."""

from __future__ import annotations

import os
import random
import re
import signal
import time
from dataclasses import replace

import psutil

from tests.faults.campaign import FAILED, REFUSED, Arena, Outcome
from tests.faults.environments import DEADLY, MISDEEDS, TASK

TIMEOUT = 60.0
"""Seconds a process has, on a busy machine; an environment that hangs is waited for a shorter time."""
HUNG_TIMEOUT = 15.0


def misbehaving(arena: Arena, chance: random.Random) -> tuple[Outcome, str]:
    """An environment does something wrong at a random step: it is told, and once it behaves the run ends the same."""
    run, file = arena.fresh(), arena.folder / "misbehave"
    misdeed = chance.choice(list(MISDEEDS))
    file.touch()
    fault = {"misdeed": misdeed, "at": chance.randint(1, 70), "while_exists": str(file)}
    config = replace(
        arena.config,
        task=TASK,
        environment={**arena.config.environment, **fault},
        env_processes=misdeed in DEADLY or chance.random() < 0.25,
        env_timeout=HUNG_TIMEOUT if misdeed == "hung" else TIMEOUT,
    )
    status = arena.finish(run, config=config)
    if status != REFUSED or not re.search(MISDEEDS[misdeed][1], arena.said()):
        return Outcome.WRONG, f"{misdeed}: status {status}: {arena.said()}"
    file.unlink()
    return arena.judge(run, arena.to_the_end(run))


def killed_with_processes(arena: Arena, chance: random.Random) -> tuple[Outcome, str]:
    """A run with environment processes is killed, or one of these is; none is left behind, and it ends the same."""
    run, config = arena.fresh(), replace(arena.config, env_processes=True, env_timeout=TIMEOUT)
    child = psutil.Process(arena.start(run, config=config))
    while child.is_running() and child.status() != psutil.STATUS_ZOMBIE and len(_workers(child)) < config.num_envs:
        time.sleep(0.02)
    if chance.random() < 0.5:  # while they train
        while not list(run.glob("checkpoints/update-*")):
            time.sleep(0.02)
    time.sleep(chance.uniform(0, arena.seconds))
    workers = _workers(child)
    victim = chance.choice([child, child, *workers])
    if victim.is_running():
        victim.send_signal(signal.SIGKILL)
    _, status = os.waitpid(child.pid, 0)
    if os.waitstatus_to_exitcode(status) == FAILED:
        return Outcome.WRONG, arena.said()
    _, alive = psutil.wait_procs(workers, timeout=20)
    if alive:
        return Outcome.WRONG, f"left behind: {alive}"
    return arena.judge(run, arena.to_the_end(run, config))


def _workers(process: psutil.Process) -> list[psutil.Process]:
    try:
        return [child for child in process.children() if "spawn_main" in " ".join(child.cmdline())]
    except psutil.Error:
        return []
