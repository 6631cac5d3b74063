"""What was met before the present moment, at the beginning of the prompt: for worlds that show only a part at a time.

A moment is told as its prompt with the phrase that was chosen, which read as one sentence anyway. A narrator whose
prompts repeat much (an aim, a room) says by a method ``recall(observation, info)`` what of a moment is worth telling
again; the phrase then follows on a line of its own, as a player types it.
"""

from __future__ import annotations

from collections import deque
from typing import Any

from twosome.errors import ConfigError


class History:
    """The last moments of an episode.

    Args:
        length: How many are told; 0 for none.

    Raises:
        ConfigError: If the length is no whole number, or negative.
    """

    def __init__(self, length: int = 0) -> None:
        if isinstance(length, bool) or not isinstance(length, int) or length < 0:
            raise ConfigError(f"history is how many moments a prompt goes back, a whole number from 0, got {length!r}")
        self.length = length
        self._before: deque[str] = deque(maxlen=length)
        self._now = ""

    def clear(self) -> None:
        """A new episode begins."""
        self._before.clear()

    def note(self, phrase: str) -> None:
        """The phrase that was chosen at the moment told last."""
        if self.length:
            self._before.append(f"{self._now}{phrase}")

    def tell(self, narrator: Any, prompt: str, observation: Any, info: dict[str, Any]) -> str:
        """The prompt of a moment with those before it, one a line."""
        if not self.length:
            return prompt
        recall = getattr(narrator, "recall", None)
        if recall is None:
            joiner = getattr(narrator, "joiner", None)
            self._now = f"{prompt}{' ' if joiner is None else joiner}"
        else:
            self._now = f"{recall(observation, info)}\n> ".lstrip()
        return "\n".join([*self._before, prompt])
