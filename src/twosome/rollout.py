"""Collects rollouts: environments x policy -> :class:`~twosome.types.Rollout` and finished episodes."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np
import torch
from gymnasium.vector import VectorEnv
from torch.nn import functional

from twosome.decision import Decision
from twosome.errors import ConfigError, EnvironmentFault, NumericalError
from twosome.functional.categorical import sample
from twosome.types import Policy, Rollout


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
        success: Whether the environment called the end a success.
        truncated: Whether a limit cut the episode.
    """

    index: int
    seed: int
    group: int
    steps: list[Step] = field(default_factory=list)
    success: bool = False
    truncated: bool = False

    @property
    def length(self) -> int:
        """Decisions taken."""
        return len(self.steps)

    @property
    def duration(self) -> int:
        """Primitive steps taken."""
        return sum(step.duration for step in self.steps)

    def discounted_return(self, gamma: float) -> float:
        """Sum of rewards, each discounted by ``gamma`` per primitive step before its decision."""
        total, elapsed = 0.0, 0
        for step in self.steps:
            total += gamma**elapsed * step.reward
            elapsed += step.duration
        return total


class Collector:
    """Runs a policy in vectorised text environments, and keeps the episodes that are still open.

    The environments must have autoreset disabled: the collector resets ended ones itself, with a seed of its own for
    every episode, so that a row is always a decision and the state that really followed is never lost.

    Args:
        envs: N text environments, made with ``AutoresetMode.DISABLED``.
        seed: Episode seeds are drawn from a generator seeded with this.
        generator: Draws the actions.
        greedy: Take the most probable action instead of drawing one.
        group_size: So many neighbouring environments share their seeds: the k-th episodes of a group all begin alike,
            whenever each of them gets there.

    Raises:
        ConfigError: If the environments cannot be divided into groups of that size.
    """

    def __init__(
        self, envs: VectorEnv, seed: int, generator: torch.Generator, *, greedy: bool = False, group_size: int = 1
    ) -> None:
        if group_size < 1 or envs.num_envs % group_size:
            raise ConfigError(f"{envs.num_envs} environments cannot be divided into groups of {group_size}")
        self.envs = envs
        self._generator = generator
        self._greedy = greedy
        self._seeds = np.random.default_rng(seed)
        self._began = self._drawn = 0
        self._group_size = group_size
        # Seeds that others of its group began an episode with, and it did not yet, by environment.
        self._ahead: list[list[_Seed]] = [[] for _ in range(envs.num_envs)]
        self._open = [self._new_episode(index) for index in range(envs.num_envs)]
        observations, _ = envs.reset(seed=[episode.seed for episode in self._open])  # type: ignore[arg-type]
        self._decisions = _decisions(observations)

    def collect(self, policy: Policy, steps: int) -> tuple[Rollout, list[Episode]]:
        """Act for ``steps`` decisions in every environment: the rollout, and the episodes that ended in it."""
        rows: list[dict[str, Any]] = []
        finished: list[Episode] = []
        for _ in range(steps):
            row, ended = self._step(policy)
            rows.append(row)
            finished += ended
        _add_values(policy, rows)
        return _rollout(rows), finished

    def run_episodes(
        self, policy: Policy, episodes: int, *, on_progress: Callable[[int], None] | None = None
    ) -> list[Episode]:
        """Act until the first ``episodes`` episodes to begin have ended, so that short ones are not favoured.

        Args:
            policy: Chooses the actions.
            episodes: How many episodes.
            on_progress: Called with the number of episodes that ended, whenever it grows.
        """
        first = min(episode.index for episode in self._open)
        wanted = range(first, first + episodes)
        finished: dict[int, Episode] = {}
        while not all(index in finished for index in wanted):
            _, ended = self._step(policy)
            finished.update((episode.index, episode) for episode in ended)
            if ended and on_progress is not None:
                on_progress(min(len(finished), episodes))
        return [finished[index] for index in wanted]

    def state_dict(self) -> dict[str, Any]:
        """Everything an exact continuation needs: the generators, and the open episodes as seeds and actions."""
        return {
            "generator": self._generator.get_state(),
            "seeds": json.dumps(self._seeds.bit_generator.state),
            "began": self._began,
            "drawn": self._drawn,
            "ahead": [[list(seed) for seed in seeds] for seeds in self._ahead],
            "open": [_pack_episode(episode) for episode in self._open],
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Put back what :meth:`state_dict` returned; the open episodes are replayed.

        Raises:
            EnvironmentFault: If an environment does not pay what it paid before: it is not determined by its seed.
        """
        self._generator.set_state(state["generator"])
        self._seeds.bit_generator.state = json.loads(state["seeds"])
        self._began = state["began"]
        # Before there were groups, every episode drew a seed of its own.
        self._drawn = state.get("drawn", self._began)
        self._ahead = [[_Seed(*seed) for seed in seeds] for seeds in state.get("ahead", [[]] * self.envs.num_envs)]
        self._open = self._replay(state["open"])

    def _replay(self, records: Sequence[Mapping[str, Any]]) -> list[Episode]:
        """Bring every environment to where its episode was.

        All environments step together. One with fewer steps to replay idles until its time comes, and is then reset
        with its episode's seed.
        """
        episodes = [Episode(r["index"], r["seed"], r.get("group", r["index"])) for r in records]
        seeds = [episode.seed for episode in episodes]
        longest = max(len(record["steps"]) for record in records)
        waits = [longest - len(record["steps"]) for record in records]
        observations, _ = self.envs.reset(seed=seeds)  # type: ignore[arg-type]
        for moment in range(longest):
            decisions = _decisions(observations)
            turns = [
                r["steps"][moment - wait] if moment >= wait else None for r, wait in zip(records, waits, strict=True)
            ]
            actions = np.array([turn["action"] if turn else 0 for turn in turns])
            observations, rewards, terminated, truncated, _ = self.envs.step(actions)
            for turn, episode, decision, reward in zip(turns, episodes, decisions, rewards, strict=True):
                if turn is not None:
                    _check_replay(episode, turn["reward"], float(reward))
                    episode.steps.append(Step(decision, **{**turn, "probabilities": tuple(turn["probabilities"])}))
            begins_next = np.array([wait == moment + 1 for wait in waits])
            restart = begins_next | np.asarray(terminated) | np.asarray(truncated)
            if restart.any():
                observations, _ = self.envs.reset(seed=seeds, options={"reset_mask": restart})  # type: ignore[arg-type]
        self._decisions = _decisions(observations)
        return episodes

    def _step(self, policy: Policy) -> tuple[dict[str, Any], list[Episode]]:
        """One decision in every environment: a row of the rollout, and the episodes that ended."""
        decisions = self._decisions
        with torch.no_grad():
            log_probs = _numbers(policy.action_log_probs(decisions).cpu())
        actions = log_probs.argmax(-1) if self._greedy else sample(log_probs, self._generator)
        observations, rewards, terminated, truncated, infos = self.envs.step(actions.numpy())
        durations = _info(infos, "duration", default=np.ones(len(decisions), dtype=np.int64))
        success = _info(infos, "success", default=terminated)
        followed = _decisions(observations)
        for index, episode in enumerate(self._open):
            decision = decisions[index]
            probabilities = log_probs[index, : len(decision.actions)].exp().tolist()
            episode.steps.append(
                Step(decision, tuple(probabilities), int(actions[index]), float(rewards[index]), int(durations[index]))
            )
        row: dict[str, Any] = {
            "decisions": decisions,
            "followed": followed,
            "steps": [(episode, episode.length - 1) for episode in self._open],
            "actions": actions,
            "action_log_probs": log_probs,
            "rewards": torch.as_tensor(rewards, dtype=torch.float32),
            "durations": torch.as_tensor(np.asarray(durations), dtype=torch.int64),
            "terminated": torch.as_tensor(terminated),
            "truncated": torch.as_tensor(truncated),
        }
        for name, attribute in (("episodes", "index"), ("groups", "group")):
            row[name] = torch.tensor([getattr(episode, attribute) for episode in self._open])
        self._decisions = followed
        return row, self._reset_ended(terminated, truncated, success)

    def _reset_ended(self, terminated: Any, truncated: Any, success: Any) -> list[Episode]:
        """Close ended episodes and open new ones."""
        ended = np.asarray(terminated) | np.asarray(truncated)
        if not ended.any():
            return []
        closed = []
        for index in np.flatnonzero(ended):
            episode = self._open[index]
            episode.success = bool(success[index])
            episode.truncated = bool(truncated[index]) and not bool(terminated[index])
            closed.append(episode)
            self._open[index] = self._new_episode(int(index))
        seeds = [episode.seed for episode in self._open]
        observations, _ = self.envs.reset(seed=seeds, options={"reset_mask": ended})  # type: ignore[arg-type]
        self._decisions = _decisions(observations)
        return closed

    def _new_episode(self, environment: int) -> Episode:
        """The next episode of an environment, from the seed that its group has for it, or from a new one."""
        if not self._ahead[environment]:
            first = environment - environment % self._group_size
            drawn = _Seed(self._drawn, int(self._seeds.integers(2**31)))
            self._drawn += 1
            for member in range(first, first + self._group_size):
                self._ahead[member].append(drawn)
        start = self._ahead[environment].pop(0)
        self._began += 1
        return Episode(index=self._began - 1, seed=start.seed, group=start.number)


class _Seed(NamedTuple):
    """A seed, and how many were drawn before it."""

    number: int
    seed: int


def _pack_episode(episode: Episode) -> dict[str, Any]:
    """An open episode without its texts, which replaying brings back."""
    steps = [{name: getattr(step, name) for name in _STEP_NUMBERS} for step in episode.steps]
    return {"index": episode.index, "seed": episode.seed, "group": episode.group, "steps": steps}


def _check_replay(episode: Episode, then: float, now: float) -> None:
    if then != now:
        raise EnvironmentFault(
            f"replaying the episode with seed {episode.seed}, step {episode.length + 1} paid {now} instead of {then}: "
            "the environment is not determined by its seed and its actions, so the run cannot be continued exactly"
        )


_STEP_NUMBERS = ("probabilities", "action", "reward", "duration", "value")


def _decisions(observations: Any) -> tuple[Decision, ...]:
    """The decisions in a batched text observation, one per environment."""
    pairs = zip(observations["prompt"], observations["actions"], strict=True)
    return tuple(Decision(prompt, tuple(actions)) for prompt, actions in pairs)


def _numbers(log_probs: torch.Tensor) -> torch.Tensor:
    """The log-probabilities, if they are numbers; drawing an action from anything else would mean nothing."""
    if log_probs.isnan().any():
        raise NumericalError(
            "the policy's probabilities are not numbers: its weights have grown beyond bounds, or were damaged; start "
            "again with a lower ppo.policy_learning_rate"
        )
    return log_probs


def _info(infos: dict[str, Any], key: str, default: Any) -> Any:
    """A per-environment info entry, with the default where an environment gave none."""
    if key not in infos:
        return default
    given = infos.get(f"_{key}", np.ones(len(default), dtype=bool))
    return np.where(given, infos[key], default)


def _add_values(policy: Policy, rows: Sequence[dict[str, Any]]) -> None:
    """Value the decisions of a rollout and what followed them, all at once: acting does not wait for values."""
    asked = [decision for row in rows for decision in row["decisions"]]
    asked += [decision for row in rows for decision in row.pop("followed")]
    with torch.no_grad():
        now, then = policy.values(asked).cpu().view(2, len(rows), -1)
    for row, values, next_values in zip(rows, now, then, strict=True):
        row["values"], row["next_values"] = values, next_values
        for (episode, number), value in zip(row.pop("steps"), values.tolist(), strict=True):
            episode.steps[number] = replace(episode.steps[number], value=value)


def _rollout(rows: Sequence[dict[str, Any]]) -> Rollout:
    widest = max(row["action_log_probs"].shape[-1] for row in rows)
    for row in rows:
        padding = widest - row["action_log_probs"].shape[-1]
        row["action_log_probs"] = functional.pad(row["action_log_probs"], (0, padding), value=-torch.inf)
    tensors = {name: torch.stack([row[name] for row in rows]) for name in rows[0] if name != "decisions"}
    return Rollout(decisions=tuple(row["decisions"] for row in rows), **tensors)
