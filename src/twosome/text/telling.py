"""Other ways to tell a situation: in numbers, with the phrases permuted across the actions, with made-up names.

All take what a narrator says and tell it differently, so they serve any text environment. A task told in numbers is
the same task to everything that meets decisions: collector, algorithms, exact evaluation, recorder.
"""

from __future__ import annotations

import hashlib
import random
import re
from collections.abc import Sequence
from itertools import count
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces

from twosome.errors import ConfigError
from twosome.text.environment import Narrator, Option


class NumericNarrator:
    """Tells the observation vector: the prompt is its numbers, written exactly; a phrase is "action" and its number.

    Args:
        narrator: Decides which actions are admissible; its words are not used.

    Raises:
        ConfigError: Where an observation is not an array of numbers, or an action not a number.
    """

    def __init__(self, narrator: Narrator) -> None:
        self.narrator = narrator

    def narrate(self, observation: Any, info: dict[str, Any]) -> tuple[str, tuple[Option, ...]]:
        """Return the vector as text, such as ``0 5 0 6 5``, and the admissible actions."""
        _, options = self.narrator.narrate(observation, info)
        told = tuple(Option(action_phrase(option.env_action), option.env_action) for option in options)
        return " ".join(map(repr, _numbers(observation))), told


def action_phrase(action: Any) -> str:
    """How an action is called among numbers: "action 3"."""
    return f"action {int(action)}"


def vector_shape(env: gymnasium.Env[Any, Any]) -> tuple[int, int]:
    """How many numbers an environment shows, and how many actions it has.

    Args:
        env: The environment inside the text environment.

    Raises:
        ConfigError: If its observation is not an array of numbers, or its actions are not numbered.
    """
    shown, actions = env.observation_space, env.action_space
    if not isinstance(shown, spaces.Box | spaces.MultiBinary | spaces.MultiDiscrete):
        raise ConfigError(f"an agent that reads numbers needs observations that are arrays of numbers, got {shown}")
    if not isinstance(actions, spaces.Discrete) or actions.start != 0:
        raise ConfigError(f"an agent that reads numbers needs actions numbered from 0, got {actions}")
    return int(np.prod(shown.shape)), int(actions.n)


class PermutedNarrator:
    """Gives the admissible actions each other's phrases, so that the wording says nothing about what an action does.

    In every decision the phrases are dealt out by a permutation of their own, drawn uniformly and fixed by the seed,
    the prompt and the phrases. An action keeps its own phrase as often as it gets any other one's: were that excluded,
    the wording would say what an action does *not* do.

    Args:
        narrator: What puts observations into words.
        seed: Which permutations.
    """

    def __init__(self, narrator: Narrator, seed: int) -> None:
        self.narrator = narrator
        self.seed = seed

    def narrate(self, observation: Any, info: dict[str, Any]) -> tuple[str, tuple[Option, ...]]:
        """Return the prompt, and the options with their phrases dealt out anew."""
        prompt, options = self.narrator.narrate(observation, info)
        order = _permutation((str(self.seed), prompt, *(option.text for option in options)))
        return prompt, tuple(
            Option(options[i].text, option.env_action) for i, option in zip(order, options, strict=True)
        )


class RenamingNarrator:
    """Calls every thing by a made-up name, the same in prompts and phrases, so that nothing is known of it beforehand.

    What is left to go by is the form of the sentences and the rest of their words. The names are pronounceable and
    fixed by the seed; a plural stays one.

    Args:
        narrator: What puts observations into words.
        names: The nouns to replace, without articles.
        seed: Which names.
    """

    def __init__(self, narrator: Narrator, names: Sequence[str], seed: int) -> None:
        self.narrator = narrator
        self._new = dict(zip(names, made_up_names(names, seed), strict=True))
        longest_first = sorted(names, key=len, reverse=True)
        self._old = re.compile(r"\b(" + "|".join(map(re.escape, longest_first)) + r")\b")

    def narrate(self, observation: Any, info: dict[str, Any]) -> tuple[str, tuple[Option, ...]]:
        """Return the prompt and the options, with the new names."""
        prompt, options = self.narrator.narrate(observation, info)
        return self._renamed(prompt), tuple(Option(self._renamed(text), action) for text, action in options)

    def _renamed(self, text: str) -> str:
        return self._old.sub(lambda found: self._new[found[0]], text)


def made_up_names(names: Sequence[str], seed: int) -> list[str]:
    """A made-up noun of two syllables for each of some nouns, no two alike; with an s where the noun ends in one."""
    made: list[str] = []
    for name in names:
        for attempt in count():
            digest = hashlib.sha256(f"{seed}\0{name}\0{attempt}".encode()).digest()
            parts = (_ONSETS, _VOWELS, _MIDDLES, _VOWELS, _ENDS)
            word = "".join(part[byte % len(part)] for part, byte in zip(parts, digest, strict=False))
            if word not in made:
                break
        made.append(word)
    return [f"{word}s" if name.endswith("s") else word for name, word in zip(names, made, strict=True)]


_ONSETS = ("bl", "dr", "f", "gl", "k", "m", "pl", "sn", "t", "v", "w", "z")
_VOWELS = ("a", "e", "i", "o", "u")
_MIDDLES = ("b", "d", "f", "g", "k", "l", "m", "n", "p", "r", "t", "z")
_ENDS = ("b", "d", "f", "g", "k", "l", "m", "n", "p", "r", "t", "x")


def _permutation(key: Sequence[str]) -> list[int]:
    """A permutation of as many places as the key has texts after the first two, drawn by the key."""
    order = list(range(len(key) - 2))
    random.Random(hashlib.sha256("\0".join(key).encode()).digest()).shuffle(order)
    return order


def _numbers(observation: Any) -> list[int | float]:
    array = np.asarray(observation)
    if array.dtype.kind not in "biuf":
        raise ConfigError(f"an observation told in numbers must be an array of numbers, got {observation!r:.80}")
    numbers: list[int | float] = (array.astype(np.int64) if array.dtype.kind == "b" else array).ravel().tolist()
    return numbers
