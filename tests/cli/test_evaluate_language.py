"""``twosome evaluate-language`` as a user types it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.language.adapters import save_adapter
from tests.tiny import TEXT
from twosome.cli import main
from twosome.language import harness
from twosome.models.loading import load_model


@pytest.fixture(scope="module")
def adapter(model_directory: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    base, _ = load_model(model_directory)
    return save_adapter(base, 0.1, tmp_path_factory.mktemp("adapter"))


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("texts") / "short.txt"
    file.write_text("\n".join(TEXT) + "\n", encoding="utf-8")
    return file


def test_it_prints_a_table_and_keeps_a_file(
    adapter: Path, text: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "language.json"
    words = ["evaluate-language", str(adapter), "--text", str(text), "--tasks", "--out", str(out)]
    assert main(words) == 0
    captured = capsys.readouterr()
    assert captured.err == "measuring: text short\n"
    assert "loss/short" in captured.out
    assert "4 documents" in captured.out
    assert main([*words, "--json"]) == 0
    captured = capsys.readouterr()
    assert captured.err == ""  # finished before
    assert json.loads(captured.out) == json.loads(out.read_text(encoding="utf-8"))


def test_it_says_what_it_left_out(
    adapter: Path, text: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(harness, "find_spec", lambda name: None)
    assert main(["evaluate-language", str(adapter), "--text", str(text)]) == 0
    assert 'pip install "twosome[language]"' in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["nowhere"], "neither a run"),
        (["ADAPTER", "--tasks", "copying,arc_challenge"], 'pip install "twosome[language]"'),
        (["ADAPTER", "--text", "nowhere.txt"], "cannot read the text 'nowhere.txt'"),
        (["ADAPTER", "--task", "tomato-sald"], "did you mean 'tomato-salad'"),
        (["ADAPTER", "--model", "embedded"], "does not fit"),
        (["ADAPTER", "--limit", "0"], "must be at least 1"),
        ([], "RUN_OR_ADAPTER"),
    ],
)
def test_bad_input_gets_one_sentence(
    words: list[str],
    told: str,
    adapter: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(harness, "find_spec", lambda name: None)
    assert main(["evaluate-language", *(str(adapter) if word == "ADAPTER" else word for word in words)]) == 2
    error = capsys.readouterr().err
    assert told in error
    assert error.count("\n") == 1
