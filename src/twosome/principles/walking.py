"""Meets the decisions of a text environment: all that can be reached, or those of random play."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import gymnasium

from twosome.decision import Decision
from twosome.envs.exploring import StateGraph, WorldTooLarge, explore
from twosome.envs.oracle import solve
from twosome.errors import InvalidDecision
from twosome.principles.faults import Fault
from twosome.success import Tally, Way, judge
from twosome.text.states import TextWorld, text_world

MOST_STATES = 200_000
"""States of a world that are all looked at; a minute or so. Of larger ones, those of random play are."""


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
    """The decisions met, and faults met on the way.

    Attributes:
        seen: The decisions.
        exhaustive: Whether they are all that can be reached.
        faults: Of the walk; those of the texts are found later.
        success_by: How the world says what success is; None where it does not, as far as the walk shows.
    """

    seen: list[Seen]
    exhaustive: bool
    faults: list[Fault]
    success_by: Way | None = None


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
    if shown is None:
        return _random_play(env, decisions, seed)
    try:
        graph = explore(shown.world, MOST_STATES)
    except WorldTooLarge as error:
        walked = _random_play(env, decisions, seed)
        note = Fault("world", "note", "not every state was looked at, only those of random play", str(error))
        return walked._replace(faults=[*walked.faults, note])
    seen = all_states(shown, graph, discount)
    faults = [*_differences(env, shown, seed), *_check_space(env, seen)]
    return Walk(seen, True, faults, graph.success_by)


def all_states(shown: TextWorld, graph: StateGraph[Any], discount: float) -> list[Seen]:
    """Return the decision of every state of a world that has one, with its best actions."""
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
    rewards: list[float] = []
    tally = Tally()
    for _ in range(decisions):
        if over:
            observation, _ = env.reset(seed=seed + episode)
            episode += 1
            rewards = []
        prompt, actions = observation["prompt"], tuple(observation["actions"])
        seen.append(Seen(prompt, actions))
        if not actions:
            faults.append(Fault("valid", "error", "a decision has no action; give at least one", prompt[-60:]))
            over = True
            continue
        observation, reward, terminated, truncated, info = env.step(choose.randrange(len(actions)))
        rewards.append(float(reward))
        over = bool(terminated or truncated)
        if over:
            tally.add([judge(info.get("success"), terminated=bool(terminated), rewards=rewards)])
            faults += _check_end(observation, bool(terminated))
    return Walk(seen, False, [*faults, *_check_space(env, seen)], tally.way)


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


_LAST = "the last observation of an episode that was cut cannot be read, but the critic values it; give it a prompt"


def _check_end(observation: Any, terminated: bool) -> Iterator[Fault]:
    """Yield what is wrong with a last observation, which needs no actions, and at a terminal state nothing at all."""
    actions = tuple(observation["actions"])
    if terminated and not actions:
        return
    try:
        Decision(observation["prompt"], actions or ("wait",))
    except InvalidDecision as error:
        yield Fault("valid", "error", _LAST, str(error))


_TOLD = "play tells another success than the world; give Transition the success that info['success'] tells, or none"
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
        told = info.get("success")
        if terminated and (None if told is None else bool(told)) != expected.success:
            yield Fault("world", "error", _TOLD, f"played success={told}, shown {expected!r}")
            return
        over = bool(terminated or truncated)
        if over:
            yield from _check_end(observation, bool(terminated))
