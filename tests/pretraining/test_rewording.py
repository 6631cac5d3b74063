"""Other nouns and other words: everything is changed, nothing but the words is."""

from __future__ import annotations

import re

import pytest
from pretraining.nouns import ABSENT, HELD_OUT, INVENTED, KNOWN_FOODS, KNOWN_MEALS, swaps
from pretraining.rewording import REWORDINGS, Rewording, with_nouns, with_reversed_words
from pretraining.texts import count_nouns
from pretraining.words import ABSENT_PATTERN, FOODS, MEALS, OUT_OF_PROCEDURES, PROCEDURE_WORDS
from pretraining.zero_shot import situations

from twosome.decision import Decision

TASKS = ("tomato-salad", "tomato-lettuce-salad", "food-preparation", "entertainment", "laundry-placed")


def sentences(prompt: str) -> set[str]:
    return set(re.split(r"(?<=\.) ", prompt))


@pytest.mark.parametrize("wording", REWORDINGS, ids=lambda wording: wording.name)
@pytest.mark.parametrize("task", TASKS)
def test_every_sentence_of_every_prompt_is_reworded(task: str, wording: Rewording) -> None:
    decisions = situations(task).distinct
    found = [wording(decision) for decision in decisions]
    for old, new in zip(decisions, found, strict=True):
        assert not sentences(old.prompt) & sentences(new.prompt)
        assert "you should now" not in new.prompt
        assert not re.search(r"\.\.|[a-z] The |\\|\|", new.prompt), new.prompt
        assert len(new.actions) == len(old.actions)
    assert len(set(found)) == len(decisions)  # what was told apart still is


@pytest.mark.parametrize("task", TASKS)
def test_parts_of_a_rewording_change_one_part_each(task: str) -> None:
    decision = situations(task).distinct[0]
    *facts, cue = re.split(r"(?<=\.) ", decision.prompt)
    for wording in REWORDINGS:
        cue_alone, facts_alone, *verbs_alone = (part(decision) for part in wording.parts())
        assert all(fact in cue_alone.prompt for fact in facts)
        assert cue not in cue_alone.prompt
        assert facts_alone.prompt.endswith(cue)
        assert not any(fact in facts_alone.prompt for fact in facts)
        assert cue_alone.actions == facts_alone.actions == decision.actions
        assert all(changed.actions != decision.actions for changed in verbs_alone)


def test_a_new_sentence_of_a_narrator_is_noticed() -> None:
    with pytest.raises(ValueError, match=r"no rule for 'It rains\.'"):
        REWORDINGS[0](Decision("It rains. To cook, you should now", ("go",)))


def test_nouns_change_places_all_at_once_with_their_articles() -> None:
    decision = Decision("A bowl, a tomato and an onion. The tomatoes", ("chop the tomato", "chop the onion"))
    changed = with_nouns(decision, {"tomato": "onion", "onion": "tomato"})
    assert changed.prompt == "A bowl, an onion and a tomato. The tomatoes"
    assert changed.actions == ("chop the onion", "chop the tomato")
    assert with_nouns(decision, {}) == decision


def test_reversed_words_call_cutting_serving_and_serving_cutting() -> None:
    prompt = "To serve the dish, a bowl with only chopped tomato and onion, you should now"
    cutting = Decision(prompt, ("chop the onion", "serve nothing", "take the bowl"))
    serving = Decision(prompt, ("chop nothing", "serve the dish", "take the bowl"))
    assert with_reversed_words(cutting).actions == ("serve the dish", "chop nothing", "take the bowl")
    assert with_reversed_words(serving).actions == ("serve nothing", "chop the tomato", "take the bowl")


@pytest.mark.parametrize("task", ["tomato-salad", "tomato-lettuce-salad"])
def test_reversed_words_leave_phrases_that_can_be_told_apart(task: str) -> None:
    for decision in situations(task).distinct:
        assert with_reversed_words(decision).prompt == decision.prompt


def test_nouns_are_in_the_groups_they_are_said_to_be_in() -> None:
    assert set(KNOWN_FOODS) <= set(FOODS)
    assert set(KNOWN_MEALS) <= set(MEALS)
    assert HELD_OUT == OUT_OF_PROCEDURES
    assert all(ABSENT_PATTERN.fullmatch(noun) for noun in ABSENT)
    assert not set(INVENTED) & {*FOODS, *MEALS, *HELD_OUT, *ABSENT}
    assert not any(PROCEDURE_WORDS.search(noun) for noun in INVENTED)


@pytest.mark.parametrize("task", ["tomato-salad", "tomato-lettuce-salad", "food-preparation", "entertainment"])
def test_swaps_put_new_nouns_for_nouns_of_the_task(task: str) -> None:
    text = " ".join(decision.prompt for decision in situations(task).distinct)
    for swap in swaps(task):
        assert all(re.search(rf"\b{noun}\b", text) for noun in swap.nouns)
        assert len(set(swap.nouns.values())) == len(swap.nouns)


def test_nouns_are_counted_by_documents_as_whole_words() -> None:
    counts, total = count_nouns(["A tomato, the Tomato.", "tomatoes and pears", "a pear"])
    assert total == 3
    assert (counts["tomato"], counts["pear"], counts["pancake"]) == (1, 1, 0)
