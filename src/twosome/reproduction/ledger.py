"""What was done of a list of jobs, and who does what of it now, in a directory that several workers share.

DIR/.jobs/JOB.N             claims (see twosome.sharing.claims)
DIR/.jobs/JOB.done.json     what was found: job, worker, claim, cpu_seconds, measurements
DIR/measurements.jsonl      all measurements; made of the former and of what was there before
DIR/timing.jsonl            job, cpu_seconds, worker, claim: a line for every job done; made of the same

The two files that are made of the others may be written by two workers at once, and miss for a moment what one of them
had not read yet; nothing is lost by that, and every worker writes them again at its end.
"""

from __future__ import annotations

import hashlib
import json
import re
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from twosome.caching import write_whole
from twosome.errors import RunError, RunInUse
from twosome.evaluation.measurement import Measurement, Measurements
from twosome.reproduction.jobs import Job
from twosome.runs.journal import read_lines
from twosome.runs.recorder import TIMING_FILE
from twosome.sharing.claims import TIMEOUT, Claim, Claims, Holder
from twosome.sharing.worker import this_worker

FOLDER = ".jobs"
_DONE = ".done.json"


@dataclass(frozen=True)
class Outcome:
    """What became of a job that was tried.

    Attributes:
        kind: ``done`` here; ``elsewhere`` by another worker, since this one began; ``busy`` with another just now.
        measurements: What was found, if it was done here.
        seconds: Of processor time that it took.
    """

    kind: Literal["done", "elsewhere", "busy"]
    measurements: tuple[Measurement, ...] = ()
    seconds: float = 0.0


@dataclass(frozen=True)
class Ledger:
    """The jobs of a directory.

    Args:
        out: The directory.
        timeout: Seconds after which a worker that is not heard of is taken for dead.
    """

    out: Path
    timeout: float = TIMEOUT

    @property
    def claims(self) -> Claims:
        """Who does what."""
        return Claims(self.out / FOLDER, self.timeout)

    def attempt(self, job: Job, since: int) -> Outcome:
        """Do a job, if it is nobody's and was not done by another worker.

        Args:
            job: The job.
            since: Number of the claim under which it was last done before this worker began; 0 if it never was.

        Raises:
            TwosomeError: Whatever the job raises; the next worker may try it then.
        """
        claim = self.claims.take(key_of(job))
        if claim is None:
            return Outcome("busy")
        with claim:
            if self.claimed_when_done(job) > since or not job.missing(self.read()):
                return Outcome("elsewhere")
            began = time.process_time()
            try:
                found = tuple(job.perform())
            except RunInUse:
                return Outcome("busy")
            seconds = time.process_time() - began
            self._note(job, claim, found, seconds)
            return Outcome("done", found, seconds)

    def holders(self, jobs: Sequence[Job]) -> dict[str, Holder]:
        """Who has which of the jobs now, by the job's name."""
        names = {key_of(job): job.name for job in jobs}
        return {names[key]: holder for key, holder in self.claims.holders(names).items()}

    def read(self) -> Measurements:
        """All measurements that there are, of all workers."""
        known = Measurements(self.out)
        self.refresh(known)
        return known

    def refresh(self, known: Measurements) -> None:
        """Add what other workers found since; the file is written anew where it lacks something."""
        found = [Measurement.from_json(line) for record in self._records() for line in record["measurements"]]
        new = [measurement for measurement in found if measurement.key not in known]
        if new:
            known.add(new)

    def claimed_when_done(self, job: Job) -> int:
        """Number of the claim under which a job was last done; 0 if it never was."""
        try:
            return int(_record(self._file(job))["claim"])
        except FileNotFoundError:
            return 0

    def finish(self, known: Measurements) -> None:
        """Write the files that are made of all records, with everything in them."""
        self.refresh(known)
        known.add(())
        file = self.out / TIMING_FILE
        lines = read_lines(file) if file.is_file() else []
        mine = [
            {name: record[name] for name in ("job", "cpu_seconds", "worker", "claim")} for record in self._records()
        ]
        seen = {(line.get("job"), line.get("claim")) for line in lines}
        lines += [line for line in mine if (line["job"], line["claim"]) not in seen]
        write_whole(file, "".join(f"{json.dumps(line)}\n" for line in lines))

    @contextmanager
    def alone(self, name: str, pause: float = 1.0) -> Iterator[None]:
        """Wait until no other worker does ``name``, and keep them from it while the context lasts."""
        while (claim := self.claims.take(name)) is None:
            time.sleep(pause)
        with claim:
            yield

    def _note(self, job: Job, claim: Claim, found: Sequence[Measurement], seconds: float) -> None:
        record = {
            "job": job.name,
            "worker": this_worker().name,
            "claim": claim.number,
            "cpu_seconds": round(seconds, 2),
            "measurements": [measurement.to_json() for measurement in found],
        }
        write_whole(self._file(job), json.dumps(record))

    def _file(self, job: Job) -> Path:
        return self.out / FOLDER / f"{key_of(job)}{_DONE}"

    def _records(self) -> list[dict[str, Any]]:
        """Of every job that was done, oldest first."""
        files = sorted((self.out / FOLDER).glob(f"*{_DONE}"), key=lambda file: (file.stat().st_mtime, file.name))
        return [_record(file) for file in files]


def key_of(job: Job) -> str:
    """What a job's files are called: its name as a file may be called, and a digest of it as it is."""
    words = re.sub(r"[^A-Za-z0-9]+", "-", job.name).strip("-").lower()[:80]
    return f"{words}-{hashlib.sha256(job.name.encode()).hexdigest()[:8]}"


def _record(file: Path) -> dict[str, Any]:
    """What was found by a job.

    Raises:
        FileNotFoundError: If it was not done.
        RunError: If the file is none of ours.
    """
    try:
        record = json.loads(file.read_text(encoding="utf-8"))
        if isinstance(record["measurements"], list) and {"job", "worker", "claim", "cpu_seconds"} <= record.keys():
            return dict(record)
    except FileNotFoundError:
        raise
    except (OSError, ValueError, KeyError, TypeError):
        pass
    raise RunError(f"{str(file)!r} is no record of a job; remove it, and the job is done again")
