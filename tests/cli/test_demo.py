"""The demo, cut short."""

from __future__ import annotations

from pathlib import Path

import pytest

from twosome.cli import main


def test_the_demo_prints_one_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for run in ("demo-seed0", "demo-seed0-2"):
        assert main(["demo", "--decisions", "128", "--episodes", "5"]) == 0
        out = capsys.readouterr().out
        for row in ("uniform", "zero-shot", "after training, sampled", "after training, greedy", "0.9205"):
            assert row in out
        assert (tmp_path / "runs" / run / "learning_curve.png").is_file()


def test_the_demo_on_a_model_of_ones_own_measures_tasks_it_has_not_seen(
    model_directory: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["demo", "--model", model_directory, "--decisions", "128", "--seed", "3"]) == 0
    out = capsys.readouterr().out
    for words in ("food-preparation (practised)", "laundry-placed", "entertainment", "untrained", "no sampling error"):
        assert words in out
    assert (tmp_path / "runs" / "demo-seed3" / "report.html").is_file()
