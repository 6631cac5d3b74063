"""Other nouns: they stand where the task's own stood, and are what their group says."""

from __future__ import annotations

import re

import pytest
from pretraining.controls import PAPER_TASKS
from pretraining.nouns import ABSENT, HELD_OUT, INVENTED, KNOWN_FOODS, KNOWN_MEALS, Swap, swaps
from pretraining.words import ABSENT_PATTERN, NOUNS, OUT_OF_PROCEDURES, PROCEDURE_WORDS
from pretraining.zero_shot import decisions

from twosome.decision import Decision


def test_nouns_change_places_all_at_once_with_their_articles() -> None:
    decision = Decision("A bowl, a tomato and an onion. The tomatoes", ("chop the tomato", "chop the onion"))
    changed = Swap("held out", {"tomato": "onion", "onion": "tomato"})(decision)
    assert changed.prompt == "A bowl, an onion and a tomato. The tomatoes"
    assert changed.actions == ("chop the onion", "chop the tomato")


def test_nouns_are_in_the_groups_they_are_said_to_be_in() -> None:
    assert set(KNOWN_FOODS) <= set(NOUNS.foods)
    assert set(KNOWN_MEALS) <= set(NOUNS.meals)
    assert HELD_OUT == OUT_OF_PROCEDURES
    assert all(ABSENT_PATTERN.fullmatch(noun) for noun in ABSENT)
    assert not set(INVENTED) & {*NOUNS.foods, *NOUNS.meals, *HELD_OUT, *ABSENT}
    assert not any(PROCEDURE_WORDS.search(noun) for noun in INVENTED)


@pytest.mark.parametrize("task", PAPER_TASKS)
def test_swaps_put_new_nouns_for_nouns_of_the_task(task: str) -> None:
    text = " ".join(decision.prompt for decision in decisions(task))
    for swap in swaps(task):
        assert all(re.search(rf"\b{noun}\b", text) for noun in swap.nouns)
        assert len(set(swap.nouns.values())) == len(swap.nouns)
