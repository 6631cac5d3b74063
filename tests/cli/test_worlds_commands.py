"""The commands about worlds: check-env, bench worlds, films and exact evaluation, as a user types them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from twosome.cli import main
from twosome.overcooked import OvercookedEnv
from twosome.watching.film import LAST_MILLISECONDS


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    status = main(words)
    captured = capsys.readouterr()
    return status, captured.out, captured.err


def test_check_env_reports_and_is_content(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = run(capsys, "check-env", "tomato-salad")
    assert status == 0
    assert out.startswith("tomato-salad: every reachable state; 24 states, 21 decisions")
    assert "note (told-apart, 2x)" in out
    assert out.endswith("0 errors, 0 warnings, 1 note\n")


def test_check_env_exits_with_1_where_there_are_errors(capsys: pytest.CaptureFixture[str]) -> None:
    environment = '{"view_radius": 0, "wording": {"chop_nothing": "chop tomato"}}'
    status, out, _ = run(capsys, "check-env", "tomato-salad", "--json", "--environment", environment)
    assert status == 1
    finding = json.loads(out)["findings"][0]
    assert (finding["check"], finding["severity"]) == ("articles", "error")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("check-env", "nothing"), "unknown task"),
        (("check-env", "CartPole-v1"), "not a text environment"),
        (("check-env", "tomato-salad", "--environment", "layout"), "no JSON"),
        (("check-env", "tomato-salad", "--environment", "[1]"), "JSON object"),
        (("check-env", "tomato-salad", "--model", "./no-such-model"), "cannot load"),
        (("bench", "nothing"), "unknown benchmark"),
        (("bench", "worlds", "--steps", "0"), "at least 1"),
        (("evaluate", "--uniform"), "uniform play of a --task"),
        (("evaluate", "--uniform", "--task", "tomato-salad", "--model", "x"), "without a run"),
        (("evaluate", "--uniform", "--exact", "--task", "tomato-salad", "--episodes", "5"), "--episodes"),
        (("evaluate", "--uniform", "--exact", "--task", "tomato-salad", "--within", "1"), "share of the episodes"),
        (("evaluate", "--uniform", "--task", "tomato-salad", "--within", "0.1"), "needs --exact"),
        (("play", "tomato-salad", "--player", "random", "--gif", "nowhere/x.gif"), "directory that exists"),
        (("play", "tomato-salad", "--player", "random", "--gif", "x.gif", "--pictures"), "not both"),
    ],
)
def test_mistakes_get_one_sentence(
    words: tuple[str, ...],
    message: str,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    status, out, err = run(capsys, *words)
    assert (status, out) == (2, "")
    assert message in err
    assert err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_a_film_has_a_frame_per_tick_and_stays_at_its_end(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = tmp_path / "film.gif"
    status, out, _ = run(capsys, "play", "tomato-salad", "--player", "best", "--gif", str(path))
    assert status == 0
    assert "success: discounted return +0.9205 after 28 steps" in out
    assert out.endswith(f"film: {path}\n")
    assert [file.name for file in tmp_path.iterdir()] == ["film.gif"]
    with Image.open(path) as film:
        assert film.n_frames == 29
        assert film.info["loop"] == 0
        film.seek(28)
        assert film.info["duration"] == LAST_MILLISECONDS
        last = np.asarray(film.convert("RGB"))
    env = OvercookedEnv("tomato-salad", render_mode="rgb_array")
    env.reset()
    for action in (0, 2, 4, 0, 1, 3):
        env.step(action)
    drawn = env.render()
    assert isinstance(drawn, np.ndarray)
    assert np.abs(last[: drawn.shape[0]].astype(int) - drawn).mean() < 2.0, "the palette keeps the colours"


def test_a_film_of_the_flat_has_a_frame_per_decision(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = tmp_path / "film.gif"
    status, _, _ = run(capsys, "play", "entertainment", "--player", "best", "--gif", str(path))
    assert status == 0
    with Image.open(path) as film:
        assert film.n_frames == 12


def test_a_person_who_leaves_takes_the_film_along(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = iter(["1", "q"])
    monkeypatch.setattr("builtins.input", lambda prompt: next(answers))
    path = tmp_path / "film.gif"
    assert run(capsys, "play", "food-preparation", "--gif", str(path))[0] == 0
    with Image.open(path) as film:
        assert film.n_frames == 2


def test_pictures_made_of_characters(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = run(capsys, "play", "tomato-salad", "--player", "best", "--pictures")
    assert status == 0
    assert out.count("| score") + out.count("|  score") == 7


def test_bench_worlds_prints_rates_and_ratios(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = run(capsys, "bench", "worlds", "--steps", "500", "--repetitions", "1", "--json")
    assert status == 0
    speeds = {speed["task"]: speed for speed in json.loads(out)["worlds"]}
    assert speeds["tomato-salad"]["published"] == 8500
    assert speeds["food-preparation"]["published"] == 165
    for speed in speeds.values():
        assert speed["ratio"] == pytest.approx(speed["steps"] / speed["published"])
        assert speed["steps"] > speed["text_steps"] > speed["frames"] > 0


def test_evaluate_exactly(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = run(capsys, "evaluate", "--uniform", "--exact", "--task", "tomato-salad")
    assert status == 0
    assert "44.1959%" in out
    assert "-0.0964 (optimum 0.9205)" in out


def test_evaluate_a_model_exactly(model_directory: str, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["evaluate", "--exact", "--task", "tomato-salad", "--model", model_directory, "--json"]
    status, out, _ = run(capsys, *words)
    assert status == 0
    result = json.loads(out)
    assert result["prompts"] == 21
    assert 0 <= result["success"] <= 1
    assert 0 <= result["accuracy"] <= 1
