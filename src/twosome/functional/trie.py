"""Choosing a phrase word by word: what the policy over phrases says of every word where phrases part.

Admissible phrases are a trie. A policy gives each of them a probability, and so every word its own, whatever the
normalisation: the mass of the phrases that go on with it, among those that began alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

_VECTOR = 16  # as in twosome.functional.categorical


@dataclass(frozen=True)
class Branch:
    """A place on a phrase's way where others go another way.

    Attributes:
        words: The words up to there.
        node: Which phrases began with them, of all admissible ones.
        child: Which of those go on as the phrase does.
    """

    words: tuple[str, ...]
    node: tuple[bool, ...]
    child: tuple[bool, ...]


@lru_cache(maxsize=100_000)
def branches(actions: tuple[str, ...], chosen: int) -> tuple[Branch, ...]:
    """The branches on the way of a phrase, in order; of a phrase without alternative its beginning, as its only one.

    White space parts words, so phrases of a script without spaces part at once. Where a phrase ends and others go on,
    its end counts as a word.
    """
    phrases = [(*action.split(), "") for action in actions]
    mine, found = phrases[chosen], list[Branch]()
    for depth in range(len(mine)):
        node = tuple(phrase[:depth] == mine[:depth] for phrase in phrases)
        child = tuple(phrase[: depth + 1] == mine[: depth + 1] for phrase in phrases)
        if node != child:
            found.append(Branch(mine[:depth], node, child))
    every = (True,) * len(actions)
    return tuple(found) or (Branch((), every, every),)


def log_conditionals(log_probs: Tensor, nodes: Tensor, children: Tensor) -> Tensor:
    r"""Log-probability of going on as a phrase does: float32 [S].

    .. math:: q(w_j \mid w_{<j}) = \frac{\sum_{a \succeq w_{\le j}} \pi(a)}{\sum_{a \succeq w_{<j}} \pi(a)}

    Along a phrase they multiply to its probability.

    Args:
        log_probs: [S, A], of the admissible phrases, ``-inf`` where padded.
        nodes: [S, A] bool, the phrases that began alike.
        children: [S, A] bool, those that go on alike.
    """
    return _log_mass(log_probs, children) - _log_mass(log_probs, nodes)


def word_advantages(
    values: Sequence[float],
    discounts: Sequence[float],
    reward: float,
    following: float,
    ahead: float,
    gae_lambda: float,
) -> list[float]:
    r"""The advantages of the words of one phrase at its branches.

    .. math::
        \delta_j = c_j V_{j+1} - V_j, \quad \hat A_j = \delta_j + c_j \lambda \hat A_{j+1}, \qquad
        \delta_m = c_m (r + d V') - V_m, \quad \hat A_m = \delta_m + c_m d \lambda \hat A'

    With :math:`c_j = 1` it is Bellman backup with action decomposition, where the errors add up to that of the phrase
    (Wen et al. 2024, POAD, arXiv 2405.15821, eq. 13 and 14); with :math:`\gamma` for every word it is naive token-level
    policy optimisation (NTPO, eq. 9), which values a phrase by how long it is.

    Args:
        values: :math:`V_j` at each branch.
        discounts: :math:`c_j`, from each branch to the next, and from the last to the end of the phrase.
        reward: What the phrase was paid.
        following: :math:`d V'`, the discounted value of the state that followed; 0 where nothing did.
        ahead: :math:`d \lambda \hat A'`, of the next phrase's first word; 0 where the episode ended.
        gae_lambda: :math:`\lambda` between words.
    """
    found = [0.0] * len(values)
    found[-1] = discounts[-1] * (reward + following + ahead) - values[-1]
    for j in reversed(range(len(values) - 1)):
        found[j] = discounts[j] * (values[j + 1] + gae_lambda * found[j + 1]) - values[j]
    return found


def _log_mass(log_probs: Tensor, chosen: Tensor) -> Tensor:
    """Logarithm of the probability of the chosen ones, added up in the same order however far they are padded."""
    masses = log_probs.masked_fill(~chosen, -torch.inf)
    return torch.nn.functional.pad(masses, (0, -masses.shape[-1] % _VECTOR), value=-torch.inf).logsumexp(-1)
