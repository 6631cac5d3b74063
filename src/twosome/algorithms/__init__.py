"""Algorithms that improve a policy from its rollouts, by name.

An algorithm is a class in a module of its own, listed here, with settings of the same name in
:mod:`twosome.algorithms.config` and in the run's configuration; how an actor is improved is ``ppo`` for all that have
one. It is made of a policy, its settings and a generator, and is a :class:`twosome.types.Algorithm` from then on. A
rollout gives it the whole distribution that acted at every decision, and says which decisions belong to one episode and
which episodes began from one seed.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Generator

    from twosome.types import Algorithm, Policy

ALGORITHMS = {
    "ppo": "twosome.algorithms.ppo:PPO",
    "groups": "twosome.algorithms.groups:Groups",
    "trie": "twosome.algorithms.trie:Trie",
    "full_vocabulary": "twosome.algorithms.full_vocabulary:FullVocabulary",
    "fitted": "twosome.algorithms.fitted:Fitted",
    "all_actions": "twosome.algorithms.all_actions:AllActions",
}
"""Where each algorithm is; it is imported when it is made, so that names are known without torch."""
SETTINGS = {
    "groups": ("groups", "ppo"),
    "trie": ("trie", "ppo"),
    "full_vocabulary": ("full_vocabulary", "ppo"),
    "fitted": ("fitted", "ppo"),
    "all_actions": ("all_actions", "fitted", "ppo"),
}
"""The groups of settings that an algorithm is made from, in order, where they are not only the one of its name."""
WITHOUT_CRITIC = ("groups", "fitted", "all_actions")
"""Algorithms that ask for no values: no critic is made, trained or saved."""


def make_algorithm(name: str, policy: Policy, settings: Sequence[Any], generator: Generator) -> Algorithm:
    """The algorithm of that name, ready to improve ``policy``.

    Args:
        name: A key of :data:`ALGORITHMS`.
        policy: What it improves.
        settings: Its groups of settings, in the order of :data:`SETTINGS`.
        generator: What it draws from.
    """
    module, _, member = ALGORITHMS[name].partition(":")
    algorithm: Algorithm = getattr(import_module(module), member)(policy, *settings, generator)
    return algorithm
