"""The decisions that practice changed most, as plain text."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from twosome.errors import ConfigError

if TYPE_CHECKING:
    from twosome.models.policy import LanguageModelPolicy
    from twosome.types import Policy

SHOWN = 4
"""Phrases of a decision that are shown: those most probable before or after."""


def with_base(policy: Policy) -> LanguageModelPolicy:
    """The policy, if it is a language model with an adapter that can be switched off.

    Raises:
        ConfigError: If it is not.
    """
    from twosome.models.policy import LanguageModelPolicy
    from twosome.scoring.condition import is_adapted

    if not isinstance(policy, LanguageModelPolicy) or not is_adapted(policy.model):
        raise ConfigError("--changes compares an adapter with its base; name a run of a language model, or an adapter")
    return policy


def print_changes(policy: LanguageModelPolicy, most: int, setting: Mapping[str, Any]) -> None:
    """Print what practice changed most.

    Args:
        policy: A trained agent.
        most: How many decisions.
        setting: Task, gamma and environment.
    """
    from twosome.evaluation.changes import changes

    for change in changes(policy, **setting)[:most]:
        print(f"\n{textwrap.fill(change.decision.prompt, 118)}")
        print(f"  {change.visits_before:.2f} -> {change.visits_after:.2f} visits an episode, before and after")
        places = sorted(range(len(change.before)), key=lambda place: -max(change.before[place], change.after[place]))
        for place in places[:SHOWN]:
            mark = "*" if place in change.optimal else " "
            phrase = change.decision.actions[place]
            print(f"  {change.before[place]:7.2%} -> {change.after[place]:7.2%} {mark} {phrase}")
    print("\n* optimal there")
