"""What acting leaves behind: readings with what their gradient takes, and which decisions are likely to come."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import Parameter

from twosome.decision import Decision
from twosome.scoring.memory import Memory
from twosome.scoring.readers import PackedReader


class KeptReadings:
    """Log-probabilities that still know how they were made, in the groups they were read in.

    The first step of an update asks for what the same weights said while acting. What was kept then spares it a second
    reading: there is nothing left to do but the backward pass. Each group serves one backward pass and is forgotten.

    Args:
        parameters: The weights that train; as soon as one differs from what it was, nothing kept is true any more.
        limit: Most bytes to keep.
    """

    def __init__(self, parameters: Sequence[Parameter], limit: int) -> None:
        self._parameters = parameters
        self._limit = limit
        self._groups: dict[Decision, _Group] = {}
        self._weights: list[Tensor] = []
        self.nbytes = 0

    @property
    def full(self) -> bool:
        """Whether no more is to be kept."""
        return self.nbytes >= self._limit

    def clear(self) -> None:
        """Forget all."""
        self._groups, self._weights, self.nbytes = {}, [], 0

    def read(
        self,
        reader: PackedReader,
        groups: Sequence[Sequence[Decision]],
        log_probs: Callable[[Sequence[Decision]], Tensor],
        wanted: Sequence[Decision],
    ) -> list[Tensor]:
        """Log-probabilities [A] of ``wanted`` decisions, without gradient; as far as there is room, it is kept.

        Args:
            reader: What ``log_probs`` reads with.
            groups: All of them, as they are best read together.
            log_probs: Reads a group: [B, A].
            wanted: The order in which they are wanted.
        """
        found: dict[Decision, Tensor] = {}
        for group in groups:
            with torch.set_grad_enabled(not self.full):
                rows = log_probs(group)
            if rows.requires_grad:
                self.put(group, rows, reader.held_bytes)
            found |= zip(group, rows.detach(), strict=True)
        return [found[decision][: len(decision.actions)] for decision in wanted]

    def put(self, decisions: Sequence[Decision], log_probs: Tensor, nbytes: int) -> None:
        """Keep ``log_probs`` [B, A] of decisions that were read together, for whose gradient ``nbytes`` are held."""
        if not self._groups:
            self._weights = [parameter.detach().clone() for parameter in self._parameters]
        self._groups |= dict.fromkeys(decisions, _Group(tuple(decisions), log_probs))
        self.nbytes += nbytes

    def batches(self, decisions: Sequence[Decision]) -> tuple[list[list[Decision]], list[Decision]]:
        """Those of the decisions that are kept, group by group, and the others."""
        self._check()
        together: dict[int, list[Decision]] = {}
        others = []
        for decision in decisions:
            group = self._groups.get(decision)
            if group is None:
                others.append(decision)
            else:
                together.setdefault(id(group), []).append(decision)
        return list(together.values()), others

    def take(self, decisions: Sequence[Decision]) -> Tensor | None:
        """The log-probabilities [B, A] of decisions of one group, which is forgotten; None if it is not kept."""
        self._check()
        groups = {id(group): group for group in map(self._groups.get, decisions)}
        if len(groups) != 1:
            return None
        (group,) = groups.values()
        if group is None:
            return None
        for decision in group.decisions:
            del self._groups[decision]
        place = {decision: number for number, decision in enumerate(group.decisions)}
        rows = torch.tensor([place[decision] for decision in decisions], device=group.log_probs.device)
        widest = max(len(decision.actions) for decision in decisions)
        return group.log_probs.index_select(0, rows)[:, :widest]

    def _check(self) -> None:
        """Forget all if the weights changed; their own counters would not tell (fused optimizers)."""
        if self._groups and not all(map(torch.equal, self._weights, self._parameters)):
            self.clear()


class _Group:
    """Decisions that were read together, and what was found."""

    def __init__(self, decisions: tuple[Decision, ...], log_probs: Tensor) -> None:
        self.decisions = decisions
        self.log_probs = log_probs


class Visited:
    """Tells which decisions are likely to come, from those between the last two changes of the weights."""

    def __init__(self, memory_limit: int) -> None:
        self._limit = memory_limit
        self._now: Memory[Decision, None] = Memory(memory_limit)
        self._before: Memory[Decision, None] = Memory(memory_limit)

    def add(self, decisions: Sequence[Decision]) -> None:
        """Take note of decisions that came."""
        for decision in decisions:
            self._now.put(decision, None, _size(decision))

    def state_dict(self) -> dict[str, list[Any]]:
        """The decisions since the last change and before it, in order."""
        return {"now": [_packed(decision) for decision in self._now], "before": [_packed(d) for d in self._before]}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Put back what :meth:`state_dict` returned."""
        self._now, self._before = Memory(self._limit), Memory(self._limit)
        for memory, name in ((self._now, "now"), (self._before, "before")):
            for prompt, actions in state[name]:
                decision = Decision(prompt, tuple(actions))
                memory.put(decision, None, _size(decision))

    def turn(self, hopeful: bool = False) -> list[Decision]:
        """The weights changed: what came since the last change, if half of what came before it came again.

        Args:
            hopeful: Believe so where nothing came before.
        """
        again = sum(decision in self._now for decision in self._before)
        known = hopeful or self._before
        likely = list(self._now) if known and 2 * again >= len(self._before) else []
        self._before, self._now = self._now, Memory(self._limit)
        return likely


def _size(decision: Decision) -> int:
    return len(decision.prompt) + sum(map(len, decision.actions))


def _packed(decision: Decision) -> list[Any]:
    return [decision.prompt, list(decision.actions)]
