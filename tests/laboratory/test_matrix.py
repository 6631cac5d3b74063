"""The generalisation matrix as a picture."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.report.made import measurement, write_lines
from twosome.cli import main

pytest.importorskip("matplotlib")


def test_the_matrix_is_drawn_from_measurements_alone(tmp_path: Path) -> None:
    from matplotlib.image import imread

    lines = [measurement("zero-shot", task, 0.4, normalization="word") for task in ("a", "b")]
    for task in ("a", "b"):
        lines.append(measurement("twosome", task, 0.9, trained_on="a", normalization="word", seed=0))
    write_lines(tmp_path / "measurements.jsonl", lines)
    assert main(["report", str(tmp_path), "--matrix", str(tmp_path / "matrix.png")]) == 0
    picture = imread(tmp_path / "matrix.png")
    orange = (picture[..., 0] > 0.9) & (picture[..., 1] < 0.6) & (picture[..., 2] < 0.2)
    assert orange.any()  # the frame around the task that was practised


def test_without_other_tasks_there_is_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_lines(
        tmp_path / "measurements.jsonl",
        [measurement("twosome", "a", 0.9, trained_on="a", normalization="word", seed=0)],
    )
    assert main(["report", str(tmp_path), "--matrix", str(tmp_path / "matrix.png")]) == 2
    assert "no matrix to draw" in capsys.readouterr().err
    assert not (tmp_path / "matrix.png").exists()
