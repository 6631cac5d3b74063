"""A phrase that a model would hardly ever say where it is best is named, with figures; others are not."""

from __future__ import annotations

from typing import Any

from tests.evaluation.test_phrases import Reader
from twosome.evaluation.phrases import PhraseScores
from twosome.evaluation.unlikely import unlikely_phrases
from twosome.principles.walking import Seen

LONG = "wait here patiently"
"""exp(-8.5) beside exp(-1) of "go": the reader takes half a nat for each letter."""


def found(seen: list[Seen]) -> list[tuple[str, str, str]]:
    reader: Any = Reader()
    return [
        (fault.severity, fault.message, fault.example) for fault in unlikely_phrases(PhraseScores(reader), seen, seed=0)
    ]


def test_it_is_named_where_it_is_best() -> None:
    (fault,) = found(
        [
            Seen("You may", ("go", LONG), best=frozenset([LONG])),
            Seen("So", ("go", "sit"), best=frozenset(["sit"])),
        ]
    )
    assert fault[0] == "warning"
    assert fault[1] == (
        "the model would hardly ever say 'wait here patiently': at most 5.5e-04 in 1 decision where it is best; "
        "reword it"
    )
    assert fault[2] == "'go' is likelier after 'You may'"


def test_one_decision_in_which_it_is_likely_lets_it_go() -> None:
    alone = Seen("Then", (LONG,), best=frozenset([LONG]))
    assert not found([Seen("You may", ("go", LONG), best=frozenset([LONG])), alone])


def test_that_it_is_unlikely_where_something_else_is_best_is_no_fault() -> None:
    assert not found([Seen("You may", ("go", LONG), best=frozenset(["go"]))])


def test_where_nobody_knows_what_is_best_all_that_is_offered_counts_and_is_a_note() -> None:
    (fault,) = found([Seen("You may", ("go", LONG)), Seen("Now", ("go", LONG))])
    assert fault[0] == "note"
    assert "at most 5.5e-04 in 2 decisions that offer it" in fault[1]


def test_where_it_is_one_of_several_best_they_count_together() -> None:
    """Nobody need say it where another way is as good and likely."""
    either = Seen("You may", ("go", "sit down there now", LONG), best=frozenset([LONG, "go"]))
    assert not found([either])
    alone = Seen("So", ("go", LONG), best=frozenset([LONG]))
    assert len(found([either, alone])) == 1
