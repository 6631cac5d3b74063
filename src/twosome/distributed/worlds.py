"""The environments of a run, each in one of its processes, seen whole by all of them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv

from twosome.distributed.ranks import Ranks, shares_of
from twosome.episodes import info_entry
from twosome.text.batches import asked_to_reset
from twosome.text.states import Traits
from twosome.text.tasks import vector_traits


class SharedVectorEnv(VectorEnv):
    """``num_envs`` text environments, neighbours together in a process; every process sees what all of them answer.

    What is asked of it is the same in every process, and so are its answers: an environment is known by its index,
    whichever process has it. Autoreset is disabled.

    Args:
        num_envs: How many in all.
        make: Makes those whose indices are given as ``members``, at least one.
        ranks: The processes.
    """

    def __init__(self, num_envs: int, make: Callable[..., VectorEnv], ranks: Ranks) -> None:
        self.num_envs = num_envs
        self.metadata = {"autoreset_mode": AutoresetMode.DISABLED}
        self._ranks = ranks
        self._own = shares_of(ranks.rank, ranks.count, num_envs)
        self._envs = make(members=self._own) if self._own else None
        self._shown: list[Any] = [None] * num_envs
        said = [asdict(vector_traits(self._envs))] if self._envs is not None else []
        self.traits = Traits(**self._exchanged(said)[0])

    def reset(
        self, *, seed: int | Sequence[int | None] | None = None, options: Mapping[str, Any] | None = None
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Reset all environments, or those that ``options["reset_mask"]`` marks; see Gymnasium's vector API."""
        mask, seeds, further = asked_to_reset(self.num_envs, seed, options)
        shown = []
        if self._envs is not None and mask[self._slice].any():
            own = {**further, "reset_mask": mask[self._slice]}
            observations, _ = self._envs.reset(seed=seeds[self._slice], options=own)  # type: ignore[arg-type]
            shown = [[index, *_shown(observations, place)] for place, index in enumerate(self._own) if mask[index]]
        for index, *decision in self._exchanged(shown):
            self._shown[index] = decision
        return self._batched(), {}

    def step(self, actions: Any) -> tuple[dict[str, Any], Any, Any, Any, dict[str, Any]]:
        """Take one action in every environment; see Gymnasium's vector API."""
        answers = self._exchanged([] if self._envs is None else self._answers(np.asarray(actions)[self._slice]))
        self._shown = [answer[:2] for answer in answers]
        rewards, terminated, truncated, durations, success = zip(*(answer[2:] for answer in answers), strict=True)
        infos = {"duration": np.array(durations), "success": np.array(success, dtype=object)}
        flags = (np.array(each, dtype=np.bool_) for each in (terminated, truncated))
        return self._batched(), np.array(rewards, dtype=np.float64), *flags, infos  # type: ignore[return-value]

    def close_extras(self, **kwargs: Any) -> None:
        """Close this process's environments."""
        if self._envs is not None:
            self._envs.close()

    @property
    def _slice(self) -> slice:
        return slice(self._own.start, self._own.stop)

    def _answers(self, actions: Any) -> list[list[Any]]:
        """What its environments answer: prompt, actions, reward, terminated, truncated, duration, success."""
        assert self._envs is not None
        observations, rewards, terminated, truncated, infos = self._envs.step(actions)
        durations = info_entry(infos, "duration", default=np.ones(len(self._own), dtype=np.int64))
        told = info_entry(infos, "success", default=np.full(len(self._own), None, dtype=object))
        return [
            [
                *_shown(observations, place),
                float(rewards[place]),
                bool(terminated[place]),
                bool(truncated[place]),
                int(durations[place]),
                None if told[place] is None else bool(told[place]),
            ]
            for place in range(len(self._own))
        ]

    def _batched(self) -> dict[str, Any]:
        return {
            "prompt": tuple(prompt for prompt, _ in self._shown),
            "actions": tuple(tuple(actions) for _, actions in self._shown),
        }

    def _exchanged(self, own: list[Any]) -> list[Any]:
        """What all processes have to tell, by rank and so by index; numbers come through JSON unchanged."""
        return [each for told in self._ranks.gather(json.dumps(own).encode()) for each in json.loads(told)]


def _shown(observations: Any, place: int) -> list[Any]:
    return [observations["prompt"][place], list(observations["actions"][place])]
