"""Text environments that wait for others, side by side: their waiting overlaps, their numbers do not change."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from functools import partial
from typing import Any

import gymnasium

from twosome.text.batches import TextVectorEnv
from twosome.text.states import traits


class ThreadVectorEnv(TextVectorEnv):
    """Text environments of this process, each asked in a thread of its own; autoreset is disabled.

    Every environment has one call under way at most. The first fault ends the waiting for the others; closing must
    wake whoever still waits in one of them.

    Args:
        makers: Make the environments, guarded ones.

    Raises:
        TwosomeError: Of the first environment that cannot be made.
    """

    def __init__(self, makers: Sequence[Callable[[], gymnasium.Env[Any, Any]]]) -> None:
        super().__init__(len(makers))
        self._pool = ThreadPoolExecutor(len(makers), thread_name_prefix="environment")
        self.envs: dict[int, gymnasium.Env[Any, Any]] = {}
        try:
            self._all({index: partial(self._make, index, maker) for index, maker in enumerate(makers)})
            self._describe(self.envs[0].observation_space, self.envs[0].action_space, traits(self.envs[0]))
        except BaseException:
            self.close()
            raise

    def close_extras(self, **kwargs: Any) -> None:
        """Close the environments."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        for env in list(self.envs.values()):
            env.close()
        self._pool.shutdown()
        for env in self.envs.values():  # those that were still being made
            env.close()

    def _make(self, index: int, maker: Callable[[], gymnasium.Env[Any, Any]]) -> None:
        self.envs[index] = maker()

    def _reset_each(self, calls: Mapping[int, dict[str, Any]]) -> Mapping[int, tuple[Any, Any]]:
        return self._all({index: partial(self.envs[index].reset, **call) for index, call in calls.items()})

    def _step_each(self, calls: Mapping[int, dict[str, Any]]) -> Mapping[int, tuple[Any, ...]]:
        return self._all({index: partial(self.envs[index].step, **call) for index, call in calls.items()})

    def _all(self, calls: Mapping[int, Callable[[], Any]]) -> dict[int, Any]:
        """What every call returns; the error of the first that fails, by number, as soon as there is one."""
        under_way = {index: self._pool.submit(call) for index, call in calls.items()}
        done, _ = wait(under_way.values(), return_when=FIRST_EXCEPTION)
        for answer in under_way.values():
            if answer in done and (error := answer.exception()) is not None:
                raise error
        return {index: answer.result() for index, answer in under_way.items()}
