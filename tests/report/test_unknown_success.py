"""Success that a world does not say is unknown in reports, too: no percentage, no curve, and all the returns."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.report.made import add_replay, make_run, measurement, write_lines
from twosome.report import curves, write_report
from twosome.report.reading import read


def untold(run: Path, *, success: Any) -> Path:
    """The run, with the success of every fifth episode as given and of the others false, untold."""
    lines = [json.loads(line) for line in (run / "episodes.jsonl").read_text().splitlines()]
    changed = [{**line, "success": success if i % 5 == 4 else False, "told": False} for i, line in enumerate(lines)]
    write_lines(run / "episodes.jsonl", changed)
    return run


@pytest.mark.parametrize("success", [None, False])
def test_a_run_of_unknown_success_has_no_percentage(success: bool | None, tmp_path: Path) -> None:
    run = untold(make_run(tmp_path / "run", task="pole"), success=success)
    add_replay(run)
    assert curves.run_curve(read([run]).runs[0], curves.SUCCESS) is None
    write_report([run], tmp_path / "report.html")
    tables = (tmp_path / "report.md").read_text()
    row = next(line for line in tables.splitlines() if line.startswith("| pole |"))
    assert row.split("|")[5].strip() == "\u2013"
    assert "0.675" in row
    assert "Success is not known in pole" in (tmp_path / "report.html").read_text()


def test_episodes_before_the_first_paid_end_count(tmp_path: Path) -> None:
    run = read([untold(make_run(tmp_path / "run", updates=10), success=True)]).runs[0]
    curve = curves.run_curve(run, curves.SUCCESS)
    assert curve is not None
    assert curve.scores[3:5] == [0.0, 0.2]
    assert curves.last_performance(run, curves.SUCCESS) == 0.2


def test_a_measurement_of_unknown_success_is_one(tmp_path: Path) -> None:
    lines = [measurement("uniform", "pole", 0.5, success=None), measurement("twosome", "pole", 0.9, trained_on="pole")]
    write_lines(tmp_path / "measurements.jsonl", [*lines, measurement("uniform", "other", 0.1, success="much")])
    material = read([tmp_path])
    assert [one.success for one in material.measurements] == [None, 0.9]
    assert "1 lines" in material.notes[0]
    write_report([tmp_path], tmp_path / "report.html")
    assert "nan" not in (tmp_path / "report.md").read_text().lower()
