"""The card says what was measured, no more and no less, and the picture can be drawn from it."""

from __future__ import annotations

import pytest
from pretraining.__main__ import EMBEDDED
from pretraining.audit import LIMIT
from pretraining.controls import PAPER_TASKS, PHRASES, PROMPTS, RANDOM
from pretraining.evidence import NEW_NOUNS, evidence
from pretraining.figure import draw
from pretraining.rewording import REWORDINGS
from pretraining.zero_shot import NORMALIZATIONS

from pretraining import results


@pytest.fixture(scope="module")
def rows() -> list[results.Sample]:
    return results.to_rows(results.load("zero-shot")["rows"])


def test_results_are_those_of_the_shipped_weights_and_stand_in_their_card() -> None:
    weights = results.weights_hash(EMBEDDED)
    assert results.load("zero-shot")["weights"] == weights
    assert results.load("practice").get("weights", weights) == weights
    card = (EMBEDDED / "README.md").read_text(encoding="utf-8")
    assert evidence(weights) in card, "the card is older than the results: python -m pretraining card RUN"


@pytest.mark.parametrize("task", PAPER_TASKS)
@pytest.mark.parametrize("normalization", NORMALIZATIONS)
def test_new_nouns_are_worth_more_than_every_control(rows, task: str, normalization: str) -> None:
    new = results.find(rows, task, NEW_NOUNS[task], normalization)
    assert new is not None
    for condition in (RANDOM, PHRASES, PROMPTS):
        control = results.find(rows, task, condition, normalization)
        assert control is not None
        assert new.spread("mean_return").above(control.spread("mean_return")), condition


def test_no_document_shares_eight_words_with_a_rewording() -> None:
    rows = results.load("texts")["overlap"]
    assert {row["rewording"] for row in rows} == {wording.name for wording in REWORDINGS}
    assert not [row for row in rows if row["length"] >= LIMIT and row["documents"]]


def test_the_picture_is_drawn(tmp_path) -> None:
    draw(tmp_path / "picture.png")
    assert (tmp_path / "picture.png").read_bytes().startswith(b"\x89PNG")
