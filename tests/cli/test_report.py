"""`twosome report` as a user types it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.report.made import make_run
from twosome.cli import main


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    status = main(list(words))
    captured = capsys.readouterr()
    return status, captured.out, captured.err


@pytest.fixture(scope="module")
def trained(model_directory: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "run"
    words = ["train", "tomato-salad", "--model", model_directory, "--out", str(out), "--decisions", "96"]
    settings = ["--num_envs", "2", "--rollout_steps", "24", "--record_every", "1", "--environment.time_limit", "20"]
    assert main([*words, *settings]) == 0
    return out


def test_a_report_of_a_run_lies_in_it_and_has_its_episodes(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, err = run(capsys, "report", str(trained))
    assert (status, err) == (0, "")
    assert out.startswith(str(trained / "report.html"))
    page = (trained / "report.html").read_text(encoding="utf-8")
    assert (trained / "replay.json").is_file()
    assert 'id="replay-data"' in page
    assert "before training" in page
    assert len(page) < 5e6


def test_without_replay_no_model_is_loaded(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (trained / "replay.json").unlink(missing_ok=True)
    monkeypatch.setattr("twosome.runs.agents.load_base", None)  # calling it would fail
    status, _, _ = run(capsys, "report", str(trained), "--no-replay", "--out", str(tmp_path / "r.html"))
    assert status == 0
    assert 'id="replay-data"' not in (tmp_path / "r.html").read_text(encoding="utf-8")


def test_a_run_that_cannot_be_replayed_is_told_and_reported_all_the_same(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    make_run(tmp_path / "a")
    make_run(tmp_path / "b", seed=1)
    monkeypatch.chdir(tmp_path)
    status, out, err = run(capsys, "report", "a", "b")
    assert status == 0
    assert err.count("\n") == 2
    assert err.startswith("no episodes of a: ")
    assert out.startswith("report.html")
    assert "2 runs" in (tmp_path / "report.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("nowhere",), "no directory"),
        ((".",), "nothing to report"),
        ((), "required"),
    ],
)
def test_mistakes_get_one_sentence(
    words: tuple[str, ...],
    message: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    status, out, err = run(capsys, "report", *words)
    assert (status, out) == (2, "")
    assert message in err
    assert err.count("\n") == 1
