"""Which decisions of a journal are learned from, which are not, and what is said about them."""

from __future__ import annotations

import math

import pytest
import torch

from twosome import Decision
from twosome.errors import RunError
from twosome.hindsight.selecting import FORCED, GREEDY, OTHER, OWN, WAITING, Source, select
from twosome.journal.reading import Contents
from twosome.journal.records import Chosen, Identity, Outcome, Recorded

SOURCE = Source("abc", "word")


def contents(*lines: tuple[Identity, tuple[str, ...], Chosen | None]) -> Contents:
    """A journal; of each decision the agent, the options, and who chose what was done, if anything came of it."""
    found = Contents()
    for number, (identity, actions, chosen) in enumerate(lines):
        name, even = f"r{number}:0", math.log(1 / len(actions))
        decision = Decision(f"prompt {number}", actions)
        found.decisions[name] = Recorded(name, 1.0, "a", identity, decision, (even,) * len(actions), 0, 0)
        if chosen is not None:
            found.outcomes[name] = Outcome(name, 2.0, len(actions) - 1, chosen, float(number))
    return found


OURS, OTHERS = Identity("m", "abc", "word", 1.0), Identity("m", "abd", "word", 1.0)
TWO, ONE, THREE = ("x", "y"), ("x",), ("x", "y", "z")


def test_what_can_be_learned_from_and_why_the_rest_cannot() -> None:
    selection = select(
        contents(
            (OURS, TWO, "sampled"),
            (OURS, THREE, "drawn"),
            (OURS, TWO, None),
            (OURS, TWO, "best"),
            (OURS, TWO, "client"),
            (OURS, ONE, "sampled"),
            (OTHERS, TWO, "sampled"),
            (Identity("m", None, "word", 1.0), TWO, "sampled"),
            (Identity("m", "abc", "sum", 1.0), TWO, "sampled"),
        ),
        SOURCE,
    )
    assert [recorded.id for recorded, _ in selection.decided] == ["r0:0", "r1:0"]
    assert selection.left_out == {WAITING: 1, GREEDY: 1, OWN: 1, FORCED: 1, OTHER: 3}
    assert selection.option_sets == 2
    logged = selection.logged()
    assert logged.actions.tolist() == [1, 2]
    assert logged.rewards.tolist() == [0.0, 1.0]
    assert torch.allclose(logged.recorded.exp(), torch.tensor([[0.5, 0.5, 0.0], [1 / 3, 1 / 3, 1 / 3]]))


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ((OURS, TWO, "best"), "serve with --sample"),
        ((OURS, TWO, None), "have no outcome yet"),
        ((OURS, TWO, "client"), "how probable those choices were is not known"),
        ((OURS, ONE, "sampled"), "nothing to choose"),
        ((OTHERS, TWO, "sampled"), "most by the weights abd under the normalisation word, this one is the weights abc"),
    ],
)
def test_a_journal_from_which_nothing_can_be_learned_is_refused(line: object, words: str) -> None:
    with pytest.raises(RunError, match=words):
        select(contents(line, line), SOURCE)  # type: ignore[arg-type]


def test_an_empty_journal_is_refused() -> None:
    with pytest.raises(RunError, match="holds no decision"):
        select(Contents(), SOURCE)


def test_an_action_that_could_not_be_drawn_was_not() -> None:
    found = contents((OURS, TWO, "drawn"))
    name = "r0:0"
    line = found.decisions[name]
    found.decisions[name] = Recorded(name, 1.0, "a", OURS, line.decision, (0.0, -math.inf), 0)
    with pytest.raises(RunError, match="not known"):
        select(found, SOURCE)


@pytest.mark.parametrize(("own", "doubts"), [(0, 0), (1, 0), (2, 1)])
def test_clients_that_overrule_often_leave_a_selection(own: int, doubts: int) -> None:
    selection = select(contents(*[(OURS, TWO, "sampled")] * 30, *[(OURS, TWO, "client")] * own), SOURCE)
    assert len(selection.doubts) == doubts


def test_what_is_held_out_is_decided_by_names_and_seed() -> None:
    selection = select(contents(*[(OURS, TWO, "sampled")] * 400), SOURCE)
    learned, held_out = selection.split(0.25, seed=1)
    assert sorted([*learned, *held_out]) == list(range(400))
    assert 70 < len(held_out) < 130
    assert selection.split(0.25, seed=1) == (learned, held_out)
    assert selection.split(0.25, seed=2) != (learned, held_out)
    # More decisions later leave those that were held out where they were.
    longer = select(contents(*[(OURS, TWO, "sampled")] * 500), SOURCE)
    assert [number for number in longer.split(0.25, seed=1)[1] if number < 400] == held_out


def test_too_few_decisions_are_told() -> None:
    with pytest.raises(RunError, match="too few to learn from some and measure on others"):
        select(contents((OURS, TWO, "sampled")), SOURCE).split(0.25, 0)
