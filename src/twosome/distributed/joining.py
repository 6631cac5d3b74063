"""How the processes that torchrun starts find each other, stop together, and say once what went wrong."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from twosome.errors import ConfigError, RunError, TwosomeError, first_line, kind_and_line

if TYPE_CHECKING:
    from torch.distributed.distributed_c10d import Store

    from twosome.distributed.ranks import Group

GRACE = 20.0
"""Seconds that other processes wait for rank 0 to have saved what was learned; torchrun kills what is left after 30."""
_NOTICE = 3.0
"""Seconds within which all processes that can have noticed that one is gone."""
_CONFIG, _FAILED, _HERE, _LEFT = "twosome/config", "twosome/failed", "twosome/here", "twosome/left"


def launched() -> bool:
    """Whether torchrun started this process as one of several."""
    return "RANK" in os.environ and int(os.environ.get("WORLD_SIZE", "1")) > 1


class Stopped(RunError):
    """Another process failed, or is gone; the sentence says which."""


@dataclass
class Joint:
    """This process among those that torchrun started.

    Attributes:
        rank: Which of them it is.
        count: How many there are.
        store: Where they leave each other words; torchrun's, so it outlives each of them.
        timeout: Seconds that one may keep the others waiting.
        led: Whether rank 0 is still there, as far as this process knows.
    """

    rank: int
    count: int
    store: Store
    timeout: float = 0.0
    led: bool = True

    def begin(self, threads: int, timeout: float, settings: str) -> Group:
        """Tell the others what the run is, which only rank 0 knows: the processes; see :meth:`group`."""
        self.store.set(_CONFIG, settings)
        return self.group(threads, timeout)

    def told(self) -> str:
        """What rank 0 says that the run is.

        Raises:
            Stopped: If it has nothing to say, because it failed.
        """
        try:
            self.store.wait([_CONFIG], timedelta(seconds=600))
        except RuntimeError as error:
            raise self.lost(str(error)) from None
        settings = self.store.get(_CONFIG).decode()
        if not settings:
            raise self.lost("rank 0 failed")
        return settings

    def group(self, threads: int, timeout: float) -> Group:
        """The processes, ready to exchange numbers.

        Args:
            threads: Of each.
            timeout: Seconds that one may keep the others waiting.

        Raises:
            ConfigError: If they would wait for each other's processors.
        """
        import torch
        import torch.distributed as dist
        from torch.distributed.distributed_c10d import PrefixStore

        from twosome.distributed.ranks import Group

        here, processors = int(os.environ.get("LOCAL_WORLD_SIZE", self.count)), os.cpu_count() or 1
        if threads > 1 and threads * here > processors:
            raise ConfigError(
                f"{here} processes of threads={threads} each are more than the {processors} processors of this "
                "machine, and would wait for each other; set threads (--threads) to 1, or start fewer"
            )
        backend = "gloo"
        if torch.cuda.is_available():
            torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
            backend = "cpu:gloo,cuda:nccl"
        self.timeout = timeout
        try:
            dist.init_process_group(
                backend,
                store=PrefixStore("twosome/group", self.store),
                rank=self.rank,
                world_size=self.count,
                timeout=timedelta(seconds=timeout),
            )
        except RuntimeError as error:
            raise self.lost(str(error)) from None
        return Group(self.lost)

    def lost(self, said: str) -> Stopped:
        """The error to raise when the others cannot be reached: what one of them failed with, or which one is gone."""
        _hear_no_more()  # what is saved on the way out must not be cut off by torchrun's request to stop
        with suppress(RuntimeError):
            self.store.set(f"{_HERE}/{self.rank}", "1")
        deadline = time.monotonic() + _NOTICE
        while time.monotonic() < deadline:
            with suppress(RuntimeError):
                if self.store.check([_FAILED]):
                    failed = json.loads(self.store.get(_FAILED))
                    return Stopped(f"rank {failed['rank']} stopped the run: {failed['sentence']}")
            time.sleep(0.05)
        gone = [rank for rank in range(self.count) if rank != self.rank and not self._is_here(rank)]
        self.led = 0 not in gone
        who = f"rank {', '.join(map(str, gone))} is gone, or" if gone else "a process"
        return Stopped(
            f"{who} did not answer within rank_timeout={self.timeout:g} seconds (said: "
            f"{first_line(RuntimeError(said), 120)}); what was learned until then is saved, and "
            "`twosome train --resume RUN` goes on"
        )

    def failed(self, sentence: str) -> bool:
        """Leave word that this process failed; whether another one, or rank 0 with the same words, says so already."""
        with suppress(RuntimeError):
            word = json.dumps({"rank": self.rank, "sentence": sentence})
            first = self.store.compare_set(_FAILED, "", word).decode() == word
            if self.rank == 0:
                self.store.set(_CONFIG, "")  # whoever still waits for it
                self.store.set(f"{_FAILED}/0", sentence)
                return not first
            with suppress(RuntimeError):  # nothing of rank 0 in time
                self.store.wait([f"{_FAILED}/0"], timedelta(seconds=_NOTICE))
                return bool(self.store.get(f"{_FAILED}/0").decode() == sentence)
        return False

    def leave(self) -> None:
        """Part from the others: they notice. Rank 0 says when it has written everything, the others wait for that."""
        import torch.distributed as dist

        if dist.is_initialized():
            with suppress(RuntimeError):
                dist.destroy_process_group()
        with suppress(RuntimeError):
            if self.rank == 0:
                self.store.set(_LEFT, "1")
            elif self.led:
                self.store.wait([_LEFT], timedelta(seconds=GRACE))

    def _is_here(self, rank: int) -> bool:
        try:
            return bool(self.store.check([f"{_HERE}/{rank}"]))
        except RuntimeError:
            return True  # nobody knows


@contextmanager
def joined() -> Iterator[Joint]:
    """This process among the others, until the context ends; whatever ends it ends the others.

    One process says what went wrong: the one that failed, and rank 0 in whose words the run ends. The others leave
    with status 2, or 130 after an interrupt, without a word.
    """
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")  # or a lost connection is told by a page of addresses
    from torch.distributed.rendezvous import rendezvous

    store, rank, count = next(iter(rendezvous("env://")))
    joint = Joint(rank, count, store)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupted)
    threading.Thread(target=_leave_with_launcher, daemon=True).start()
    if rank:
        _be_silent()
    try:
        yield joint
    except Stopped as error:
        _hear_no_more()
        joint.leave()
        if rank == 0:
            raise
        raise SystemExit(2) from error
    except TwosomeError as error:
        _hear_no_more()
        told = joint.failed(str(error))
        joint.leave()
        if told and rank:
            raise SystemExit(2) from None
        raise (type(error)(f"rank {rank}: {error}") if rank else error) from None
    except KeyboardInterrupt:
        joint.leave()
        if rank:
            raise SystemExit(130) from None
        raise
    except BaseException as error:
        _hear_no_more()
        if not isinstance(error, SystemExit) or error.code:
            joint.failed(kind_and_line(error))
        joint.leave()
        raise
    else:
        joint.leave()


def _interrupted(number: int, frame: object) -> None:
    """A request to stop counts once: torchrun passes Ctrl-C on to processes that the terminal told already."""
    _hear_no_more()
    raise KeyboardInterrupt


def _hear_no_more() -> None:
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)


def _be_silent() -> None:
    """Have only errors told: rank 0 says all else, and warns for all."""
    import warnings

    warnings.simplefilter("ignore")
    sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 - for as long as the process lives


def _leave_with_launcher() -> None:
    """Stop this process when torchrun is gone, whatever it was killed by."""
    launcher = os.getppid()
    while os.getppid() == launcher:
        time.sleep(1.0)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(GRACE)
    os._exit(1)
