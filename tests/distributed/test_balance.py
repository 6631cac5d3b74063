"""Who reads what: about equal numbers of tokens, beginnings together."""

from __future__ import annotations

import random

import pytest

from twosome.distributed.balance import balanced
from twosome.distributed.ranks import shares_of


def test_parts_take_about_as_many_tokens() -> None:
    prompts = [(number,) for number in range(6)]
    assert balanced(prompts, [5, 1, 1, 1, 1, 1], 2) == [[0], [1, 2, 3, 4, 5]]


def test_a_beginning_that_is_read_once_counts_once() -> None:
    """Four prompts share 20 tokens: together they take 24, and the other two as much as these."""
    prompts = [(*range(20), number) for number in (30, 31, 32, 33)] + [(50, *range(11)), (60, *range(11))]
    sizes = [21] * 4 + [12] * 2
    assert balanced(prompts, sizes, 2) == [[0, 1, 2, 3], [4, 5]]
    by_size_alone = [tuple(reversed(prompt)) for prompt in prompts]
    assert balanced(by_size_alone, sizes, 2) != [[0, 1, 2, 3], [4, 5]]


def test_fewer_items_than_parts_leave_parts_empty() -> None:
    assert balanced([(1,), (2,)], [3, 3], 4) == [[0], [1], [], []]
    assert balanced([], [], 2) == [[], []]


@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_each_item_is_in_one_part_and_the_largest_part_is_nearly_fair(count: int) -> None:
    chance = random.Random(count)
    sizes = [chance.randrange(20, 60) for _ in range(40)]
    parts = balanced([(number,) for number in range(40)], sizes, count)
    assert len(parts) == count
    assert sorted(number for part in parts for number in part) == list(range(40))
    assert max(sum(sizes[number] for number in part) for part in parts) < sum(sizes) / count + 60


def test_every_share_has_one_owner_and_owners_are_in_order() -> None:
    for count, shares in ((1, 4), (2, 4), (4, 4), (4, 2), (3, 8), (2, 1)):
        dealt = [share for rank in range(count) for share in shares_of(rank, count, shares)]
        assert dealt == list(range(shares))
