"""Whether what was read is what it was read for, weight by weight: a name too few, too many or misshapen is told."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from twosome.errors import RunError

_NAMED = 3
"""Weights that a message names; the rest it counts."""


def differences(found: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> str:
    """What is wrong with weights that were read, in words; empty if names and shapes are those expected."""
    shared = [name for name in expected if name in found]
    misshapen = [
        f"{name} of {list(found[name].shape)} for {list(expected[name].shape)}"
        for name in shared
        if found[name].shape != expected[name].shape
    ]
    return in_words(
        len(expected),
        missing=expected.keys() - found.keys(),
        unexpected=found.keys() - expected.keys(),
        misshapen=misshapen,
    )


def in_words(
    total: int, *, missing: Collection[str] = (), unexpected: Collection[str] = (), misshapen: Collection[str] = ()
) -> str:
    """How many of ``total`` weights did not arrive, or have no place, and the first of them; empty if none."""
    parts = []
    if missing:
        parts.append(f"{len(missing)} of {total} weights are missing ({some(missing)})")
    if misshapen:
        parts.append(f"{len(misshapen)} of {total} have another shape ({some(misshapen)})")
    if unexpected:
        parts.append(f"{len(unexpected)} that were found have no place in it ({some(unexpected)})")
    return ", ".join(parts)


def some(names: Collection[str]) -> str:
    """The first few of ``names``."""
    ordered = sorted(names)
    return ", ".join(ordered[:_NAMED]) + (", ..." if len(ordered) > _NAMED else "")


def check_state(found: Mapping[str, Tensor], expected: Mapping[str, Tensor], what: str) -> None:
    """Refuse weights that would not all be put where they belong; torch and PEFT drop some of them without a word.

    Raises:
        RunError: If names or shapes differ.
    """
    told = differences(found, expected)
    if told:
        raise RunError(f"the weights of {what} are not those of this run: {told}; resume it with what wrote it")


def check_moments(state: Mapping[str, Any], weights: Sequence[Tensor], what: str) -> None:
    """Refuse an optimizer's state whose moments are not those of ``weights``; torch takes any, and fails at a step.

    A weight that was never asked for a gradient has none.

    Raises:
        RunError: If names or shapes differ.
    """
    kept = state["state"]
    found = {f"{number}.{name}": tensor for number, moments in kept.items() for name, tensor in moments.items()}
    step = torch.zeros(())
    expected = {
        f"{number}.{name}": step if name == "step" else weight
        for number, weight in enumerate(weights)
        for name in ("step", "exp_avg", "exp_avg_sq")
        if number in kept
    }
    check_state(found, expected, what)
