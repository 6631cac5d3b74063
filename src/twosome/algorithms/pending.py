"""Episodes that wait for their group: they are learned from when all that began alike have ended."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from twosome.decision import Decision
from twosome.functional.groups import Trajectory
from twosome.types import Rollout


@dataclass
class Member:
    """An episode of a group, as far as it went: what was met, done, thought and paid, one of each for every decision.

    Attributes:
        decisions: The decisions.
        actions: Indices of the actions taken.
        log_probs: Of every admissible action under the policy that acted.
        rewards: What each was paid.
        durations: Primitive steps each took.
        ended: Whether it is over.
        followed: The decision at which a limit cut it.
    """

    decisions: list[Decision] = field(default_factory=list)
    actions: list[int] = field(default_factory=list)
    log_probs: list[list[float]] = field(default_factory=list)
    rewards: list[float] = field(default_factory=list)
    durations: list[int] = field(default_factory=list)
    ended: bool = False
    followed: Decision | None = None

    def trajectory(self, semi_mdp: bool, bootstrap_truncated: bool) -> Trajectory:
        """It as its group judges it."""
        durations = self.durations if semi_mdp else [1] * len(self.durations)
        return Trajectory(self.decisions, self.rewards, durations, self.followed if bootstrap_truncated else None)

    @property
    def action_log_probs(self) -> Tensor:
        """Float32 [decisions, A], padded with ``-inf``."""
        rows = [torch.tensor(row) for row in self.log_probs]
        return pad_sequence(rows, batch_first=True, padding_value=-torch.inf)


class Pending:
    """Keeps the episodes of groups that are not complete.

    Args:
        size: Episodes in a group.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._groups: dict[int, dict[int, Member]] = {}

    def add(self, rollout: Rollout) -> None:
        """Take a rollout's decisions, each to its episode."""
        for t, row in enumerate(rollout.decisions):
            for n, decision in enumerate(row):
                group = self._groups.setdefault(int(rollout.groups[t, n]), {})
                member = group.setdefault(int(rollout.episodes[t, n]), Member())
                member.decisions.append(decision)
                member.actions.append(int(rollout.actions[t, n]))
                member.log_probs.append(rollout.action_log_probs[t, n, : len(decision.actions)].tolist())
                member.rewards.append(float(rollout.rewards[t, n]))
                member.durations.append(int(rollout.durations[t, n]))
                cut = bool(rollout.truncated[t, n]) and not bool(rollout.terminated[t, n])
                member.ended = cut or bool(rollout.terminated[t, n])
                member.followed = rollout.followed[t][n] if cut and rollout.followed else None

    def complete(self) -> Iterator[list[Member]]:
        """The groups all of whose episodes have ended, each once, in the order of their beginning."""
        for number in sorted(self._groups):
            members = self._groups[number]
            if len(members) == self._size and all(member.ended for member in members.values()):
                del self._groups[number]
                yield [members[index] for index in sorted(members)]

    def __len__(self) -> int:
        return sum(len(member.decisions) for group in self._groups.values() for member in group.values())

    def state_dict(self) -> dict[str, Any]:
        """All of it; every decision's texts once."""
        texts: dict[Decision, int] = {}

        def number(decision: Decision) -> int:
            return texts.setdefault(decision, len(texts))

        groups = {
            key: {
                index: {
                    **vars(member),
                    "decisions": [number(decision) for decision in member.decisions],
                    "followed": None if member.followed is None else number(member.followed),
                }
                for index, member in group.items()
            }
            for key, group in self._groups.items()
        }
        return {"groups": groups, "texts": [[decision.prompt, list(decision.actions)] for decision in texts]}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Put back what :meth:`state_dict` returned."""
        decisions = [Decision(prompt, tuple(actions)) for prompt, actions in state["texts"]]
        self._groups = {
            key: {
                index: Member(
                    **{
                        **packed,
                        "decisions": [decisions[number] for number in packed["decisions"]],
                        "followed": None if packed["followed"] is None else decisions[packed["followed"]],
                    }
                )
                for index, packed in group.items()
            }
            for key, group in state["groups"].items()
        }
