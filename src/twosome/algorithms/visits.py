"""What the last groups met: the returns from every state that they visited."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from twosome.decision import Decision


class Visits:
    """Remembers the visits of the last groups.

    Args:
        groups: How many.
    """

    def __init__(self, groups: int) -> None:
        self._groups: deque[Mapping[Decision, Sequence[float]]] = deque(maxlen=groups)

    def add(self, returns: Mapping[Decision, Sequence[float]]) -> None:
        """Remember one more group, and forget the oldest of too many."""
        self._groups.append(returns)

    def of(self, decisions: Iterable[Decision]) -> dict[Decision, list[float]]:
        """The returns from each of the decisions that was visited."""
        found = {}
        for decision in dict.fromkeys(decisions):
            returns = [total for group in self._groups for total in group.get(decision, ())]
            if returns:
                found[decision] = returns
        return found

    def state_dict(self) -> dict[str, Any]:
        """All of it; every decision's texts once."""
        numbers = {decision: i for i, decision in enumerate(dict.fromkeys(d for group in self._groups for d in group))}
        groups = [[[numbers[decision], list(returns)] for decision, returns in group.items()] for group in self._groups]
        return {"texts": [[decision.prompt, list(decision.actions)] for decision in numbers], "groups": groups}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Put back what :meth:`state_dict` returned."""
        decisions = [Decision(prompt, tuple(actions)) for prompt, actions in state["texts"]]
        self._groups.clear()
        self._groups.extend({decisions[number]: returns for number, returns in group} for group in state["groups"])
