"""``twosome words``: wordings as data, measured once, kept, and shown with what is unlikely in them."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from twosome.cli import main

WORDINGS = """
["as they are"]

[reach]
wording.walk_item = "reach for {target}"

["of no meaning"]
permute_phrases = 0
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "wordings.toml"
    path.write_text(WORDINGS, encoding="utf-8")
    return path


def test_every_wording_is_measured_and_kept(file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    kept, phrases = tmp_path / "results.jsonl", tmp_path / "phrases.jsonl"
    command = ["words", "food-preparation", "--wordings", str(file), "--out", str(kept), "--phrases", str(phrases)]
    assert main([*command, "--worst", "1"]) == 0
    shown = capsys.readouterr().out.splitlines()
    lines = [json.loads(line) for line in kept.read_text(encoding="utf-8").splitlines()]
    assert [line["name"] for line in lines] == ["as they are", "reach", "of no meaning"]
    assert shown[0].startswith("as they are: 18 decisions, ")
    assert shown[1].startswith("    0.")
    own, _, permuted = (line["worths"]["sum"] for line in lines)
    assert own["success"] == pytest.approx(0.992, abs=0.005)  # what the model's card says of it
    assert permuted["best"] < own["best"]
    read = phrases.read_text(encoding="utf-8").count("\n")
    assert main([*command, "--json"]) == 0  # nothing is read or measured again
    assert [json.loads(line) for line in capsys.readouterr().out.splitlines()] == lines
    assert len(kept.read_text(encoding="utf-8").splitlines()) == 3
    assert phrases.read_text(encoding="utf-8").count("\n") == read


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "holds no wording; write a table for each"),
        ("grab = 'take {target}'", "'grab' in .* must be a table of arguments of the environment"),
        ("[a", "cannot read the wordings"),
        ("[a]\nwording.grabs = 'take'", "a wording has no template 'grabs'"),
        ("[a]\nlayout = 'A'", "cannot make the task"),
    ],
)
def test_a_mistake_is_told_in_one_sentence(
    content: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "wordings.toml"
    path.write_text(content, encoding="utf-8")
    assert main(["words", "food-preparation", "--wordings", str(path)]) == 2
    error = capsys.readouterr().err
    assert len(error.splitlines()) == 1

    assert re.search(message, error), error
