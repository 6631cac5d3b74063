"""What is remembered stays within its bytes, and the least recently used goes first."""

from __future__ import annotations

import torch

from twosome.scoring.memory import Memory, recall


def test_the_least_recently_used_goes_first() -> None:
    memory: Memory[str, int] = Memory(1000)
    for number, key in enumerate("abc"):
        memory.put(key, number, 100)  # and 200 of its own
    assert memory.get("a") == 0
    memory.put("d", 3, 100)
    assert memory.get("b") is None
    assert [memory.get(key) for key in "acd"] == [0, 2, 3]
    assert memory.nbytes <= 1000


def test_what_is_larger_than_the_bound_is_not_kept() -> None:
    memory: Memory[str, int] = Memory(1000)
    memory.put("a", 0, 100)
    memory.put("huge", 1, 5000)
    assert memory.get("huge") is None
    assert memory.nbytes == 0


def test_replacing_counts_once() -> None:
    memory: Memory[str, int] = Memory(1000)
    for _ in range(10):
        memory.put("a", 0, 100)
    assert memory.nbytes == 300
    memory.clear()
    assert memory.nbytes == len(memory) == 0


def test_recall_computes_what_is_missing_once_even_if_nothing_can_be_kept() -> None:
    asked: list[list[str]] = []

    def compute(keys: list[str]) -> list[torch.Tensor]:
        asked.append(keys)
        return [torch.tensor([float(ord(key))]) for key in keys]

    for limit, expected in ((0, [["a", "b"], ["b", "c"]]), (10_000, [["a", "b"], ["c"]])):
        memory: Memory[str, torch.Tensor] = Memory(limit)
        asked.clear()
        assert [x.item() for x in recall(memory, "aba", compute)] == [97, 98, 97]
        assert [x.item() for x in recall(memory, "bc", compute)] == [98, 99]
        assert asked == expected
