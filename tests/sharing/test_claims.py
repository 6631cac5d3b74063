"""Claims on work in a shared directory: one holder at a time, another when it is gone or silent, by no host's clock."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from twosome.errors import RunError
from twosome.sharing.claims import LOST_EXIT, Claims
from twosome.sharing.worker import Worker, from_note, this_worker

HOLD = """
import sys, time
from pathlib import Path
from twosome.sharing.claims import Claims
with Claims(Path(sys.argv[1]), float(sys.argv[2])).take("work"):
    print("held", flush=True)
    time.sleep(60)
"""


def holding(folder: Path, timeout: float) -> subprocess.Popen[str]:
    """A process that holds the work."""
    command = [sys.executable, "-c", HOLD, str(folder), str(timeout)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def age(file: Path, seconds: float) -> None:
    """Let a file be so old."""
    past = time.time() - seconds
    os.utime(file, (past, past))


def foreign(folder: Path, timeout: float = 100.0) -> Path:
    """A claim of a worker on another host, of which nothing is known but the file."""
    worker = Worker("elsewhere", "another machine", 1, "7")
    folder.mkdir(exist_ok=True)
    file = folder / "work.1"
    file.write_text(json.dumps({"worker": worker.note(), "timeout": timeout, "free": False}))
    return file


def test_held_by_one_and_given_back(tmp_path: Path) -> None:
    claims = Claims(tmp_path / "claims")
    claim = claims.take("work")
    assert claim is not None
    with claim:
        assert claim.is_ours()
        assert claims.take("work") is None
        assert claims.holders(["work", "other"])["work"].worker == this_worker().name
        assert claims.take("other") is not None
    assert claims.holders(["work"]) == {}
    again = claims.take("work")
    assert again is not None
    assert again.number == 2


def test_of_many_that_ask_at_once_one_gets_it(tmp_path: Path) -> None:
    age(foreign(tmp_path / "claims"), 101.0)
    with ThreadPoolExecutor(16) as pool:
        found = list(pool.map(lambda _: Claims(tmp_path / "claims").take("work"), range(64)))
    assert len([claim for claim in found if claim is not None]) == 1


def test_one_that_is_not_renewed_is_anybodys_after_its_own_time_out(tmp_path: Path) -> None:
    file = foreign(tmp_path / "claims", timeout=100.0)
    claims = Claims(tmp_path / "claims", timeout=1.0)
    age(file, 90.0)
    assert claims.take("work") is None
    age(file, 110.0)
    assert claims.take("work") is not None


def test_no_clock_of_a_host_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    foreign(tmp_path / "claims")
    monkeypatch.setattr(time, "time", lambda: 1e10)
    assert Claims(tmp_path / "claims").take("work") is None


def test_a_claim_that_is_being_written_is_held(tmp_path: Path) -> None:
    (tmp_path / "work.1").touch()
    assert Claims(tmp_path).take("work") is None
    age(tmp_path / "work.1", 1000.0)
    assert Claims(tmp_path).take("work") is not None


def test_an_old_listing_takes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A network file system may show a directory as it was: the claim after an old one is then there already."""
    age(foreign(tmp_path), 101.0)
    claims = Claims(tmp_path)
    before = claims._entries()
    assert claims.take("work") is not None
    monkeypatch.setattr(Claims, "_entries", lambda self: before)
    assert claims.take("work") is None


@pytest.mark.skipif(not this_worker().place, reason="only Linux tells which process of a number is meant")
def test_one_of_a_killed_process_of_this_machine_is_free_at_once(tmp_path: Path) -> None:
    process = holding(tmp_path, 1000.0)
    claims = Claims(tmp_path)
    assert claims.take("work") is None
    process.kill()
    process.wait()
    assert claims.take("work") is not None


def test_a_process_of_another_machine_is_not_judged_by_its_number(tmp_path: Path) -> None:
    here = this_worker()
    assert not here.is_gone()
    assert not Worker(here.host, "another machine", 2**22 + 1, "1").is_gone()
    assert not Worker(here.host, "", 2**22 + 1, "1").is_gone()
    assert from_note({"host": "a"}) is None
    assert from_note(here.note()) == here


@pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="stops a process as only POSIX can")
def test_who_was_stopped_too_long_ends_before_it_goes_on(tmp_path: Path) -> None:
    process = holding(tmp_path, 0.9)
    claims = Claims(tmp_path, 0.9)
    time.sleep(1.2)
    assert claims.take("work") is None, "it is renewed"
    process.send_signal(signal.SIGSTOP)
    time.sleep(1.2)
    taken = claims.take("work")
    process.send_signal(signal.SIGCONT)
    assert taken is not None
    assert process.wait(20) == LOST_EXIT
    assert process.stderr is not None
    assert "not heard of for too long" in process.stderr.read()


def test_a_directory_that_cannot_be_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(RunError, match="cannot use the directory"):
        Claims(tmp_path / "file").take("work")
