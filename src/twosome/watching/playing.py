"""One episode in words, decision by decision, chosen by a person, a model, chance, or a search for the best play."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, Literal

import gymnasium
import torch

from twosome.baselines import UniformPolicy
from twosome.decision import Decision
from twosome.envs.exploring import explore
from twosome.envs.oracle import best_play
from twosome.errors import ConfigError, EnvironmentFault
from twosome.evaluation.exact import JUDGED_AT
from twosome.evaluation.foreseeing import foresee
from twosome.evaluation.sampled import LONGEST
from twosome.functional.categorical import sample
from twosome.success import judge
from twosome.text.guard import GuardedEnv
from twosome.text.states import TextWorld, has_oracle, text_world, time_limit
from twosome.text.tasks import find_task, gamma_of, make_task, open_task
from twosome.types import Policy
from twosome.watching.film import MODE, Film, check_can_film

Player = Literal["you", "model", "random", "best"]
Tell = Callable[[str], Any]


def play(
    task: str,
    *,
    player: Player,
    policy: Policy | None,
    greedy: bool = False,
    seed: int = 0,
    environment: Mapping[str, Any] | None = None,
    gif: Path | None = None,
    pictures: bool = False,
    ask: Callable[[str], str] = input,
    tell: Tell = print,
) -> float | None:
    """Play one episode and tell what happens.

    Args:
        task: See :func:`twosome.text.tasks.make_task`.
        player: Who chooses the actions.
        policy: Whose probabilities are shown; the uniform policy's are not. Needed where the model plays.
        greedy: The model takes its most probable action.
        seed: Seeds the episode and the draws.
        environment: Further arguments of the environment.
        gif: File to write the episode to as an animated picture; also if the person left.
        pictures: Show each decision as a picture made of characters, too.
        ask: Asks the person; an end of input or ``q`` ends the episode.
        tell: Prints.

    Returns:
        The discounted return, or None if the person left.

    Raises:
        ConfigError: If the environment cannot draw what is asked for, or no best play can be found.
        RunError: If the film cannot be written.
    """
    if policy is not None:
        foresee(policy, task, environment)
    mode = _render_mode(task, environment or {}, gif, pictures)
    arguments = {**(environment or {}), **({"render_mode": mode} if mode else {})}
    generator = torch.Generator().manual_seed(seed)
    with closing(GuardedEnv(make_task(task, **arguments), task)) as env:
        best = _best_player(task, env) if player == "best" else None

        def choose(decision: Decision) -> int | None:
            with torch.no_grad():
                log_probs = (policy or UniformPolicy()).action_log_probs([decision])[0].cpu()
            tell(_describe(decision, log_probs.exp().tolist() if policy is not None else None))
            if player == "you":
                return _ask(decision, ask, tell)
            if best is not None:
                action = best(decision)
            else:
                action = int(log_probs.argmax() if greedy else sample(log_probs, generator))
            tell(f"> {_phrase(env, decision, action)}")
            return action

        observation, _ = env.reset(seed=seed)
        known = find_task(task)
        film = Film(env, known.summary if known is not None else task) if gif is not None else None
        gamma = gamma_of(task)
        bound = math.inf if player == "you" else max(LONGEST, time_limit(env) or 0)
        total = _episode(env, observation, choose, film, gamma, pictures, tell, bound)
    if film is not None and gif is not None:
        film.save(gif)
        tell(f"film: {gif}")
    return total


def _episode(
    env: gymnasium.Env[Any, int],
    observation: Any,
    choose: Callable[[Decision], int | None],
    film: Film | None,
    gamma: float,
    pictures: bool,
    tell: Tell,
    bound: float,
) -> float | None:
    """Play from an observation to the end: the discounted return, or None if ``choose`` left."""
    total, elapsed = 0.0, 0
    rewards: list[float] = []
    while True:
        if pictures:
            tell(str(env.render()))
        decision = Decision(observation["prompt"], tuple(observation["actions"]))
        action = choose(decision)
        if action is None:
            tell("left")
            return None
        if len(rewards) >= bound:
            tell(f"left after {bound} decisions, as it does not end: discounted return {total:+.4f} so far")
            return total
        phrase = _phrase(env, decision, action)
        observation, reward, terminated, truncated, info = env.step(action)
        duration = info.get("duration", 1)
        rewards.append(float(reward))
        total += gamma**elapsed * float(reward)
        elapsed += duration
        tell(f"  reward {float(reward):+.3f}, {duration} steps\n")
        if film is not None:
            film.shoot(phrase)
        if terminated or truncated:
            if pictures:
                tell(str(env.render()))
            outcome = _outcome(info.get("success"), bool(terminated), rewards)
            tell(f"{outcome}: discounted return {total:+.4f} after {elapsed} steps")
            return total


def _outcome(told: bool | None, terminated: bool, rewards: Sequence[float]) -> str:
    """How an episode ended, in words."""
    found = judge(told, terminated=terminated, rewards=rewards)
    if found.success:
        return "success"
    if not terminated:
        return "time is up"
    # One end that was not paid leaves open whether the world pays for ends at all, unless it costs more than anything.
    return "failure" if found.told or rewards[-1] < min(rewards[:-1], default=0.0) else "the end"


def _render_mode(task: str, environment: Mapping[str, Any], gif: Path | None, pictures: bool) -> str | None:
    """The render mode that serves what is asked for, checked before anybody plays."""
    if gif is not None and pictures:
        raise ConfigError("an environment draws in one way at a time; give --gif or --pictures, not both")
    if gif is None and not pictures:
        return None
    with open_task(task, **environment) as env:
        if gif is not None:
            check_can_film(task, env, gif)
            return MODE
        modes = env.metadata.get("render_modes") or []
    if "ansi" not in modes:
        raise ConfigError(f"{task!r} draws no pictures in text: its render modes are {modes}; leave out --pictures")
    return "ansi"


def _best_player(task: str, env: gymnasium.Env[Any, int]) -> Callable[[Decision], int]:
    """Chooses as a play of highest discounted return does, or as the world's own oracle advises."""
    shown = text_world(env)
    if shown is None or shown.time_limit is None:
        if not has_oracle(env):
            raise ConfigError(
                f"{task!r} does not show its states and has no oracle, so no best play can be found; choose another "
                "--player"
            )
        return lambda decision: _advised(task, env)
    plan = best_play(explore(shown.world), gamma_of(task, JUDGED_AT), shown.time_limit)
    phrases = _phrases(shown, plan.actions)
    return lambda decision: decision.actions.index(next(phrases))


def _advised(task: str, env: gymnasium.Env[Any, int]) -> int:
    """What the world's oracle advises."""
    advised = env.unwrapped.advise()  # type: ignore[attr-defined]
    if advised is None:
        raise EnvironmentFault(f"the oracle of {task!r} knows no further; try another --seed")
    return int(advised)


def _phrase(env: gymnasium.Env[Any, int], decision: Decision, action: int) -> str:
    """The words of an action; an oracle may take one that is not offered."""
    if action < len(decision.actions):
        return decision.actions[action]
    return f"{env.unwrapped.phrase(action)} (not among the actions offered)"  # type: ignore[attr-defined]


def _phrases(shown: TextWorld, actions: Sequence[int]) -> Iterator[str]:
    state = shown.world.initial_state
    for action in actions:
        _, options = shown.narrate(state)
        yield next(option.text for option in options if option.env_action == action)
        state = shown.world.transition(state, action).state


def _describe(decision: Decision, probabilities: list[float] | None) -> str:
    lines = [f"{decision.prompt} ..."]
    for index, action in enumerate(decision.actions):
        probability = f"  {probabilities[index]:6.1%}" if probabilities is not None else ""
        lines.append(f"  {index + 1:>2}{probability}  {action}")
    return "\n".join(lines)


def _ask(decision: Decision, ask: Callable[[str], str], tell: Tell) -> int | None:
    """The index the person chose, or None to leave."""
    while True:
        try:
            answer = ask(f"1-{len(decision.actions)}, or q to leave: ").strip()
        except EOFError:
            return None
        if answer.lower() in ("q", "quit", "exit"):
            return None
        if answer.isdecimal() and 1 <= int(answer) <= len(decision.actions):
            return int(answer) - 1
        tell(f"please type a number from 1 to {len(decision.actions)}")
