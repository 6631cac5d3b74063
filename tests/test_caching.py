"""Records are whole, found again by what they depend on, and never in the way."""

from __future__ import annotations

import hashlib
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from twosome import caching
from twosome.caching import cache_directory, keep_record, key_of, recall_record, sha256_of, write_whole


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TWOSOME_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_a_record_is_found_again_by_its_facts_and_by_no_others(folder: Path) -> None:
    key = key_of({"model": "a", "precision": "float32"})
    assert recall_record("readings", key) is None
    keep_record("readings", key, {"way": "packed"})
    assert recall_record("readings", key_of({"precision": "float32", "model": "a"})) == {"way": "packed"}
    assert recall_record("readings", key_of({"model": "b", "precision": "float32"})) is None
    assert [path.suffix for path in (folder / "readings").iterdir()] == [".json"]
    assert cache_directory("readings") == folder / "readings"


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b"\xff\xfe", b"[" * 100_000])
def test_a_damaged_record_is_none(folder: Path, content: bytes) -> None:
    (folder / "readings").mkdir(parents=True)
    (folder / "readings" / "x.json").write_bytes(content)
    assert recall_record("readings", "x") is None


def test_a_folder_that_cannot_be_written_is_no_fault(folder: Path) -> None:
    folder.write_text("a file, not a folder")
    keep_record("readings", "x", {"way": "packed"})
    assert recall_record("readings", "x") is None


def test_a_large_file_is_hashed_again_only_when_it_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two gigabytes of weights took a second and a half of every start."""
    hashed: list[str] = []
    real = hashlib.file_digest
    monkeypatch.setattr(hashlib, "file_digest", lambda file, kind: hashed.append(file.name) or real(file, kind))
    monkeypatch.setattr(caching, "_SETTLED", 0)
    file = tmp_path / "weights"
    for content in (bytes(2**20), b"x" * 2**20):
        file.write_bytes(content)
        assert [sha256_of(file) for _ in range(3)] == 3 * [hashlib.sha256(content).hexdigest()]
    assert len(hashed) == 2
    changed = file.stat()
    file.write_bytes(b"y" * 2**20)
    os.utime(file, ns=(changed.st_atime_ns, changed.st_mtime_ns))  # as if nothing had happened
    assert sha256_of(file) == hashlib.sha256(b"y" * 2**20).hexdigest()


def test_what_was_just_written_is_hashed_again(tmp_path: Path, folder: Path) -> None:
    """Another change within the same tick of the clock would not show."""
    file = tmp_path / "weights"
    file.write_bytes(bytes(2**20))
    sha256_of(file)
    assert not (folder / "digests").exists()


def test_two_that_write_one_file_leave_one_of_their_texts(tmp_path: Path) -> None:
    (place := tmp_path / "place").mkdir()
    texts = [str(number) * 10_000 for number in range(8)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda text: [write_whole(place / "file", text) for _ in range(10)], texts))
    assert (place / "file").read_text() in texts
    assert [entry.name for entry in place.iterdir()] == ["file"]


@pytest.mark.skipif(os.name != "posix", reason="other systems have no such modes")
def test_what_is_written_whole_is_as_readable_as_any_file(tmp_path: Path) -> None:
    """Of a shared directory another user's worker reads what this one wrote."""
    (tmp_path / "usual").touch()
    write_whole(tmp_path / "whole", "text")
    assert (tmp_path / "whole").stat().st_mode == (tmp_path / "usual").stat().st_mode


def test_a_file_is_on_the_disk_before_it_replaces_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A power cut after the renaming must not leave an empty file where a whole one was."""
    done: list[str] = []
    replace = Path.replace
    monkeypatch.setattr(os, "fsync", lambda _: done.append("on the disk"))
    monkeypatch.setattr(Path, "replace", lambda *paths: (done.append("in its place"), replace(*paths))[1])
    write_whole(tmp_path / "file", "text")
    assert done == ["on the disk", "in its place"]
