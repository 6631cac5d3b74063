"""What was read of a GGUF file is kept whole or not at all, verified, and made once."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from tests.gguf_files import write_gguf
from twosome.errors import ModelError
from twosome.models.gguf import copies
from twosome.models.gguf.copies import directory_of
from twosome.models.gguf.naming import GgufFile, find_gguf

pytest.importorskip("gguf")


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TWOSOME_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(copies, "_trusted", set())
    monkeypatch.setattr(copies, "_passing", {})
    return tmp_path / "cache" / "gguf"


@pytest.fixture
def file(tmp_path: Path) -> GgufFile:
    write_gguf(tmp_path / "model.gguf", "llama")
    found = find_gguf(str(tmp_path / "model.gguf"))
    assert found is not None
    return found


def counting(monkeypatch: pytest.MonkeyPatch, before: Any = lambda: None) -> list[Path]:
    made: list[Path] = []
    real = copies.convert

    def convert(file: GgufFile, target: Path) -> None:
        made.append(target)
        before()
        real(file, target)

    monkeypatch.setattr(copies, "convert", convert)
    return made


def as_another_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copies, "_trusted", set())


def test_a_file_is_read_once_and_said_where_it_is_kept(
    cache: Path, file: GgufFile, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    made = counting(monkeypatch)
    copy = directory_of(file)
    said = capsys.readouterr().err
    assert f"is kept in {str(copy)!r} (" in said
    assert "KB" not in said
    as_another_process(monkeypatch)
    assert directory_of(file) == copy
    assert len(made) == 1
    assert not capsys.readouterr().err
    assert copy.parent == cache


def test_other_versions_make_another_copy(cache: Path, file: GgufFile, monkeypatch: pytest.MonkeyPatch) -> None:
    first = directory_of(file)
    monkeypatch.setattr(copies, "made_with", lambda: {"transformers": "6"})
    assert directory_of(file) != first


@pytest.mark.parametrize("damage", ["a bit", "cut off", "a file gone", "a file more", "no manifest", "odd manifest"])
def test_a_damaged_copy_is_made_again(
    damage: str, cache: Path, file: GgufFile, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = directory_of(file)
    weights, whole = copy / "model.safetensors", (copy / "model.safetensors").read_bytes()
    if damage == "a bit":
        weights.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    elif damage == "cut off":
        weights.write_bytes(whole[:-1])
    elif damage == "a file gone":
        (copy / "tokenizer.json").unlink()
    elif damage == "a file more":
        (copy / "adapter_config.json").write_text("{}")
    elif damage == "no manifest":
        (copy / "manifest.json").unlink()
    else:
        (copy / "manifest.json").write_text("[]")
    as_another_process(monkeypatch)
    capsys.readouterr()
    assert directory_of(file) == copy
    assert "is damaged (" in capsys.readouterr().err
    assert weights.read_bytes() == whole
    assert not (copy / "adapter_config.json").exists()


def test_a_crash_leaves_no_half_copy(cache: Path, file: GgufFile, monkeypatch: pytest.MonkeyPatch) -> None:
    class Killed(BaseException):
        pass

    def killed(file: GgufFile, target: Path) -> None:
        (target / "config.json").write_text("{}")
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(copies, "convert", killed)
        with pytest.raises(Killed):
            directory_of(file)
    (lock,) = cache.iterdir()
    (cache / f".{lock.stem}.left" / "made").mkdir(parents=True)  # where nothing could be tidied up
    copy = directory_of(file)
    assert sorted(path.name for path in cache.iterdir()) == [copy.name, f"{copy.name}.lock"]
    assert (copy / "model.safetensors").is_file()


def test_two_at_once_make_one_copy(cache: Path, file: GgufFile, monkeypatch: pytest.MonkeyPatch) -> None:
    begun = threading.Event()
    made = counting(monkeypatch, begun.set)
    found: list[Path] = []
    threads = [threading.Thread(target=lambda: found.append(directory_of(file))) for _ in range(2)]
    threads[0].start()
    begun.wait(30)
    threads[1].start()
    for thread in threads:
        thread.join()
    assert len(made) == 1
    assert len(set(found)) == 1
    assert len(found) == 2


def test_nothing_is_kept_where_it_is_not_wanted(cache: Path, file: GgufFile, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TWOSOME_GGUF_COPIES", "0")
    made = counting(monkeypatch)
    assert (directory_of(file) / "model.safetensors").is_file()
    directory_of(file)
    assert len(made) == 1
    assert not cache.exists()


def test_a_folder_that_cannot_be_written_is_told_and_done_without(
    tmp_path: Path, file: GgufFile, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], cache: Path
) -> None:
    (tmp_path / "cache").write_text("a file")
    assert (directory_of(file) / "model.safetensors").is_file()
    assert "cannot be kept in" in capsys.readouterr().err


def test_a_file_that_changes_while_it_is_read_is_refused(
    cache: Path, file: GgufFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    def grow() -> None:
        with file.path.open("ab") as opened:
            opened.write(bytes(8))

    counting(monkeypatch, grow)
    with pytest.raises(ModelError, match="changed while it was read"):
        directory_of(file)
    assert not [path for path in cache.iterdir() if path.is_dir()]
