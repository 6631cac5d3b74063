"""A text environment from the inside: the decision of any state, where the world shows its states."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gymnasium

from twosome.envs.exploring import OpenWorld
from twosome.errors import ConfigError
from twosome.text.environment import Narrator, Option, TextEnv


@dataclass(frozen=True)
class TextWorld:
    """A world that shows its states, and the narrator that puts them into words.

    Attributes:
        world: States and transitions.
        narrator: Words.
        time_limit: Primitive steps after which an episode is over; None if the environment does not say.
    """

    world: OpenWorld[Any]
    narrator: Narrator
    time_limit: int | None

    def narrate(self, state: Any) -> tuple[str, tuple[Option, ...]]:
        """Return the prompt and the options of a state that is not the end of an episode.

        Raises:
            ConfigError: If the narrator offers what the world does not admit.
        """
        prompt, options = self.narrator.narrate(*self.world.view(state))
        admitted = set(self.world.actions(state))
        for option in options:
            if option.env_action not in admitted:
                raise ConfigError(
                    f"the narrator offers {option.text!r} as action {option.env_action!r} where the world admits only "
                    f"{sorted(admitted)}; offer admissible actions"
                )
        return prompt, options


def time_limit(env: gymnasium.Env[Any, Any]) -> int | None:
    """Steps after which an episode is cut, by what the world or Gymnasium's wrapper says; None if neither does."""
    text = env.unwrapped
    for inside in [text, *([text.env, text.env.unwrapped] if isinstance(text, TextEnv) else [])]:
        spec = getattr(inside, "spec", None)
        for limit in (getattr(inside, "time_limit", None), getattr(spec, "max_episode_steps", None)):
            if isinstance(limit, int) and not isinstance(limit, bool):
                return limit
    return None


def joiner(env: gymnasium.Env[Any, Any]) -> str | None:
    """What an environment, or its narrator, says that its phrases are joined to prompts with; None if neither does.

    It says so by an attribute ``joiner``: a space, or ``""`` for a language that is written without.

    Raises:
        ConfigError: If it says something else.
    """
    text: Any = env.unwrapped
    speakers = [text]
    if isinstance(text, TextEnv):
        speakers.append(text.narrator)
        while hasattr(speakers[-1], "narrator"):  # one that tells another's words otherwise
            speakers.append(speakers[-1].narrator)
    for speaker in speakers:
        said = getattr(speaker, "joiner", None)
        if said is not None and said not in (" ", ""):
            raise ConfigError(
                f'the joiner of {type(speaker).__name__} is {said!r}; expected " ", or "" for a language without spaces'
            )
        if said is not None:
            return str(said)
    return None


def has_oracle(env: gymnasium.Env[Any, Any]) -> bool:
    """Whether a text environment's world advises what to do (:meth:`twosome.TextEnv.advise`)."""
    text = env.unwrapped
    return isinstance(text, TextEnv) and text.env.has_wrapper_attr("advise")


@dataclass(frozen=True)
class Traits:
    """What an environment says of itself.

    Attributes:
        joiner: See :func:`joiner`.
        replays: Whether seed and actions give the same episode again. A world that does not says so by an attribute
            ``replays = False``; nobody can make it, so a run that is resumed begins its open episodes anew.
        quotes: Whose words its prompts and phrases are, where they are not the narrator's own; None where they are. A
            narrator says so by an attribute ``quotes``, the name of the world.
        time_limit: See :func:`time_limit`.
    """

    joiner: str | None = None
    replays: bool = True
    quotes: str | None = None
    time_limit: int | None = None


def traits(env: gymnasium.Env[Any, Any]) -> Traits:
    """What a text environment says of itself, wrapped or not.

    Raises:
        ConfigError: If it says what cannot be.
    """
    text: Any = env.unwrapped
    inside = text.env if isinstance(text, TextEnv) else text
    replays = bool(inside.get_wrapper_attr("replays")) if inside.has_wrapper_attr("replays") else True
    quotes = getattr(getattr(text, "narrator", text), "quotes", None)
    return Traits(joiner(env), replays, quotes, time_limit(env))


def text_world(env: gymnasium.Env[Any, Any]) -> TextWorld | None:
    """The world behind a text environment, wrapped or not; None where it does not show its states.

    Nor does one whose prompts tell what came before: then a prompt belongs to no state.
    """
    text = env.unwrapped
    if not isinstance(text, TextEnv) or text.history.length:
        return None
    inside = text.env.unwrapped
    world = getattr(inside, "world", None)
    if not isinstance(world, OpenWorld):
        return None
    return TextWorld(world, text.narrator, getattr(inside, "time_limit", None))
