"""Episodes: their steps and how they ended, and how those that are open are kept and taken again.

An open episode is kept as its seed and its actions, and comes back by taking them again. That is only the same episode
if the environment shows and pays the same, so every step is kept with what shows that: digests of its prompt and its
phrases, the phrase that was chosen, the reward and the duration.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn

import numpy as np
from gymnasium.vector import VectorEnv

from twosome.decision import Decision
from twosome.errors import EnvironmentFault
from twosome.success import Outcome, judge


@dataclass(frozen=True)
class Step:
    """One decision of an episode and what followed it."""

    decision: Decision
    probabilities: tuple[float, ...]
    action: int
    reward: float
    duration: int
    value: float | None = None


@dataclass
class Episode:
    """What happened from one reset to the end.

    Attributes:
        index: How many episodes its collector began before it.
        seed: The seed the environment was reset with; with the actions it replays the episode.
        group: How many seeds its collector drew before that one; equal for episodes that share it.
        steps: The decisions, in order.
        success: Whether it ended in success; None where nothing says so (:mod:`twosome.success`).
        told: Whether the environment told that, rather than its rewards.
        truncated: Whether a limit cut the episode.
        left: Whether it was left unfinished, because it did not end by itself.
    """

    index: int
    seed: int
    group: int
    steps: list[Step] = field(default_factory=list)
    success: bool | None = False
    told: bool = False
    truncated: bool = False
    left: bool = False

    @property
    def length(self) -> int:
        """Decisions taken."""
        return len(self.steps)

    @property
    def duration(self) -> int:
        """Primitive steps taken."""
        return sum(step.duration for step in self.steps)

    @property
    def outcome(self) -> Outcome:
        """How it ended."""
        return Outcome(self.success, self.told)

    def discounted_return(self, gamma: float) -> float:
        """Sum of rewards, each discounted by ``gamma`` per primitive step before its decision."""
        total, elapsed = 0.0, 0
        for step in self.steps:
            total += gamma**elapsed * step.reward
            elapsed += step.duration
        return total

    def close(self, told: bool | None, *, terminated: bool, left: bool = False) -> None:
        """Note how it ended.

        Args:
            told: What the environment tells of success, or None.
            terminated: Whether it came to an end, rather than being cut.
            left: Whether it was left unfinished.
        """
        rewards = [step.reward for step in self.steps]
        self.success, self.told = judge(told, terminated=terminated, rewards=rewards)
        self.truncated, self.left = not terminated, left


def pack(episode: Episode, following: Decision) -> dict[str, Any]:
    """An open episode without its texts, which replaying brings back.

    Args:
        episode: The episode.
        following: The decision it is at.
    """
    steps = [
        {
            **{name: getattr(step, name) for name in _NUMBERS},
            **_digests(step.decision),
            "phrase": step.decision.actions[step.action],
        }
        for step in episode.steps
    ]
    return {
        "index": episode.index,
        "seed": episode.seed,
        "group": episode.group,
        "steps": steps,
        "following": _digests(following),
    }


def replay(envs: VectorEnv, records: Sequence[Mapping[str, Any]]) -> tuple[list[Episode], tuple[Decision, ...]]:
    """Bring every environment to where its episode was: the episodes, and the decisions they are at.

    All environments step together. One with fewer steps to replay idles until its time comes, and is then reset with
    its episode's seed. Records of older versions have no digests; then rewards alone are compared, as it was then.

    Args:
        envs: As many environments as there are records.
        records: Of :func:`pack`.

    Raises:
        EnvironmentFault: If an environment does not show or pay what it did.
    """
    episodes = [Episode(r["index"], r["seed"], r.get("group", r["index"])) for r in records]
    seeds = [episode.seed for episode in episodes]
    longest = max(len(record["steps"]) for record in records)
    waits = [longest - len(record["steps"]) for record in records]
    observations, _ = envs.reset(seed=seeds)  # type: ignore[arg-type]
    for moment in range(longest):
        before = decisions(observations)
        turns = [r["steps"][moment - wait] if moment >= wait else None for r, wait in zip(records, waits, strict=True)]
        for turn, episode, decision in zip(turns, episodes, before, strict=True):
            if turn is not None:
                _check_shown(episode, turn, decision)
        actions = np.array([turn["action"] if turn else 0 for turn in turns])
        observations, rewards, terminated, truncated, infos = envs.step(actions)
        ended = np.asarray(terminated) | np.asarray(truncated)
        durations = info_entry(infos, "duration", default=np.ones(len(records), dtype=np.int64))
        for index, turn in enumerate(turns):
            if turn is not None:
                _check_answer(episodes[index], turn, float(rewards[index]), int(durations[index]), bool(ended[index]))
                numbers = {name: turn[name] for name in _NUMBERS}
                step = Step(before[index], **{**numbers, "probabilities": tuple(turn["probabilities"])})
                episodes[index].steps.append(step)
        restart = np.array([wait == moment + 1 for wait in waits]) | ended
        if restart.any():
            observations, _ = envs.reset(seed=seeds, options={"reset_mask": restart})  # type: ignore[arg-type]
    following = decisions(observations)
    for episode, record, decision in zip(episodes, records, following, strict=True):
        _check_shown(episode, record.get("following", {}), decision)
    return episodes, following


def decisions(observations: Any) -> tuple[Decision, ...]:
    """The decisions in a batched text observation, one per environment."""
    pairs = zip(observations["prompt"], observations["actions"], strict=True)
    return tuple(Decision(prompt, tuple(actions)) for prompt, actions in pairs)


def info_entry(infos: Mapping[str, Any], key: str, default: Any) -> Any:
    """A per-environment info entry, with the default where an environment gave none."""
    if key not in infos:
        return default
    given = infos.get(f"_{key}", np.ones(len(default), dtype=bool))
    return np.where(given, infos[key], default)


_NUMBERS = ("probabilities", "action", "reward", "duration", "value")


def _digests(decision: Decision) -> dict[str, str]:
    """What tells a decision from others, in a few letters."""
    return {"prompt": _digest(decision.prompt), "actions": _digest("\0".join(decision.actions))}


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _check_shown(episode: Episode, then: Mapping[str, Any], decision: Decision) -> None:
    """Compare a decision with what is kept of it."""
    now, action, phrase = _digests(decision), then.get("action", -1), then.get("phrase")
    if phrase is not None and (action >= len(decision.actions) or decision.actions[action] != phrase):
        said = repr(decision.actions[action]) if action < len(decision.actions) else "not there"
        _refuse(episode, f"action {action + 1} was {phrase!r} and now is {said}")
    if then.get("actions", now["actions"]) != now["actions"]:
        shown = ", ".join(map(repr, decision.actions))
        _refuse(episode, f"offered other actions (then SHA-256 {then['actions']}, now {now['actions']}: {shown:.200})")
    if then.get("prompt", now["prompt"]) != now["prompt"]:
        shown = f"...{decision.prompt[-200:]}"
        _refuse(episode, f"showed another prompt (then SHA-256 {then['prompt']}, now {now['prompt']}: {shown!r})")


def _check_answer(episode: Episode, then: Mapping[str, Any], reward: float, duration: int, ended: bool) -> None:
    """Compare what a step was answered with what is kept of it."""
    if then["reward"] != reward:
        _refuse(episode, f"paid {reward} instead of {then['reward']}")
    if then["duration"] != duration:
        _refuse(episode, f"lasted {duration} primitive steps instead of {then['duration']}")
    if ended:
        _refuse(episode, "ended the episode, which went on then")


def _refuse(episode: Episode, what: str) -> NoReturn:
    raise EnvironmentFault(
        f"replaying the episode with seed {episode.seed}, step {episode.length + 1} {what}: "
        "the environment is not determined by its seed and its actions, so the run cannot be continued exactly; draw "
        "what is random from self.np_random, and sort what comes from a set, whose order changes with PYTHONHASHSEED "
        "(`twosome check-env` says where); then start a new run, or resume with the PYTHONHASHSEED of before"
    )
