"""Meets the decisions of a text environment: all that can be reached, or those of random play."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import gymnasium

from twosome.decision import Decision
from twosome.envs.exploring import explore
from twosome.envs.oracle import solve
from twosome.errors import InvalidDecision
from twosome.text.faults import Fault
from twosome.text.states import TextWorld, text_world


@dataclass(frozen=True)
class Seen:
    """A decision met on the walk.

    Attributes:
        prompt: As narrated, valid or not.
        actions: As narrated, valid or not.
        look: What tells the observation (with its info) from others.
        best: Phrases of the optimal actions; None where they are not known.
    """

    prompt: str
    actions: tuple[str, ...]
    look: Any = None
    best: frozenset[str] | None = None


class Walk(NamedTuple):
    """The decisions met, and faults met on the way."""

    seen: list[Seen]
    exhaustive: bool
    faults: list[Fault]


def walk(env: gymnasium.Env[Any, Any], *, discount: float = 0.99, decisions: int = 2000, seed: int = 0) -> Walk:
    """Meet every decision of a text environment, or those of random play where its world does not show its states.

    Args:
        env: A text environment.
        discount: Per primitive step, below 1; decides which actions are best.
        decisions: Of random play.
        seed: Of random play.

    Raises:
        ConfigError: If the narrator offers actions that the world does not admit.
    """
    shown = text_world(env)
    if shown is not None:
        seen = _all_states(shown, discount)
        return Walk(seen, True, [*_differences(env, shown, seed), *_check_space(env, seen)])
    return _random_play(env, decisions, seed)


def _all_states(shown: TextWorld, discount: float) -> list[Seen]:
    graph = explore(shown.world)
    optimal = solve(graph, discount).optimal
    seen = []
    for row, state in enumerate(graph.states):
        if graph.admissible[row].any():  # the end of an episode leaves nothing to decide
            prompt, options = shown.narrate(state)
            best = frozenset(option.text for option in options if optimal[row, option.env_action])
            actions = tuple(option.text for option in options)
            seen.append(Seen(prompt, actions, _key(shown.world.view(state)), best))
    return seen


def _random_play(env: gymnasium.Env[Any, Any], decisions: int, seed: int) -> Walk:
    choose, seen, faults, episode, over = random.Random(seed), [], [], 0, True
    observation: Any = None
    for _ in range(decisions):
        if over:
            observation, _ = env.reset(seed=seed + episode)
            episode += 1
        prompt, actions = observation["prompt"], tuple(observation["actions"])
        seen.append(Seen(prompt, actions))
        if not actions:
            faults.append(Fault("valid", "error", "a decision has no action; give at least one", prompt[-60:]))
            over = True
            continue
        observation, _, terminated, truncated, _ = env.step(choose.randrange(len(actions)))
        over = bool(terminated or truncated)
        if over:
            faults += _check_end(observation)
    return Walk(seen, False, [*faults, *_check_space(env, seen)])


_OUTSIDE = (
    "an observation is not in the observation space (where twosome makes it: texts of any language, of limited length, "
    "without control characters)"
)


def _check_space(env: gymnasium.Env[Any, Any], walked: list[Seen]) -> Iterator[Fault]:
    for prompt, actions in dict.fromkeys((seen.prompt, seen.actions) for seen in walked):
        observation = {"prompt": prompt, "actions": actions}
        if not env.observation_space.contains(observation):
            yield Fault("valid", "error", _OUTSIDE, f"{observation!r:.200}")


def _key(value: Any) -> Any:
    """A hashable stand-in for an observation or info, equal where they are equal."""
    if isinstance(value, dict):
        return tuple((name, _key(item)) for name, item in sorted(value.items()))
    if isinstance(value, tuple | list):
        return tuple(map(_key, value))
    return _key(value.tolist()) if hasattr(value, "tolist") else value


_LAST = "the last observation of an episode cannot be scored, but the critic reads it; give it a prompt and an action"


def _check_end(observation: Any) -> Iterator[Fault]:
    try:
        Decision(observation["prompt"], tuple(observation["actions"]))
    except InvalidDecision as error:
        yield Fault("valid", "error", _LAST, str(error))


_DIFFERENT = "play shows something else than the world; let the environment step through the world it shows"


def _differences(env: gymnasium.Env[Any, Any], shown: TextWorld, seed: int, decisions: int = 200) -> Iterator[Fault]:
    """Yield where random play departs from the world, at most once."""
    choose, over, state = random.Random(seed), True, shown.world.initial_state
    for _ in range(decisions):
        if over:
            observation, _ = env.reset(seed=seed)
            state = shown.world.initial_state
        prompt, options = shown.narrate(state)
        if (observation["prompt"], tuple(observation["actions"])) != (prompt, tuple(option.text for option in options)):
            yield Fault("world", "error", _DIFFERENT, f"played {observation['prompt']!r}, shown {prompt!r}")
            return
        if not options:
            return  # reported as a decision that cannot be scored
        choice = choose.randrange(len(options))
        observation, reward, terminated, truncated, info = env.step(choice)
        expected = shown.world.transition(state, options[choice].env_action)
        state = expected.state
        same = (info["duration"], bool(terminated)) == (expected.duration, expected.terminated)
        if not same or abs(float(reward) - expected.reward) > 1e-6:
            played = f"reward {reward}, duration {info['duration']}, terminated {terminated}"
            yield Fault("world", "error", _DIFFERENT, f"played {played}, shown {expected!r}")
            return
        over = bool(terminated or truncated)
        if over:
            yield from _check_end(observation)
