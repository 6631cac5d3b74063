"""Records are whole, found again by what they depend on, and never in the way."""

from __future__ import annotations

from pathlib import Path

import pytest

from twosome.caching import cache_directory, keep_record, key_of, recall_record


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
