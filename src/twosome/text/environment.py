"""From symbols to words: the Narrator protocol and the wrapper that turns any Gymnasium environment into a text one."""

from __future__ import annotations

import string
import unicodedata
from typing import Any, NamedTuple, Protocol, TypedDict

import gymnasium
from gymnasium import spaces

from twosome.errors import InadmissibleAction
from twosome.text.history import History

MAX_LENGTH = 20_000
MOST_ACTIONS = 2**31 - 1
"""As many as nobody offers: how many actions a decision has is said by the decision, not by a space."""

_UNREADABLE = "\ufeff\ufffd\u2028\u2029\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
"""A byte order mark, what decoders put for what they could not decode, line separators, changes of direction."""


class Words(spaces.Text):
    """Texts of any language: letters, marks, digits, punctuation and white space, but no control characters.

    Samples are printable ASCII.

    Args:
        empty: Whether a text may be empty.
    """

    def __init__(self, *, empty: bool = False) -> None:
        super().__init__(min_length=0 if empty else 1, max_length=MAX_LENGTH, charset=string.printable)

    def contains(self, x: Any) -> bool:
        """Whether ``x`` is such a text."""
        if not isinstance(x, str) or not self.min_length <= len(x) <= self.max_length:
            return False
        return (x.isascii() and x.isprintable()) or not any(map(_is_unreadable, x))


def _is_unreadable(character: str) -> bool:
    if character in string.printable:  # white space among it
        return False
    code = ord(character)
    nothing = code & 0xFFFE == 0xFFFE or 0xFDD0 <= code <= 0xFDEF  # code points that will never be characters
    return unicodedata.category(character) in ("Cc", "Cs") or character in _UNREADABLE or nothing


class Option(NamedTuple):
    """One admissible action: the words the language model may follow, and the environment's own action."""

    text: str
    env_action: Any


class Narrator(Protocol):
    """Puts an environment's situation into words."""

    def narrate(self, observation: Any, info: dict[str, Any]) -> tuple[str, tuple[Option, ...]]:
        """Return the prompt and the admissible options for one observation.

        Args:
            observation: What the wrapped environment returned from ``reset`` or ``step``.
            info: The info dictionary that came with it (an action mask, say).

        Returns:
            The prompt, without trailing white space, and at least one option; option texts differ from each other.
        """
        ...


class TextObservation(TypedDict):
    """What a text environment shows: see :class:`twosome.Decision`."""

    prompt: str
    actions: tuple[str, ...]


def text_space() -> spaces.Dict:
    """The observation space of text environments."""
    text = Words()
    return spaces.Dict({"prompt": text, "actions": spaces.Sequence(text)})


class TextEnv(gymnasium.Env[TextObservation, int]):
    """A text environment: observations are decisions, an action is an index into the admissible action prompts.

    ``info["duration"]`` (primitive steps the action took, 1 if the environment does not say) is always present after a
    step; ``info["success"]`` is what the environment says on the last step, and absent where it says nothing
    (:mod:`twosome.success`). The wrapped environment stays reachable as ``env``.

    Args:
        env: Any Gymnasium environment.
        narrator: What puts its observations into words.
        history: How many moments before the present one a prompt begins with (:mod:`twosome.text.history`).
    """

    def __init__(self, env: gymnasium.Env[Any, Any], narrator: Narrator, history: int = 0) -> None:
        self.env = env
        self.narrator = narrator
        self.history = History(history)
        self.metadata = env.metadata
        self.render_mode = env.render_mode
        self.observation_space = text_space()  # type: ignore[assignment]
        self.action_space = spaces.Discrete(_most_actions(env.action_space))  # type: ignore[assignment]
        self._options: tuple[Option, ...] = ()

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[TextObservation, dict[str, Any]]:
        """Start an episode; see :meth:`gymnasium.Env.reset`."""
        super().reset(seed=seed)
        observation, info = self.env.reset(seed=seed, options=options)
        self.history.clear()
        return self._narrate(observation, info), info

    def step(self, action: int) -> tuple[TextObservation, float, bool, bool, dict[str, Any]]:
        """Take the admissible action with this index.

        Raises:
            InadmissibleAction: If ``action`` is not an index into the current admissible list.
        """
        if not 0 <= action < len(self._options):
            raise InadmissibleAction(
                f"action {action} is past the end: this decision has {len(self._options)} admissible actions, "
                f"so the index must be between 0 and {len(self._options) - 1}"
            )
        phrase, env_action = self._options[action]
        observation, reward, terminated, truncated, info = self.env.step(env_action)
        self.history.note(phrase)
        info = {"duration": 1, **info}
        return self._narrate(observation, info), float(reward), terminated, truncated, info

    def advise(self) -> int | None:
        """Index of the action that the world's own oracle would take now; None where there is none, or it is at a loss.

        A world has one if it, or a wrapper around it, has a method ``advise`` that returns an action of its own. It may
        be a command, a text, that is not offered: then it is added, for the oracle alone, after those that are.
        """
        if not self.env.has_wrapper_attr("advise"):
            return None
        advised = self.env.get_wrapper_attr("advise")()
        offered = [index for index, option in enumerate(self._options) if option.env_action == advised]
        if offered or not isinstance(advised, str):
            return offered[0] if offered else None
        self._options = (*self._options, Option(advised, advised))
        return len(self._options) - 1

    def phrase(self, action: int) -> str:
        """The words of an action of this moment, also of one that was only advised."""
        return self._options[action].text

    def render(self) -> Any:
        """Render the wrapped environment."""
        return self.env.render()

    def close(self) -> None:
        """Close the wrapped environment."""
        self.env.close()

    def _narrate(self, observation: Any, info: dict[str, Any]) -> TextObservation:
        prompt, self._options = self.narrator.narrate(observation, info)
        told = self.history.tell(self.narrator, prompt, observation, info)
        return {"prompt": told, "actions": tuple(option.text for option in self._options)}


def _most_actions(space: gymnasium.Space[Any]) -> int:
    if isinstance(space, spaces.Discrete):
        return int(space.n)
    return MOST_ACTIONS
