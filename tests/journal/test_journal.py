"""The file of decisions and outcomes: whole lines, torn ends, one writer, what it refuses."""

from __future__ import annotations

import json
import math
import os
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from twosome import Decision
from twosome.errors import RunError
from twosome.journal.reading import FILE, read_journal
from twosome.journal.records import Identity, Outcome, Recorded, adapter_digest, from_line, to_line
from twosome.journal.writing import Contradiction, JournalWriter

IDENTITY = Identity("embedded", None, "word", 1.0)
HALVES = (math.log(0.5), math.log(0.5))


def recorded(name: str, sampled: int | None = 0) -> Recorded:
    return Recorded(name, 1.5, "desk", IDENTITY, Decision("Whither? Go", ("left", "räts")), HALVES, 0, sampled)


def outcome(name: str, reward: float = 1.0, action: int = 0) -> Outcome:
    return Outcome(name, 2.5, action, "sampled", reward)


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    impossible = Recorded(
        "b:0", 1.0, "desk", Identity("m", "ab", "sum", 2.0), Decision("p", ("x", "y")), (0.0, -math.inf), 0
    )
    with JournalWriter(tmp_path / "new" / "journal.jsonl") as journal:
        journal.decisions([recorded("a:0"), impossible])
        assert journal.outcomes([outcome("a:0", 0.25)]) == 1
    contents = read_journal(tmp_path / "new" / "journal.jsonl")
    assert list(contents.decisions.values()) == [recorded("a:0"), impossible]
    assert contents.outcomes == {"a:0": outcome("a:0", 0.25)}
    assert contents.torn == 0
    for record in (recorded("a:0"), impossible, outcome("a:0")):
        assert from_line(json.loads(json.dumps(to_line(record)))) == record


def test_a_directory_gets_a_file_that_only_its_owner_reads(tmp_path: Path) -> None:
    (tmp_path / FILE).touch(mode=0o644)
    with JournalWriter(tmp_path) as journal:
        assert journal.path == tmp_path / FILE
    with JournalWriter(f"{tmp_path / 'more'}{os.sep}") as journal:
        assert journal.path == tmp_path / "more" / FILE
    if os.name == "posix":
        for file in (tmp_path / FILE, tmp_path / "more" / FILE):
            assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_journal_is_continued(tmp_path: Path) -> None:
    file = tmp_path / "journal.jsonl"
    with JournalWriter(file) as journal:
        journal.decisions([recorded("a:0"), recorded("a:1", None)])
        journal.outcomes([outcome("a:0")])
    with JournalWriter(file) as journal:
        assert journal.count == 2
        known = journal.known("a:1")
        assert known is not None
        assert (known.actions, known.best, known.sampled) == (("left", "räts"), 0, None)
        assert journal.known("a:2") is None
        assert journal.outcomes([outcome("a:0")]) == 0  # told before the restart
        with pytest.raises(Contradiction) as contradicted:
            journal.outcomes([outcome("a:1"), outcome("a:0", 0.5)])
        assert (contradicted.value.number, contradicted.value.before.reward) == (1, 1.0)
        assert journal.outcome("a:1") is None  # all or nothing
        assert journal.outcomes([outcome("a:1")]) == 1
    assert set(read_journal(file).outcomes) == {"a:0", "a:1"}


@pytest.mark.parametrize("left", [1, 30, 150])
def test_a_torn_last_line_is_left_out_and_cut_off(left: int, tmp_path: Path) -> None:
    file = tmp_path / "journal.jsonl"
    with JournalWriter(file) as journal:
        journal.decisions([recorded("a:0"), recorded("a:1")])
    whole = file.read_bytes()
    first = whole.index(b"\n") + 1
    file.write_bytes(whole[: first + left])
    contents = read_journal(file)
    assert (list(contents.decisions), contents.torn) == (["a:0"], left)
    with JournalWriter(file) as journal:
        assert journal.count == 1
        journal.decisions([recorded("a:1")])
    assert file.read_bytes() == whole


def test_a_journal_that_is_all_torn_begins_anew(tmp_path: Path) -> None:
    file = tmp_path / "journal.jsonl"
    file.write_bytes(b'{"record": "deci' * 10_000)
    with JournalWriter(file) as journal:
        assert journal.count == 0
    assert file.read_bytes() == b""


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda line: b"{}\n", "line 1 .* neither a decision nor an outcome"),
        (lambda line: b"\xff\n", "line 1 .* no JSON"),
        (lambda line: b"[" * 100_000 + b"\n", "line 1 .* no JSON"),
        (lambda line: line.replace(b'"version": 1', b'"version": 2'), "its version is 2, and this twosome reads 1"),
        (lambda line: line.replace(b'"left", ', b""), "line 1 .* log_probs must be one for each action"),
        (lambda line: line.replace(b"[-0.69", b"[-0.79"), "sum to 1"),
        (lambda line: line.replace(b'"sampled": 0', b'"sampled": 2'), "the number of an action"),
        (lambda line: line.replace(b'"best": 0', b'"best": true'), "the number of an action"),
        (lambda line: line.replace(b'"prompt": "Whither? Go"', b'"prompt": ""'), "a prompt must be"),
        (lambda line: line + line, "the decision a:0 twice"),
        (
            lambda line: (
                b'{"record": "outcome", "version": 1, "decision": "z", "time": 1, "action": 0, "chosen": "best", '
                b'"reward": 1}\n' + line
            ),
            "an outcome of z that does not fit",
        ),
        (
            lambda line: (
                b'{"record": "outcome", "version": 1, "decision": "z", "time": 1, "action": 0, "chosen": "best", '
                b'"reward": NaN}\n' + line
            ),
            "reward nan",
        ),
    ],
)
def test_damage_before_the_end_is_told_with_its_line(damage: object, words: str, tmp_path: Path) -> None:
    file = tmp_path / "journal.jsonl"
    with JournalWriter(file) as journal:
        journal.decisions([recorded("a:0")])
    file.write_bytes(damage(file.read_bytes()))  # type: ignore[operator]
    before = file.read_bytes()
    with pytest.raises(RunError, match=words):
        read_journal(file)
    with pytest.raises(RunError, match=words):
        JournalWriter(file)
    assert file.read_bytes() == before
    file.unlink()
    with JournalWriter(file):  # the refusal let go of the lock
        pass


def test_outcomes_that_contradict_each_other_are_damage(tmp_path: Path) -> None:
    file = tmp_path / "journal.jsonl"
    with JournalWriter(file) as journal:
        journal.decisions([recorded("a:0")])
        journal.outcomes([outcome("a:0")])
    lines = file.read_text(encoding="utf-8")
    file.write_text(lines + lines.splitlines()[1].replace('"reward": 1.0', '"reward": 2.0') + "\n", encoding="utf-8")
    with pytest.raises(RunError, match="does not fit what stands before it"):
        read_journal(file)


def test_there_is_one_writer(tmp_path: Path) -> None:
    file = tmp_path / "journal.jsonl"
    with JournalWriter(file), pytest.raises(RunError, match="another server writes the journal"):
        JournalWriter(file)
    with JournalWriter(file):
        pass


def test_no_journal_is_told(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"cannot read the journal .*serve --record"):
        read_journal(tmp_path / "none.jsonl")
    (tmp_path / "file").touch()
    with pytest.raises(RunError, match="cannot write the journal"):
        JournalWriter(tmp_path / "file" / "journal.jsonl")


def test_threads_write_whole_lines(tmp_path: Path) -> None:
    file = tmp_path / "journal.jsonl"
    with JournalWriter(file) as journal:

        def write(thread: int) -> None:
            for number in range(50):
                journal.decisions([recorded(f"{thread}-{number}:0"), recorded(f"{thread}-{number}:1")])
                journal.outcomes([outcome(f"{thread}-{number}:1", float(number))])

        threads = [threading.Thread(target=write, args=(thread,)) for thread in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    contents = read_journal(file)
    assert len(contents.decisions) == 800
    assert {name: told.reward for name, told in contents.outcomes.items()} == {
        f"{thread}-{number}:1": float(number) for thread in range(8) for number in range(50)
    }


def test_a_full_disk_leaves_no_half_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "journal.jsonl"
    with JournalWriter(file) as journal:
        journal.decisions([recorded("a:0")])
        whole, write = file.read_bytes(), os.write
        monkeypatch.setattr(os, "write", lambda descriptor, content: write(descriptor, content[:20]))
        with pytest.raises(RunError, match="only a part was written"):
            journal.decisions([recorded("a:1")])
        monkeypatch.undo()
        assert file.read_bytes() == whole
        assert journal.known("a:1") is None
        journal.decisions([recorded("a:1")])
    assert list(read_journal(file).decisions) == ["a:0", "a:1"]


KILLED = """
import sys
from pathlib import Path
from tests.journal.test_journal import recorded
from twosome.journal.writing import JournalWriter
journal = JournalWriter(Path(sys.argv[1]))
number = 0
while True:
    journal.decisions([recorded(f"{number}:0")])
    print(number, flush=True)
    number += 1
"""


@pytest.mark.skipif(os.name != "posix", reason="kill -9")
def test_what_was_confirmed_survives_a_kill(tmp_path: Path) -> None:
    file = tmp_path / "journal.jsonl"
    process = subprocess.Popen([sys.executable, "-c", KILLED, str(file)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    confirmed = [int(process.stdout.readline()) for _ in range(50)][-1]
    process.kill()
    process.wait()
    with JournalWriter(file) as journal:
        assert journal.count > confirmed
        assert journal.known(f"{confirmed}:0") is not None


def test_one_digest_for_all_weights() -> None:
    assert adapter_digest({}) is None
    one, other = adapter_digest({"a": "1", "b": "2"}), adapter_digest({"b": "2", "a": "1"})
    assert one == other
    assert one != adapter_digest({"a": "2", "b": "1"})
