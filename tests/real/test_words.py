"""The everyday words on a pretrained model: what no small model made here can show."""

from __future__ import annotations

import pytest

from twosome.evaluation.phrases import PhraseScores
from twosome.evaluation.unlikely import unlikely_phrases
from twosome.evaluation.wordings import seen_of, try_wording
from twosome.scorer import Scorer

pytestmark = pytest.mark.real


@pytest.fixture(scope="module")
def phrases(scorer: Scorer) -> PhraseScores:
    return PhraseScores(scorer)


def test_untrained_it_heats_a_pancake_in_everyday_words_and_hardly_ever_in_the_first(phrases: PhraseScores) -> None:
    first, everyday = (
        try_wording(phrases, "food-preparation", wording, {"wording": wording}).worths["sum"]
        for wording in ("first", "everyday")
    )
    assert first.mean_return < 0.004  # what uniform play gets
    assert everyday.mean_return > 0.7  # of 0.774


def test_it_would_hardly_ever_walk_to_a_pancake(phrases: PhraseScores) -> None:
    first, everyday = (
        [fault.message for fault in unlikely_phrases(phrases, seen_of("food-preparation", {"wording": wording}), 0)]
        for wording in ("first", "everyday")
    )
    assert [message for message in first if "hardly ever say 'walk to the pancake'" in message]
    assert not everyday


def test_permuted_phrases_leave_nothing(phrases: PhraseScores) -> None:
    arguments = {"wording": "everyday", "permute_phrases": 0}
    assert try_wording(phrases, "food-preparation", "permuted", arguments).worths["sum"].mean_return < 0.05
