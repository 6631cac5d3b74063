"""The household as a table: every situation met so far, with where each action leads. Shared by all environments.

Nothing in a household is random, so what an action does is worked out once per process and looked up ever after.
"""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from twosome.envs.exploring import Transition
from twosome.virtualhome.household import Household, Rules
from twosome.virtualhome.options import admissible
from twosome.virtualhome.tasks import find_task


class Outcome(NamedTuple):
    """Where an action leads.

    Attributes:
        situation: What follows; the situation before, where the action fails.
        executed: Whether the action did what it says.
    """

    situation: Situation
    executed: bool


class Situation:
    """A state of the household, with all that follows from it.

    Attributes:
        state: The household.
        observation: int8 [facts], 0 or 1; read-only.
        action_mask: int8 [actions], 1 where an action is admissible; read-only.
        admissible: Ids of the admissible actions, ascending.
        success: Whether the task is done.
        outcomes: Where each action leads, by action id; None where not worked out yet.
    """

    __slots__ = ("action_mask", "admissible", "observation", "outcomes", "state", "success")

    def __init__(self, rules: Rules, state: Household) -> None:
        self.state = state
        self.observation: NDArray[np.int8] = np.array(rules.observe(state), dtype=np.int8)
        self.admissible = admissible(rules, state)
        self.action_mask: NDArray[np.int8] = np.zeros(len(rules.task.actions), dtype=np.int8)
        self.action_mask[list(self.admissible)] = 1
        for shared in (self.observation, self.action_mask):
            shared.flags.writeable = False
        self.success = rules.succeeded(state)
        self.outcomes: list[Outcome | None] = [None] * len(rules.task.actions)


class World:
    """All situations of one task under one set of rules; a world for :mod:`twosome.envs.oracle`.

    Under the faithful rules the admissible ids are advice, as published: any action may be tried. Under the repaired
    rules an action that is not admissible changes nothing.

    Args:
        rules: How the household works.
    """

    def __init__(self, rules: Rules) -> None:
        self.rules = rules
        self.task = rules.task
        self._situations: dict[Household, Situation] = {}
        self.initial = self.situation(rules.start())

    @property
    def initial_state(self) -> Household:
        """The household when an episode starts."""
        return self.initial.state

    def actions(self, state: Household) -> tuple[int, ...]:
        """Ids of the admissible actions, ascending."""
        return self.situation(state).admissible

    def transition(self, state: Household, action: int) -> Transition[Household]:
        """What an action leads to, as :mod:`twosome.envs.oracle` wants to know it."""
        after = self.outcome(self.situation(state), action).situation
        return Transition(after.state, float(after.success), 1, after.success, after.success)

    def view(self, state: Household) -> tuple[NDArray[np.int8], dict[str, Any]]:
        """The observation of a household, and the info of a reset that leads to it."""
        situation = self.situation(state)
        return situation.observation.copy(), {"action_mask": situation.action_mask.copy()}

    def situation(self, state: Household) -> Situation:
        """The situation a household is in."""
        known = self._situations.get(state)
        if known is None:
            known = self._situations[state] = Situation(self.rules, state)
        return known

    def outcome(self, situation: Situation, action: int) -> Outcome:
        """Where an action leads."""
        known = situation.outcomes[action]
        if known is None:
            known = situation.outcomes[action] = self._work_out(situation, action)
        return known

    def _work_out(self, situation: Situation, action: int) -> Outcome:
        if not self.rules.faithful and action not in situation.admissible:
            return Outcome(situation, False)
        after = self.rules.act(situation.state, self.task.actions[action])
        return Outcome(situation, False) if after is None else Outcome(self.situation(after), True)


@cache
def shared_world(task: str, faithful: bool, all_actions: bool = False) -> World:
    """This process's table for a task, by name.

    Raises:
        ConfigError: If there is no such task.
    """
    return World(Rules(find_task(task), faithful, all_actions))
