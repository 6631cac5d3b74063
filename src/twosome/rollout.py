"""Collects rollouts: environments x policy -> :class:`~twosome.types.Rollout` and finished episodes."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import torch
from gymnasium.vector import VectorEnv
from torch.nn import functional

from twosome.episodes import Episode, Step, decisions, info_entry, pack, replay
from twosome.errors import ConfigError, NumericalError
from twosome.functional.categorical import sample
from twosome.types import OnStage, Policy, Rollout, unheard


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
        longest: Decisions after which an episode that has not ended is left, and the next one begins. While training
            there is no need to: a rollout ends anyway.
        values: Ask the policy for values; else they are 0 in the rollout, and none in the episodes.
        replays: Whether the environments give an episode again from its seed and actions. Where they do not, taking
            up a state begins new episodes instead of those that were open.

    Raises:
        ConfigError: If the environments cannot be divided into groups of that size.
    """

    def __init__(
        self,
        envs: VectorEnv,
        seed: int,
        generator: torch.Generator,
        *,
        greedy: bool = False,
        group_size: int = 1,
        longest: float = math.inf,
        values: bool = True,
        replays: bool = True,
    ) -> None:
        if group_size < 1 or envs.num_envs % group_size:
            raise ConfigError(f"{envs.num_envs} environments cannot be divided into groups of {group_size}")
        self.envs = envs
        self._generator = generator
        self._greedy = greedy
        self._longest = longest
        self._values = values
        self._replays = replays
        self._seeds = np.random.default_rng(seed)
        self._began = self._drawn = 0
        self._group_size = group_size
        # Seeds that others of its group began an episode with, and it did not yet, by environment.
        self._ahead: list[list[_Seed]] = [[] for _ in range(envs.num_envs)]
        self._open = [self._new_episode(index) for index in range(envs.num_envs)]
        observations, _ = envs.reset(seed=[episode.seed for episode in self._open])  # type: ignore[arg-type]
        self._decisions = decisions(observations)

    def collect(self, policy: Policy, steps: int, on_stage: OnStage = unheard) -> tuple[Rollout, list[Episode]]:
        """Act for ``steps`` decisions in every environment: the rollout, and the episodes that ended in it."""
        rows: list[dict[str, Any]] = []
        finished: list[Episode] = []
        count = self.envs.num_envs
        for step in range(steps):
            on_stage(f"collecting, decision {step * count} of {steps * count}")
            row, ended = self._step(policy)
            rows.append(row)
            finished += ended
        if self._values:
            on_stage("valuing what was collected")
            _add_values(policy, rows)
        else:
            _add_none(rows)
        return _rollout(rows), finished

    def run_episodes(
        self, policy: Policy, episodes: int, *, on_progress: Callable[[int, int], None] | None = None
    ) -> list[Episode]:
        """Act until the first ``episodes`` episodes to begin have ended, so that short ones are not favoured.

        Args:
            policy: Chooses the actions.
            episodes: How many episodes.
            on_progress: Called after every step of the environments with the number of those episodes that ended,
                and of the decisions so far.
        """
        first = min(episode.index for episode in self._open)
        wanted = range(first, first + episodes)
        finished: dict[int, Episode] = {}
        taken = 0
        while not all(index in finished for index in wanted):
            _, ended = self._step(policy)
            finished.update((episode.index, episode) for episode in ended)
            taken += self.envs.num_envs
            if on_progress is not None:
                on_progress(sum(index in wanted for index in finished), taken)
        return [finished[index] for index in wanted]

    def state_dict(self) -> dict[str, Any]:
        """Everything an exact continuation needs: the generators, and the open episodes as seeds and actions."""
        return {
            "generator": self._generator.get_state(),
            "seeds": json.dumps(self._seeds.bit_generator.state),
            "began": self._began,
            "drawn": self._drawn,
            "ahead": [[list(seed) for seed in seeds] for seeds in self._ahead],
            "open": [pack(*each) for each in zip(self._open, self._decisions, strict=True)],
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Put back what :meth:`state_dict` returned; open episodes are replayed, or begun anew where they cannot be.

        Raises:
            EnvironmentFault: If an environment does not show or pay what it did: it is not determined by its seed.
        """
        self._generator.set_state(state["generator"])
        self._seeds.bit_generator.state = json.loads(state["seeds"])
        self._began = state["began"]
        # Before there were groups, every episode drew a seed of its own.
        self._drawn = state.get("drawn", self._began)
        self._ahead = [[_Seed(*seed) for seed in seeds] for seeds in state.get("ahead", [[]] * self.envs.num_envs)]
        if self._replays:
            self._open, self._decisions = replay(self.envs, state["open"])
            return
        self._open = [self._new_episode(index) for index in range(self.envs.num_envs)]
        observations, _ = self.envs.reset(seed=[episode.seed for episode in self._open])  # type: ignore[arg-type]
        self._decisions = decisions(observations)

    def _step(self, policy: Policy) -> tuple[dict[str, Any], list[Episode]]:
        """One decision in every environment: a row of the rollout, and the episodes that ended."""
        decided = self._decisions
        with torch.no_grad():
            log_probs = _numbers(policy.action_log_probs(decided).cpu())
        actions = log_probs.argmax(-1) if self._greedy else sample(log_probs, self._generator)
        observations, rewards, terminated, truncated, infos = self.envs.step(actions.numpy())
        durations = info_entry(infos, "duration", default=np.ones(len(decided), dtype=np.int64))
        told = info_entry(infos, "success", default=np.full(len(decided), None, dtype=object))
        followed = decisions(observations)
        for index, episode in enumerate(self._open):
            decision = decided[index]
            probabilities = log_probs[index, : len(decision.actions)].exp().tolist()
            episode.steps.append(
                Step(decision, tuple(probabilities), int(actions[index]), float(rewards[index]), int(durations[index]))
            )
        row: dict[str, Any] = {
            "decisions": decided,
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
        return row, self._reset_ended(np.asarray(terminated), np.asarray(truncated), told)

    def _reset_ended(self, terminated: Any, truncated: Any, told: Any) -> list[Episode]:
        """Close ended episodes, and those that have to be left, and open new ones."""
        left = np.array([episode.length >= self._longest for episode in self._open]) & ~(terminated | truncated)
        ended = terminated | truncated | left
        if not ended.any():
            return []
        closed = []
        for index in np.flatnonzero(ended):
            episode = self._open[index]
            said = None if told[index] is None else bool(told[index])
            episode.close(said, terminated=bool(terminated[index]), left=bool(left[index]))
            closed.append(episode)
            self._open[index] = self._new_episode(int(index))
        seeds = [episode.seed for episode in self._open]
        observations, _ = self.envs.reset(seed=seeds, options={"reset_mask": ended})  # type: ignore[arg-type]
        self._decisions = decisions(observations)
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


def _numbers(log_probs: torch.Tensor) -> torch.Tensor:
    """The log-probabilities, if they are numbers; drawing an action from anything else would mean nothing."""
    if log_probs.isnan().any():
        raise NumericalError(
            "the policy's probabilities are not numbers: its weights have grown beyond bounds, or were damaged; start "
            "again with a lower ppo.policy_learning_rate"
        )
    return log_probs


def _add_values(policy: Policy, rows: Sequence[dict[str, Any]]) -> None:
    """Value the decisions of a rollout and what followed them, all at once: acting does not wait for values."""
    asked = [decision for row in rows for decision in row["decisions"]]
    asked += [decision for row in rows for decision in row["followed"]]
    with torch.no_grad():
        now, then = policy.values(asked).cpu().view(2, len(rows), -1)
    for row, values, next_values in zip(rows, now, then, strict=True):
        row["values"], row["next_values"] = values, next_values
        for (episode, number), value in zip(row.pop("steps"), values.tolist(), strict=True):
            episode.steps[number] = replace(episode.steps[number], value=value)


def _add_none(rows: Sequence[dict[str, Any]]) -> None:
    """Zeros where values would be."""
    for row in rows:
        row["values"] = row["next_values"] = torch.zeros_like(row["rewards"])
        del row["steps"]


def _rollout(rows: Sequence[dict[str, Any]]) -> Rollout:
    widest = max(row["action_log_probs"].shape[-1] for row in rows)
    for row in rows:
        padding = widest - row["action_log_probs"].shape[-1]
        row["action_log_probs"] = functional.pad(row["action_log_probs"], (0, padding), value=-torch.inf)
    texts: dict[str, Any] = {name: tuple(row.pop(name) for row in rows) for name in ("decisions", "followed")}
    tensors: dict[str, Any] = {name: torch.stack([row[name] for row in rows]) for name in rows[0]}
    return Rollout(**texts, **tensors)
