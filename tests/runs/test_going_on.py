"""A finished run goes on for more decisions, and says what may not change on the way."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from tests.runs.outcome import outcome
from tests.runs.test_best import FILES, SMALL
from tests.runs.test_resume import stop_after
from twosome.cli import main
from twosome.errors import RunError
from twosome.runs.changes import changes
from twosome.runs.directory import RunDirectory
from twosome.runs.journal import read_lines
from twosome.runs.trainer import resume, train

STEADY = replace(SMALL, decisions=32 * 4, ppo=replace(SMALL.ppo, anneal_learning_rates=False))
BUT_THE_BEST_S_CONFIG = tuple(name for name in FILES if name != "best/config.yaml")


@pytest.fixture(scope="module")
def long_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("long") / "run"
    train(replace(STEADY, decisions=32 * 7), directory)
    return directory


def test_with_steady_learning_rates_it_ends_as_a_run_of_that_length(long_run: Path, tmp_path: Path) -> None:
    directory = tmp_path / "run"
    train(STEADY, directory)
    assert main(["train", "--resume", str(directory), "--decisions", "2.24e2"]) == 0  # 32 * 7
    assert outcome(directory, BUT_THE_BEST_S_CONFIG) == outcome(long_run, BUT_THE_BEST_S_CONFIG)
    assert (directory / "config.yaml").read_bytes() == (long_run / "config.yaml").read_bytes()
    assert RunDirectory.open(directory).finished


def test_annealed_learning_rates_go_on_where_a_run_of_that_length_has_them(tmp_path: Path) -> None:
    directory = tmp_path / "run"
    train(replace(SMALL, decisions=32 * 4), directory)
    resume(directory, decisions=32 * 8)
    rates = [line["policy_learning_rate"] / 1e-2 for line in read_lines(directory / "metrics.jsonl")]
    assert rates == pytest.approx([1, 3 / 4, 2 / 4, 1 / 4, 4 / 8, 3 / 8, 2 / 8, 1 / 8])


def test_killed_on_the_way_it_goes_on_like_any_run(
    long_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = tmp_path / "run"
    train(STEADY, directory)
    RunDirectory.open(directory).lengthened(32 * 7).rewrite_config()  # and killed
    assert not RunDirectory.open(directory).finished
    resume(directory)
    assert outcome(directory, BUT_THE_BEST_S_CONFIG) == outcome(long_run, BUT_THE_BEST_S_CONFIG)


def test_a_stopped_run_may_become_longer_too(long_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stop_after(STEADY, tmp_path / "run", 3, monkeypatch)
    resume(tmp_path / "run", decisions=32 * 7)
    assert outcome(tmp_path / "run", BUT_THE_BEST_S_CONFIG) == outcome(long_run, BUT_THE_BEST_S_CONFIG)


@pytest.mark.parametrize("decisions", [1, 32 * 4, 32 * 7 - 31, 32 * 7])
def test_what_is_no_more_is_refused(decisions: int, long_run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = {path: path.read_bytes() for path in long_run.rglob("*") if path.is_file()}
    assert main(["train", "--resume", str(long_run), "--decisions", str(decisions)]) == 2
    assert "must name more" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in long_run.rglob("*") if path.is_file()} == before


def test_without_a_checkpoint_a_finished_run_is_not_begun_again(long_run: Path, tmp_path: Path) -> None:
    copy = tmp_path / "run"
    shutil.copytree(long_run, copy)
    shutil.rmtree(copy / "checkpoints")
    before = outcome(copy, FILES)
    with pytest.raises(RunError, match=r"no whole checkpoint.*--start"):
        resume(copy, decisions=32 * 9)
    assert outcome(copy, FILES) == before


def test_settings_that_changed_are_named_with_both_values() -> None:
    ppo = replace(SMALL.ppo, gamma=0.5, target_kl=None)
    now = replace(SMALL, ppo=ppo, environment={}, env_timeout=1.0, decisions=SMALL.decisions + 1)
    found = changes(SMALL, now)
    assert found == [
        "environment was {'time_limit': 30} and is {}",
        "ppo.gamma was 0.99 and is 0.5",
        "ppo.target_kl was 0.02 and is null",
    ]
    assert changes(SMALL, SMALL) == []
    fewer = replace(SMALL, decisions=1)
    assert changes(SMALL, fewer) == [f"decisions was {SMALL.decisions} and is 1"]
