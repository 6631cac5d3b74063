"""The card says what was measured, no more and no less."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from pretraining.__main__ import EMBEDDED
from pretraining.card import NOT_MEASURED, card, curves
from pretraining.controls import PAPER_TASKS, PHRASES, PROMPTS, RANDOM
from pretraining.results import DIRECTORY, Sample
from pretraining.tables import NEW_NOUNS, is_apart
from pretraining.zero_shot import NORMALIZATIONS

from pretraining import results


def test_the_shipped_card_is_what_the_results_give() -> None:
    shipped = (EMBEDDED / "README.md").read_text(encoding="utf-8")
    assert shipped == card(EMBEDDED), "the card is older than the results: python -m pretraining card"
    assert NOT_MEASURED not in shipped


def test_what_was_measured_of_other_weights_is_not_said_of_these(tmp_path: Path) -> None:
    found = Path(shutil.copytree(DIRECTORY, tmp_path / "results"))
    results.store("zero-shot", {**results.load("zero-shot", found), "weights": "others"}, found)
    text = card(EMBEDDED, found)
    assert NOT_MEASURED in text
    assert "| tomato-salad | sum | -0.096 |" not in text
    results.store("training", {**results.load("training", found), "weights": "others"}, found)
    with pytest.raises(ValueError, match="not about the weights"):
        card(EMBEDDED, found)


def test_the_record_names_the_weights_it_is_about() -> None:
    """So it stays true when others are shipped."""
    record = (DIRECTORY / "record.md").read_text(encoding="utf-8")
    for name in ("practice", "reworded"):
        assert results.load(name, DIRECTORY / "record")["weights"] in record


@pytest.mark.parametrize("task", PAPER_TASKS)
@pytest.mark.parametrize("normalization", NORMALIZATIONS)
def test_new_nouns_are_worth_more_than_every_control(task: str, normalization: str) -> None:
    rows = results.to_rows(results.load("zero-shot")["rows"])
    new = results.find(rows, task, NEW_NOUNS[task], normalization)
    assert new is not None
    for condition in (RANDOM, PHRASES, PROMPTS):
        control = results.find(rows, task, condition, normalization)
        assert control is not None
        assert new.spread("mean_return").above(control.spread("mean_return")), condition


def test_new_nouns_must_be_above_both_uniform_play_and_random_weights() -> None:
    def sample(*values: float) -> Sample:
        return Sample("task", "condition", "sum", tuple(map(str, values)), values, values, values)

    new = sample(0.5, 0.51, 0.52)
    assert is_apart(new, sample(0.1, 0.11), sample(0.2), "mean_return")
    assert not is_apart(new, sample(0.1, 0.6), sample(0.2), "mean_return")
    assert not is_apart(new, sample(0.1, 0.11), sample(0.515), "mean_return")


def test_of_losses_logged_twice_the_later_are_published(tmp_path: Path) -> None:
    lines = [{"step": 50, "tokens": 10, "loss": 9.0}, {"step": 50, "tokens": 10, "loss": 6.0}]
    lines += [{"step": 50, "tokens": 10, "validation_loss": 5.0}]
    (tmp_path / "metrics.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    assert curves(tmp_path / "metrics.jsonl") == {
        "loss": [{"step": 50, "tokens": 10, "loss": 6.0}],
        "validation_loss": [{"step": 50, "tokens": 10, "validation_loss": 5.0}],
    }
