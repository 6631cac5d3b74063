"""When practice reaches a share of the optimum."""

from __future__ import annotations

from pathlib import Path

import pytest
from pretraining.practice import PRETRAINED, WINDOW, decisions_until, practise

from pretraining import practice, results


def test_it_is_the_update_after_which_the_last_episodes_are_good_enough_on_average():
    episodes = [{"discounted_return": value} for value in [0.0] * 10 + [0.92] * 40]
    metrics = [{"decisions": 100 * (update + 1), "episodes": 10} for update in range(5)]
    # After 200 decisions the last 20 are half good, after 300 all are.
    assert decisions_until(metrics, episodes, 1.0) == [300, None]
    assert decisions_until(metrics, episodes, 0.95) == [300, 300]


def test_too_few_episodes_never_count():
    episodes = [{"discounted_return": 1.0}] * (WINDOW - 1)
    assert decisions_until([{"decisions": 100, "episodes": WINDOW - 1}], episodes, 1.0) == [None, None]


def test_what_is_there_is_not_done_again_and_other_settings_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def again(decisions: int) -> list[dict[str, object]]:
        practise("food-preparation", [0], tmp_path / "runs", decisions, out=tmp_path)
        return results.load("practice", tmp_path)["rows"]

    first = again(128)
    assert {row["model"] for row in first} == {PRETRAINED, "random weights"}
    (tmp_path / "practice.json").unlink()
    trained: list[int] = []
    monkeypatch.setattr(practice, "train", lambda *_: trained.append(1))
    assert again(128) == first  # from the runs themselves
    assert again(128) == first
    assert not trained
    with pytest.raises(AttributeError):
        again(256)
    assert trained
