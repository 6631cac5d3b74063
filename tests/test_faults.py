"""The fault campaign (``python -m tests.faults``) does what it says: a trial that never happened is no success."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.faults.campaign import Arena, Outcome
from tests.faults.faults import WRITES, killed_while_writing
from tests.faults.machine import losses
from twosome.algorithms import ALGORITHMS


def test_every_call_that_writes_is_there() -> None:
    missing = [f"{owner.__name__}.{name}" for owner, name in WRITES if not callable(getattr(owner, name, None))]
    assert missing == []


@pytest.mark.parametrize("algorithm", [name for name in ALGORITHMS if name != "ppo"])
def test_a_loss_that_is_no_number_is_found_with_every_algorithm(algorithm: str, tmp_path: Path) -> None:
    arena = Arena(tmp_path, algorithm)  # with this chance it is the second of the actor
    assert losses(arena, random.Random(36)) == (Outcome.IDENTICAL, "")


def test_a_kill_while_writing_ends_with_the_same_bytes_and_a_fault_of_the_campaign_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arena = Arena(tmp_path)
    assert killed_while_writing(arena, random.Random(0)) == (Outcome.IDENTICAL, "")
    monkeypatch.setattr("tests.faults.faults.WRITES", ((Arena, "no_such_call"),))
    assert killed_while_writing(arena, random.Random(0))[0] is Outcome.WRONG
