"""Control trainings are made once and compared; losses of a run are published."""

from __future__ import annotations

import json

import pytest
from pretraining.trainings import REVERSED, Training, compare, controls_of, publish_curve, train_all

from pretraining import results, trainings

TINY = {"hidden": 32, "layers": 1, "feed_forward": 64, "vocabulary": 400, "row_length": 128, "rows_per_step": 2}


@pytest.fixture
def directory(tmp_path, monkeypatch):
    monkeypatch.setattr(trainings, "DOCUMENTS", 300)
    monkeypatch.setattr(
        trainings, "TRAININGS", (Training("standard", changes=TINY), Training("swapped", "swapped", TINY))
    )
    train_all(tmp_path, [], 3_000, frozenset())
    return tmp_path


def test_trainings_are_made_once_from_their_own_corpus_and_compared(directory, capsys):
    found = list(controls_of(directory))
    assert [candidate.name for candidate in found] == ["standard", "swapped"]
    weights = [results.weights_hash(candidate.directory) for candidate in found]
    assert weights[0] != weights[1]
    capsys.readouterr()
    train_all(directory, [], 3_000, frozenset())  # nothing is left to do
    assert not capsys.readouterr().out

    out = directory / "results"
    compare(found, out, ["tomato-salad"])
    written = results.load("trainings", out)
    assert [(model["model"], model["corpus"], model["fallen"]) for model in written["models"]] == [
        ("standard", "standard", 1.0),
        ("swapped", "swapped", 1.0),
    ]
    rows = results.to_rows(written["rows"])
    for words in ("as it is", REVERSED):
        assert results.find(rows, "tomato-salad", f"swapped, {words}", "word") is not None
    assert {row["due"] for row in written["contrasts"]} == {"cutting", "serving"}
    capsys.readouterr()
    compare(found, out, ["tomato-salad"])  # the same weights are not measured again
    assert not capsys.readouterr().out


def test_of_losses_logged_twice_the_later_are_published(tmp_path):
    lines = [{"step": 50, "tokens": 10, "loss": 9.0}, {"step": 50, "tokens": 10, "loss": 6.0}]
    lines += [{"step": 50, "tokens": 10, "validation_loss": 5.0}]
    (tmp_path / "metrics.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    (tmp_path / "corpus.json").write_text('{"sha256": "abc"}')
    publish_curve(tmp_path, tmp_path / "results")
    found = results.load("loss", tmp_path / "results")
    assert found["corpus"] == "abc"
    assert found["loss"] == [{"step": 50, "tokens": 10, "loss": 6.0}]
    assert found["validation_loss"] == [{"step": 50, "tokens": 10, "validation_loss": 5.0}]
