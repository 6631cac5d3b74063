"""The best policy of a run is kept, whatever becomes of the last one, and the end says when that fell."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.runs.outcome import outcome
from tests.runs.test_resume import stop_after
from twosome.algorithms.config import PPOConfig
from twosome.cli import main
from twosome.errors import RunError
from twosome.runs.agents import load_agent
from twosome.runs.best import WINDOW, Best, Standing, best_directory
from twosome.runs.journal import read_lines
from twosome.runs.trainer import Progress, resume, train
from twosome.settings.config import RunConfig
from twosome.terminal.display import TrainingDisplay

SMALL = RunConfig(
    task="tomato-salad",
    policy="vector",
    environment={"time_limit": 30},
    decisions=32 * 8,
    rollout_steps=8,
    save_every=3,
    record_every=100,
    ppo=PPOConfig(policy_learning_rate=1e-2, value_learning_rate=1e-2, normalize_advantages="rollout"),
)
FILES = ("metrics.jsonl", "episodes.jsonl", "critic.safetensors", "actor.safetensors")
FILES += ("best/best.json", "best/config.yaml", "best/actor.safetensors", "best/critic.safetensors")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("best") / "run"
    train(SMALL, directory)
    return directory


class Numbered:
    """A policy whose weights are a number."""

    number = 0

    def save(self, directory: Path) -> None:
        (directory / "actor.safetensors").write_text(str(self.number))


def judged(run: Path, *rollouts: list[float]) -> tuple[Best, str]:
    """What is kept after policies 0, 1, 2 ... got these returns."""
    best = Best(run, SMALL)
    policy: Any = Numbered()
    for number, returns in enumerate(rollouts):
        policy.number = number
        best.see(policy, returns, number, 32 * (number + 1))
    return best, (run / "best" / "actor.safetensors").read_text()


def test_the_policy_that_played_best_is_kept_not_the_last(tmp_path: Path) -> None:
    best, kept = judged(tmp_path, [0.2] * 20, [0.9] * 20, [0.9] * 20, [0.0] * 20)
    assert kept == "1"
    assert best.best is not None
    assert best.last is not None
    assert (best.best.update, best.best.discounted_return) == (1, pytest.approx(0.9))
    assert best.best.fell_to(best.last)


def test_a_lucky_first_episode_is_not_the_best_for_ever(tmp_path: Path) -> None:
    best, kept = judged(tmp_path, [1.0], [], [0.1] * 8, [0.1] * 12, [0.3] * 20)
    assert kept == "4"
    assert best.best is not None
    assert best.best.episodes == WINDOW


def test_where_no_episode_ended_nothing_is_the_best(tmp_path: Path) -> None:
    best = Best(tmp_path, SMALL)
    policy: Any = Numbered()
    best.see(policy, [], 0, 32)
    assert best.best is None
    with pytest.raises(RunError, match="no episode ended in training"):
        best_directory(tmp_path)


@pytest.mark.parametrize(
    ("was", "now", "fell"),
    [((0.77, 0.0), (0.0, 0.0), True), ((0.77, 0.0), (0.76, 0.0), False), ((0.5, 0.2), (0.2, 0.2), False)],
)
def test_to_fall_is_more_than_chance(was: tuple[float, float], now: tuple[float, float], fell: bool) -> None:
    assert Standing(3, 128, 20, *was).fell_to(Standing(9, 384, 20, *now)) == fell


def test_the_end_says_that_the_run_fell(tmp_path: Path) -> None:
    metrics = {"episodes": 1, "discounted_return": 0.0, "success": 0.0}
    display = TrainingDisplay(128, None)
    standings = Standing(8, 64, 20, 0.774, 0.0), Standing(15, 128, 20, 0.0, 0.0)
    display.update(Progress(16, 16, 15, 8, 1.0, metrics, "packed rows", *standings))
    (said,) = display.closing(tmp_path)
    assert "after update 8 returned 0.774" in said
    assert "the last 20 only 0.000" in said
    assert "--best" in said


def test_a_run_without_reward_says_so_while_it_runs_and_at_its_end(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    metrics = {"episodes": 0, "unpaid_updates": 1.0}
    display = TrainingDisplay(8, None)
    display.update(Progress(1, 1, 0, 8, 1.0, metrics, "packed rows"))
    assert "no reward was met yet" in capsys.readouterr().out
    assert "no reward was ever met" in display.closing(tmp_path)[0]


def test_the_best_can_be_read_like_a_run(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    best, last = load_agent(run / "best").policy, load_agent(run).policy
    assert not all(torch.equal(weight, last.state_dict()[name]) for name, weight in best.state_dict().items())
    standing = json.loads((run / "best" / "best.json").read_text())
    played = sum(line["episodes"] for line in read_lines(run / "metrics.jsonl")[: standing["update"] + 1])
    returns = [line["discounted_return"] for line in read_lines(run / "episodes.jsonl")][:played][-WINDOW:]
    assert (standing["episodes"], standing["decisions"]) == (len(returns), 32 * (standing["update"] + 1))
    assert standing["discounted_return"] == pytest.approx(sum(returns) / len(returns))
    assert main(["evaluate", str(run), "--best", "--episodes", "2", "--json"]) == 0
    named = capsys.readouterr().out
    assert main(["evaluate", str(run / "best"), "--episodes", "2", "--json"]) == 0
    assert capsys.readouterr().out == named


@pytest.mark.parametrize("update", [1, 2, 4, 7])
def test_stopped_at_any_update_the_same_best_is_kept(
    update: int, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop_after(SMALL, tmp_path / "run", update, monkeypatch)
    resume(tmp_path / "run")
    assert outcome(tmp_path / "run", FILES) == outcome(run, FILES)


@pytest.mark.parametrize("damage", ["cut", "gone", "moved aside"])
def test_a_best_that_is_damaged_is_told_and_one_moved_aside_is_put_back(
    damage: str, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = tmp_path / "run"
    stop_after(SMALL, copy, 7, monkeypatch)
    if damage == "cut":
        (copy / "best" / "actor.safetensors").write_bytes(b"")
    elif damage == "gone":
        (copy / "best" / "best.json").unlink()
    else:
        (copy / "best").rename(copy / ".best.old")
    resume(copy)
    told = "missing or damaged" in capsys.readouterr().err
    assert told == (damage != "moved aside")
    assert load_agent(copy / "best").trained
    if not told:
        assert outcome(copy, FILES) == outcome(run, FILES)


def test_what_a_killed_process_left_half_written_goes_when_the_run_is_taken_up(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once seen in a comparison of runs: weights that belonged to nothing, beside those of the best policy."""
    copy = tmp_path / "run"
    stop_after(SMALL, copy, 7, monkeypatch)
    left = [".staging-abc/best", ".best-abc/best", ".weights-abc", ".best.old", "checkpoints/.update-000009.partial"]
    for name in left:
        (copy / name).mkdir(parents=True)
        (copy / name / "actor.safetensors").write_bytes(b"half")
    resume(copy)
    files = {str(path.relative_to(place)) for place in (copy, run) for path in place.rglob("*")}
    assert files == {str(path.relative_to(run)) for path in run.rglob("*")}
    assert outcome(copy, FILES) == outcome(run, FILES)


def test_a_run_of_an_older_version_goes_on_and_says_that_it_kept_no_best(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import shutil

    stop_after(SMALL, tmp_path / "run", 3, monkeypatch)
    shutil.rmtree(tmp_path / "run" / "best")
    assert main(["evaluate", str(tmp_path / "run"), "--best"]) == 2
    assert "an older version trained it" in capsys.readouterr().err
    monkeypatch.setattr(Best, "state_dict", lambda self: None)  # what is not in a checkpoint is None when it is read
    resume(tmp_path / "run")
    assert (tmp_path / "run" / "best" / "best.json").is_file()


def test_the_best_is_no_run_to_go_on_with(run: Path) -> None:
    with pytest.raises(RunError, match="holds the best policy of a run"):
        resume(run / "best")


def test_a_run_that_cannot_be_taken_up_keeps_what_it_learned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It was refused, and its weights were replaced by fresh ones on the way out."""
    directory = tmp_path / "run"
    stop_after(replace(SMALL, save_every=1), directory, 3, monkeypatch)
    before = (directory / "actor.safetensors").read_bytes()
    file = directory / "config.yaml"
    file.write_text(file.read_text().replace("gamma: 0.99", "gamma: 0.98"))
    with pytest.raises(RunError, match=r"ppo\.gamma was 0\.99 and is 0\.98"):
        resume(directory)
    assert (directory / "actor.safetensors").read_bytes() == before
