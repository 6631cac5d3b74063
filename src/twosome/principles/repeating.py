"""Plays seeded episodes again, here and in processes of their own, and finds where they are not the same.

A run that is resumed takes its open episodes again, in a new process. What an environment draws from anything but its
seed is another then; so is the order of a set of texts, which changes with PYTHONHASHSEED from process to process.

Run as a module it is such a process: what to play comes in, and what was seen goes out, as JSON.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import gymnasium

from twosome.errors import TwosomeError
from twosome.principles.faults import Fault
from twosome.text.tasks import open_task

DECISIONS = 100
"""Of random play that are compared."""
HASH_SEEDS = (1, 2)
"""Of the processes, PYTHONHASHSEED. With this one they are three; a set of two texts has one order in all by chance
in a quarter of all cases."""
PATIENCE = 120.0
"""Seconds that a process has."""

Moment = dict[str, Any]


def play(env: gymnasium.Env[Any, Any], seed: int, decisions: int = DECISIONS) -> list[Moment]:
    """Return what random play of seeded episodes meets: prompt, actions, and what the step before was answered."""
    choose, moments, episode, over = random.Random(seed), [], seed, True
    observation: Any = None
    answer: Moment = {}
    for step in range(decisions):
        if over:
            observation, _ = env.reset(seed=episode)
            answer, began, episode = {}, step, episode + 1
        actions = list(observation["actions"])
        place = {"seed": episode - 1, "step": step - began + 1}
        moments.append({**place, "prompt": observation["prompt"], "actions": actions, **answer})
        if not actions:
            break
        observation, reward, terminated, truncated, info = env.step(choose.randrange(len(actions)))
        over = bool(terminated or truncated)
        answer = {"reward": float(reward), "ended": over, "duration": int(info.get("duration", 1))}
        if over:
            moments.append({**place, **answer})
    return moments


def repeats(
    env: gymnasium.Env[Any, Any], task: str, arguments: Mapping[str, Any], seed: int, *, elsewhere: bool = True
) -> tuple[list[Fault], str | None]:
    """Play here twice and in other processes: what differs, and why the others were not tried, if they were not.

    Args:
        env: The task's environment.
        task: See :func:`twosome.text.tasks.make_task`.
        arguments: Further arguments of the environment.
        seed: Of the first episode, and of play.
        elsewhere: Whether to try other processes at all.
    """
    here = play(env, seed)
    faults = [*_differences(here, play(env, seed), _HERE)]
    if not elsewhere:
        return faults, None
    try:
        others = _elsewhere(task, arguments, seed)
    except _NotTried as reason:
        return faults, str(reason)
    found = (fault for other in others for fault in _differences(here, other, _ELSEWHERE))
    return [*faults, *list(found)[: 0 if faults else 1]], None


_HERE = "a seeded episode is another one when it is played again; draw what is random from self.np_random"
_ELSEWHERE = (
    "a seeded episode is another one in another process, so a resumed run would take other actions than it recorded; "
    "sort what comes from a set (its order changes with PYTHONHASHSEED), and draw what is random from self.np_random"
)


def _differences(one: Sequence[Moment], other: Sequence[Moment], message: str) -> Iterator[Fault]:
    """Yield the first moment that is not the same in both."""
    for now, then in zip(one, other, strict=False):
        if now != then:
            name = next(name for name in {**now, **then} if now.get(name) != then.get(name))
            where = f"seed {now['seed']}, step {now['step']}, {name}"
            yield Fault("repeats", "error", message, f"{where}: {_short(now.get(name))}, then {_short(then.get(name))}")
            return


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 160 else f"{text[:160]}..."


class _NotTried(Exception):
    pass


def _elsewhere(task: str, arguments: Mapping[str, Any], seed: int) -> list[list[Moment]]:
    """What processes with other hash seeds meet; they run side by side."""
    try:
        question = json.dumps({"task": task, "arguments": dict(arguments), "seed": seed})
    except TypeError:
        raise _NotTried("an argument of the environment cannot be passed to another process") from None
    path = os.pathsep.join(place for place in sys.path if place)
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", "twosome.principles.repeating"],
            env={**os.environ, "PYTHONPATH": path, "PYTHONHASHSEED": str(number)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        for number in HASH_SEEDS
    ]
    try:
        said = [process.communicate(question, timeout=PATIENCE)[0] for process in processes]
        answers = [json.loads(lines.splitlines()[-1]) for lines in said]
    except (subprocess.TimeoutExpired, ValueError, IndexError, OSError):
        raise _NotTried("another process could not play it") from None
    finally:
        for process in processes:
            process.kill()
            process.wait()
    for answer in answers:
        if isinstance(answer, str):
            raise _NotTried(f"another process could not make it: {answer}")
    return answers


def _answer(question: Mapping[str, Any]) -> Any:
    try:
        with open_task(question["task"], **question["arguments"]) as env:
            return play(env, question["seed"])
    except TwosomeError as error:
        return str(error)


if __name__ == "__main__":
    print("\n" + json.dumps(_answer(json.loads(sys.stdin.read()))))
