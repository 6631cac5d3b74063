"""What a check reads of worlds with very many phrases."""

from __future__ import annotations

from typing import Any

import pytest

from twosome.decision import Decision
from twosome.evaluation import checking
from twosome.evaluation.checking import check_environment


def test_of_too_many_phrases_some_are_read_and_the_report_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def read(most: int) -> list[int]:
        drawn: list[Decision] = []

        def note(tokenizer: Any, decisions: list[Decision], *others: Any) -> list[Any]:
            drawn.extend(decisions)
            return []

        monkeypatch.setattr(checking, "MOST_READ", most)
        monkeypatch.setattr(checking, "check_tokens", note)
        world = {"cells": 12, "limit": 60}
        report = check_environment("tests.small_worlds:Line-v0", environment=world, decisions=300, elsewhere=False)
        assert ("the tokens of all decisions" in report.skipped) == (len(drawn) < report.measures["decisions"])
        return [len(each.prompt) for each in drawn]

    everything, some = read(1000), read(10)
    assert 0 < len(some) < len(everything)
    assert max(some) == max(everything)
    assert some == read(10)
