"""Phrases are read once, and their scores are those of the decisions they came in."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from twosome.decision import Decision
from twosome.errors import ConfigError
from twosome.evaluation.phrases import PhraseScores, ScoredPolicy
from twosome.types import ActionScores


class Reader:
    """Scores a phrase by its letters, a token for each word; remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[Decision] = []

    def scores(self, decisions: Sequence[Decision]) -> ActionScores:
        self.asked += decisions
        rows = [[[-0.5 * len(word) for word in action.split()] for action in one.actions] for one in decisions]
        shape = len(rows), max(map(len, rows)), max(len(words) for row in rows for words in row)
        log_probs, mask = torch.zeros(shape), torch.zeros(shape, dtype=torch.bool)
        for place, row in enumerate(rows):
            for action, words in enumerate(row):
                log_probs[place, action, : len(words)] = torch.tensor(words)
                mask[place, action, : len(words)] = True
        return ActionScores(tuple(decisions), log_probs, mask)


DECISIONS = [
    Decision("You may", ("go", "wait here")),
    Decision("You may", ("wait here", "sit")),
    Decision("Now", ("go",)),
]


def test_a_phrase_is_read_once_whatever_it_is_offered_with() -> None:
    reader: Any = Reader()
    phrases = PhraseScores(reader)
    phrases.read(DECISIONS)
    phrases.read(DECISIONS)
    assert sorted(reader.asked, key=str) == sorted(
        [Decision("You may", ("go", "wait here", "sit")), Decision("Now", ("go",))], key=str
    )


@pytest.mark.parametrize("normalization", ["sum", "token", "word"])
def test_probabilities_are_those_of_the_decision_itself(normalization: str) -> None:
    reader: Any = Reader()
    found = ScoredPolicy(PhraseScores(reader), normalization).action_log_probs(DECISIONS)
    parts = 1 if normalization == "sum" else 2
    expected = torch.log_softmax(torch.tensor([[-1.0, -4.0 / parts], [-4.0 / parts, -1.5]]), -1)
    torch.testing.assert_close(found[:2, :2], expected)
    assert found[2].tolist() == [0.0, -torch.inf]


def test_what_was_read_is_kept_for_the_next_process(tmp_path: Path) -> None:
    file, reader, later = tmp_path / "phrases.jsonl", Reader(), Reader()
    before = PhraseScores(reader, file, "a model").scores(DECISIONS)  # type: ignore[arg-type]
    with file.open("a", encoding="utf-8") as opened:
        opened.write('["cut sho')
    after = PhraseScores(later, file, "a model").scores(DECISIONS)  # type: ignore[arg-type]
    assert not later.asked
    assert torch.equal(before.token_log_probs, after.token_log_probs)
    with pytest.raises(ConfigError, match="must hold what 'another' read"):
        PhraseScores(later, file, "another")  # type: ignore[arg-type]
