"""The passes over an update's samples, which all algorithms that step on them share."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from tests.algorithms.test_ppo import A, B
from tests.table_policy import TablePolicy
from twosome.algorithms.actor import Actor, Samples, equal_parts
from twosome.algorithms.config import PPOConfig
from twosome.functional.averages import Averages

SAMPLES = Samples([A, B] * 6, torch.zeros(12, dtype=torch.int64), torch.zeros(12, 3), torch.zeros(12), rounding=0.0)


class Passes:
    """Practises on ``SAMPLES`` and keeps what came: the steps of every pass, what was told, and the order beside."""

    def __init__(self, config: PPOConfig, monkeypatch: pytest.MonkeyPatch, stop_in: int | None = None) -> None:
        self.steps: list[list[list[int]]] = []
        self.stages: list[str] = []
        self.beside: list[tuple[int, list[int]]] = []
        self.actor = Actor(TablePolicy(), config)
        self.generator = torch.Generator().manual_seed(3)

        def train(policy: Any, samples: Any, steps: list[list[int]], metrics: Any, stage: Any) -> tuple[int, bool]:
            self.steps.append(steps)
            for _ in steps:
                stage.next()
            return len(steps), len(self.steps) == stop_in

        monkeypatch.setattr(self.actor, "train", train)

    def practise(self, **more: Any) -> tuple[int, bool]:
        return self.actor.practise(TablePolicy(), SAMPLES, self.generator, Averages(), self.stages.append, **more)

    def note(self, number: int, order: list[int]) -> None:
        self.beside.append((number, order))


def whole(steps: list[list[int]]) -> list[int]:
    return [sample for step in steps for sample in step]


def config(**settings: Any) -> PPOConfig:
    return PPOConfig(epochs=3, policy_minibatch=4, accumulation_steps=1, normalize_advantages="rollout", **settings)


def test_every_pass_has_every_sample_once_in_an_order_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    passes = Passes(config(), monkeypatch)
    assert passes.practise() == (9, False)
    orders = [whole(steps) for steps in passes.steps]
    assert [sorted(order) for order in orders] == [list(range(12))] * 3
    assert len({tuple(order) for order in orders}) == 3
    assert [[len(step) for step in steps] for steps in passes.steps] == [[4, 4, 4]] * 3
    assert passes.stages == [f"improving the actor, step {number} of 9" for number in range(1, 10)]


def test_copies_stand_together_however_a_pass_is_split(monkeypatch: pytest.MonkeyPatch) -> None:
    """An algorithm that wrote the loop for itself took ppo.together without a word, and did without it."""
    passes = Passes(config(together=True), monkeypatch)
    passes.practise(split=lambda order: equal_parts(order, 2))
    for first, second in passes.steps:
        assert {sample % 2 for sample in first} != {sample % 2 for sample in second}
        assert len({sample % 2 for sample in first}) == len({sample % 2 for sample in second}) == 1


def test_the_limit_ends_the_actor_and_not_what_is_trained_beside_it(monkeypatch: pytest.MonkeyPatch) -> None:
    alone = Passes(config(), monkeypatch, stop_in=2)
    assert alone.practise() == (6, True)
    both = Passes(config(), monkeypatch, stop_in=2)
    assert both.practise(beside=both.note) == (6, True)
    assert len(alone.steps) == len(both.steps) == 2
    assert [number for number, _ in both.beside] == [0, 1, 2]
    assert [whole(steps) for steps in both.steps] == [order for _, order in both.beside[:2]]


def test_an_actor_that_rests_takes_no_step_and_was_not_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    resting = Passes(config(), monkeypatch)
    assert resting.practise(rest=True, beside=resting.note) == (0, False)
    assert resting.steps == []
    assert len(resting.beside) == 3


def test_equal_parts_are_never_none() -> None:
    assert equal_parts(list(range(7)), 3) == [[0, 1, 2], [3, 4], [5, 6]]
    assert equal_parts([4, 2], 0) == [[4, 2]]
