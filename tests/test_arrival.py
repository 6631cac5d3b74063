"""Weights that were read are compared by name and shape with what they are for."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch

from twosome.arrival import check_moments, check_state, differences
from twosome.errors import RunError

EXPECTED = {"a": torch.zeros(2, 3), "b": torch.zeros(4), "c": torch.zeros(1)}


def test_the_same_names_and_shapes_are_no_difference() -> None:
    assert not differences({name: tensor + 1 for name, tensor in EXPECTED.items()}, EXPECTED)


def test_what_is_missing_misshapen_or_too_much_is_counted_and_named() -> None:
    told = differences({"a": torch.zeros(3, 2), "c": torch.zeros(1), "d": torch.zeros(1)}, EXPECTED)
    assert told == (
        "1 of 3 weights are missing (b), 1 of 3 have another shape (a of [3, 2] for [2, 3]), "
        "1 that were found have no place in it (d)"
    )


def test_of_many_the_first_are_named() -> None:
    told = differences({}, {f"w{number}": torch.zeros(1) for number in range(9)})
    assert told == "9 of 9 weights are missing (w0, w1, w2, ...)"


def test_a_state_of_something_else_is_refused() -> None:
    with pytest.raises(RunError, match=r"the weights of the actor are not those of this run: 1 of 3 weights are miss"):
        check_state({"a": EXPECTED["a"], "b": EXPECTED["b"]}, EXPECTED, "the actor")


def stepped() -> tuple[list[torch.nn.Parameter], dict[str, Any]]:
    """Three weights, the last of which is never asked for a gradient, and an optimizer's state after a step."""
    weights = [torch.nn.Parameter(torch.ones(size)) for size in ((2, 3), (4,), (5,))]
    optimizer = torch.optim.AdamW(weights)
    sum((weight**2).sum() for weight in weights[:2]).backward()  # type: ignore[union-attr]
    optimizer.step()
    return weights, copy.deepcopy(optimizer.state_dict())


def test_moments_that_belong_to_the_weights_are_taken() -> None:
    weights, state = stepped()
    check_moments(state, weights, "the optimizer")
    check_moments(torch.optim.AdamW(weights).state_dict(), weights, "the optimizer")


@pytest.mark.parametrize("damage", ["shape", "name", "number"])
def test_moments_of_other_weights_are_refused(damage: str) -> None:
    weights, state = stepped()
    if damage == "shape":
        state["state"][0]["exp_avg"] = torch.zeros(3, 2)
    elif damage == "name":
        del state["state"][1]["exp_avg_sq"]
    else:
        state["state"][3] = state["state"][0]
    with pytest.raises(RunError, match="the optimizer"):
        check_moments(state, weights, "the optimizer")
