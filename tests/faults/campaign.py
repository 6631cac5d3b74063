"""Where faults happen: an undisturbed run to compare with, and processes that can be killed."""

from __future__ import annotations

import os
import random
import shutil
import signal
import time
import traceback
from collections.abc import Callable
from enum import Enum
from pathlib import Path

import torch

from tests.runs.outcome import files_of, outcome
from tests.tiny import SETTINGS, save_model, small_run
from twosome.errors import TwosomeError
from twosome.runs.trainer import resume, train
from twosome.settings.config import RunConfig

REFUSED = 2
FAILED = 3


class Outcome(Enum):
    """How a trial ended."""

    IDENTICAL = "ended with the same bytes"
    REFUSED = "refused in one sentence, nothing changed"
    SKIPPED = "could not be tried here"
    WRONG = "WRONG"


class Arena:
    """A tiny model, a run of it that nothing disturbed, and room for others."""

    def __init__(self, folder: Path, algorithm: str = "ppo") -> None:
        torch.set_num_threads(1)  # also so that forking is safe
        self.folder = folder
        self.log = folder / "log.txt"
        self.algorithm = algorithm
        further = {"algorithm": algorithm, **SETTINGS.get(algorithm, {})}
        self.config = small_run(save_model(folder / "model"), decisions=10 * 24, **further)
        undisturbed = folder / "undisturbed"
        train(self.config, undisturbed)  # once to import and warm up everything
        shutil.rmtree(undisturbed)
        began = time.monotonic()
        train(self.config, undisturbed)
        self.seconds = time.monotonic() - began
        self.expected = outcome(undisturbed, files_of(self.config))
        folder.chmod(0o755)  # for processes that give up their rights

    def fresh(self) -> Path:
        """A directory name that is free."""
        run = self.folder / "run"
        shutil.rmtree(run, ignore_errors=True)
        return run

    def start(self, run: Path, before: Callable[[], None] = lambda: None, config: RunConfig | None = None) -> int:
        """Fork a process that trains, or resumes if there is a run; returns its id.

        Its status is 0 if it finished, 2 if it refused in a sentence, 3 for anything else.
        """
        child = os.fork()
        if child:
            return child
        status = FAILED
        try:
            signal.signal(signal.SIGINT, signal.default_int_handler)
            signal.signal(signal.SIGTERM, signal.default_int_handler)
            descriptor = os.open(self.log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            os.dup2(descriptor, 1)
            os.dup2(descriptor, 2)
            before()
            if (run / "config.yaml").exists():
                resume(run)
            else:
                train(config or self.config, run)
            status = 0
        except (TwosomeError, OSError) as error:  # what the command line tells in one sentence
            os.write(2, str(error).encode())
            status = REFUSED
        except KeyboardInterrupt:
            status = 130
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)

    def finish(self, run: Path, before: Callable[[], None] = lambda: None, config: RunConfig | None = None) -> int:
        """Train or resume to the end; returns the status."""
        _, status = os.waitpid(self.start(run, before, config), 0)
        return os.waitstatus_to_exitcode(status)

    def killed_late(self, chance: random.Random) -> Path:
        """A run that was killed after its first checkpoint."""
        run = self.fresh()
        child = self.start(run)
        while not list(run.glob("checkpoints/update-*")):
            time.sleep(0.005)
        time.sleep(chance.uniform(0, 0.5 * self.seconds))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        return run

    def to_the_end(self, run: Path, config: RunConfig | None = None) -> int:
        """Resume until the run is finished, as a user would; returns the status."""
        if (run / "versions.json").exists() and '"finished"' in (run / "versions.json").read_text():
            return 0
        return self.finish(run, config=config)

    def said(self) -> str:
        """What the last process said, its end."""
        return self.log.read_text(errors="replace")[-400:]

    def judge(self, run: Path, status: int) -> tuple[Outcome, str]:
        """What a trial that should have ended well came to."""
        if status != 0:
            return Outcome.WRONG, f"status {status}: {self.said()}"
        found = outcome(run, files_of(self.config))
        different = [name for name in found if found[name] != self.expected[name]]
        return (Outcome.WRONG, f"differs in {different}") if different else (Outcome.IDENTICAL, "")
