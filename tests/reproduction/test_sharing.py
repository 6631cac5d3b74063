"""Several workers on one directory: each job is done once, by one at a time; what a killed one had begun, by others."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from twosome.errors import RunInUse
from twosome.evaluation.measurement import Measurement, Measurements, Subject
from twosome.reproduction import execution
from twosome.reproduction.execution import Progress, execute
from twosome.reproduction.ledger import Ledger, key_of
from twosome.runs.journal import read_lines

STEPS = 6


@dataclass(frozen=True)
class Practice:
    """A stand-in for a training that goes on where it was stopped, and is measured at its end."""

    name: str
    out: Path
    slow: float = 0.0
    weight: float = 1.0

    @property
    def subject(self) -> Subject:
        return Subject("twosome", self.name)

    def missing(self, known: Measurements) -> bool:
        return (self.subject, "cheese", False) not in known

    def done(self) -> float:
        return len(self._steps()) / STEPS

    def perform(self) -> list[Measurement]:
        total = sum(self._steps())
        for step in range(len(self._steps()), STEPS):
            time.sleep(self.slow)
            total += step**2
            line = json.dumps({"pid": os.getpid(), "step": step, "found": step**2}) + "\n"
            with (self.out / f"{self.name}.log").open("a") as file:
                file.write(line)
        return [Measurement(self.subject, "cheese", False, "episodes", 1, None, None, float(total), None, None)]

    def _steps(self) -> list[int]:
        file = self.out / f"{self.name}.log"
        return [line["found"] for line in read_lines(file)] if file.is_file() else []


WORK = """
import sys
from pathlib import Path
from tests.reproduction.test_sharing import jobs
from twosome.evaluation.measurement import Measurements
from twosome.reproduction import execution
execution.LOOK = 0.1
out = Path(sys.argv[1])
said = lambda progress: print(progress.finished, progress.jobs, *progress.active, flush=True)
done = []
take_note = lambda job, seconds: done.append(job)
execution.execute(jobs(out, float(sys.argv[2])), Measurements(out), on_progress=said, on_done=take_note)
print("done", len(done), flush=True)
"""


def jobs(out: Path, slow: float) -> list[list[Any]]:
    """Two stages of three jobs."""
    return [[Practice(f"stage{stage} job{number}", out, slow) for number in range(3)] for stage in range(2)]


def worker(out: Path, slow: float) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", WORK, str(out), str(slow)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def alone(out: Path) -> bytes:
    """The measurements of one worker that does everything."""
    out.mkdir()
    execute(jobs(out, 0.0), Measurements(out))
    return (out / "measurements.jsonl").read_bytes()


@pytest.mark.slow
def test_of_three_workers_one_is_killed_and_every_job_is_done_once(tmp_path: Path) -> None:
    expected = alone(tmp_path / "alone")
    out = tmp_path / "shared"
    out.mkdir()
    workers = [worker(out, 0.05) for _ in range(3)]
    deadline = time.monotonic() + 60
    while not (killed := _pid_in_the_middle(out, {process.pid for process in workers})):
        assert time.monotonic() < deadline
        time.sleep(0.005)
    (victim,) = [process for process in workers if process.pid == killed]
    victim.kill()
    said = {process.pid: process.communicate(timeout=60)[0] for process in workers}
    assert all(process.returncode == 0 for process in workers if process is not victim), said
    assert (out / "measurements.jsonl").read_bytes() == expected
    for log in out.glob("*.log"):
        lines = read_lines(log)
        assert [line["step"] for line in lines] == list(range(STEPS)), "no step was left out, and none made twice"
        writers = [line["pid"] for line in lines]
        assert len(set(writers)) == 1 + sum(a != b for a, b in pairwise(writers)), "one at a time"
    mixed = [log for log in out.glob("*.log") if len({line["pid"] for line in read_lines(log)}) == 2]
    assert [read_lines(log)[0]["pid"] for log in mixed] == [killed], "only what the killed one had begun changed hands"
    timing = read_lines(out / "timing.jsonl")
    assert sorted(line["job"] for line in timing) == sorted(job.name for stage in jobs(out, 0) for job in stage)
    counts = [int(text.rsplit("done ", 1)[1]) for pid, text in said.items() if pid != killed]
    assert sum(counts) + sum(f":{killed}" in line["worker"] for line in timing) == 6


def _pid_in_the_middle(out: Path, pids: set[int]) -> int | None:
    """A worker that has begun a job and not ended it."""
    for log in out.glob("*.log"):
        lines = read_lines(log)
        if 2 <= len(lines) < STEPS - 2 and lines[-1]["pid"] in pids:
            return int(lines[-1]["pid"])
    return None


def test_what_another_worker_does_is_shown_and_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(execution, "LOOK", 0.01)
    first, second = Practice("first", tmp_path), Practice("second", tmp_path)
    ledger = Ledger(tmp_path)
    claim = ledger.claims.take(key_of(first))  # type: ignore[arg-type]
    assert claim is not None
    claim.__enter__()
    seen: list[Progress] = []
    done: list[str] = []

    def look(progress: Progress) -> None:
        seen.append(progress)
        if len(seen) == 5:  # the other one ends
            ledger._note(first, claim, first.perform(), 0.0)  # type: ignore[arg-type]
            claim.__exit__(None, None, None)

    known = Measurements(tmp_path)
    execute([[first, second]], known, on_progress=look, on_done=lambda job, _: done.append(job.name))  # type: ignore[list-item]
    assert done == ["second"]
    assert any(name.startswith("first (") for progress in seen for name in progress.active)
    assert seen[-1].finished == 2
    assert len(known) == 2


def test_a_run_that_somebody_writes_without_a_claim_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(execution, "LOOK", 0.01)
    refusals = iter([True, True, False])

    class Used(Practice):
        def perform(self) -> list[Measurement]:
            if next(refusals):
                raise RunInUse("another process is writing the run")
            return super().perform()

    known = Measurements(tmp_path)
    execute([[Used("used", tmp_path)]], known)  # type: ignore[list-item]
    assert len(known) == 1


def test_what_is_always_missing_is_done_by_one_of_two(tmp_path: Path) -> None:
    class Always(Practice):
        def missing(self, known: Measurements) -> bool:
            return True

    job: Any = Always("always", tmp_path)
    ledger = Ledger(tmp_path)
    since = ledger.claimed_when_done(job)
    assert ledger.attempt(job, since).kind == "done"
    assert ledger.attempt(job, since).kind == "elsewhere", "as another one finds that began at the same time"
    assert ledger.attempt(job, ledger.claimed_when_done(job)).kind == "done", "and the same command, given again"


def test_measurements_that_were_overwritten_come_back(tmp_path: Path) -> None:
    """Two workers may write the file at once; all that was found lies beside it."""
    expected = alone(tmp_path / "out")
    (tmp_path / "out" / "measurements.jsonl").write_bytes(expected.splitlines(keepends=True)[0])
    execute(jobs(tmp_path / "out", 0.0), Measurements(tmp_path / "out"))
    assert (tmp_path / "out" / "measurements.jsonl").read_bytes() == expected
    assert len(read_lines(tmp_path / "out" / "timing.jsonl")) == 6
