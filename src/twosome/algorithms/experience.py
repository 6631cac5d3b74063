"""Everything that was met and done, kept as numbers: decisions by number, episodes in order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from twosome.decision import Decision
from twosome.functional.advantages import semi_mdp_discounts
from twosome.types import Rollout

NOTHING = -1
"""The number of the decision that follows an end: there is none."""


@dataclass(frozen=True)
class Episodes:
    """Stored decisions in the order in which they were taken, padded: [L, E], L decisions in the longest of E episodes.

    Attributes:
        real: Bool, False after an episode's last decision.
        decision: int64, the number of the decision.
        action: int64, what was done.
        following: int64, the number of the decision that came next; 0 where none did.
        reward: float64.
        discount: float64, gamma to the power of the duration; 0 where the episode terminated. Where a time limit cut
            it, or it is not over, the value of what follows counts.
        log_prob: float64, of what was done under the policy that acted.
        age: int64, how many kept episodes began after it.
    """

    real: Tensor
    decision: Tensor
    action: Tensor
    following: Tensor
    reward: Tensor
    discount: Tensor
    log_prob: Tensor
    age: Tensor


class Experience:
    """The last decisions that were taken, whole episodes at a time.

    Args:
        gamma: Discount per primitive step.
        limit: About how many taken decisions are kept; the oldest episodes go first.

    Attributes:
        decisions: The distinct decisions of what is kept, by number.
    """

    _WHOLE = ("episode", "decision", "action", "following")
    _REAL = ("reward", "discount", "log_prob")

    def __init__(self, gamma: float, limit: int) -> None:
        self.decisions: list[Decision] = []
        self._gamma = gamma
        self._limit = limit
        self._numbers: dict[Decision, int] = {}
        self._columns: dict[str, list[Any]] = {name: [] for name in (*self._WHOLE, *self._REAL)}

    def __len__(self) -> int:
        return len(self._columns["action"])

    def number(self, decision: Decision) -> int | None:
        """The number of a decision; None if it is not among what is kept."""
        return self._numbers.get(decision)

    def add(self, rollout: Rollout) -> None:
        """Keep what a rollout holds, and let go of what is too old.

        Raises:
            ValueError: If the rollout does not say what followed.
        """
        if len(rollout.followed) != len(rollout.decisions):
            raise ValueError("values of actions need Rollout.followed: the decision after each, final states included")
        discounts = semi_mdp_discounts(self._gamma, rollout.durations, rollout.terminated).tolist()
        rows = zip(
            rollout.decisions,
            rollout.followed,
            rollout.terminated.tolist(),
            rollout.episodes.tolist(),
            rollout.actions.tolist(),
            rollout.rewards.tolist(),
            discounts,
            rollout.log_probs.tolist(),
            strict=True,
        )
        for row in rows:
            for decision, followed, terminated, episode, action, reward, discount, log_prob in zip(*row, strict=True):
                following = NOTHING if terminated else self._numbered(followed)
                taken = (episode, self._numbered(decision), action, following, reward, discount, log_prob)
                for column, value in zip(self._columns.values(), taken, strict=True):
                    column.append(value)
        if len(self) > self._limit:
            self._forget()

    def episodes(self) -> Episodes:
        """All of it, episode by episode."""
        number = torch.tensor(self._columns["episode"])
        order = torch.argsort(number, stable=True)
        _, place, lengths = torch.unique_consecutive(number[order], return_inverse=True, return_counts=True)
        starts = torch.cumsum(lengths, 0) - lengths
        step = torch.arange(len(order)) - starts[place]
        shape = int(lengths.max()), len(lengths)

        def padded(values: Tensor) -> Tensor:
            found = torch.zeros(shape, dtype=values.dtype)
            found[step, place] = values[order]
            return found

        whole = {name: padded(torch.tensor(self._columns[name])) for name in self._WHOLE[1:]}
        real = {name: padded(torch.tensor(self._columns[name], dtype=torch.float64)) for name in self._REAL}
        age = torch.arange(len(lengths) - 1, -1, -1).expand(shape)
        return Episodes(
            real=padded(torch.ones(len(order), dtype=torch.bool)),
            age=age,
            **{**whole, "following": whole["following"].clamp_min(0)},
            **real,
        )

    def counts(self, widest: int) -> Tensor:
        """How often each action of each decision was taken: float32 [D, ``widest``]."""
        found = torch.zeros(len(self.decisions) * widest)
        decision, action = (torch.tensor(self._columns[name], dtype=torch.int64) for name in ("decision", "action"))
        found.index_add_(0, decision * widest + action, torch.ones(len(decision)))
        return found.view(-1, widest)

    def state_dict(self) -> dict[str, Any]:
        """All of it."""
        columns = {name: torch.tensor(self._columns[name], dtype=torch.int64) for name in self._WHOLE}
        columns |= {name: torch.tensor(self._columns[name], dtype=torch.float64) for name in self._REAL}
        return {"decisions": [[each.prompt, list(each.actions)] for each in self.decisions], **columns}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Put back what :meth:`state_dict` returned."""
        self._renumber([Decision(prompt, tuple(actions)) for prompt, actions in state["decisions"]])
        self._columns = {name: state[name].tolist() for name in self._columns}

    def _numbered(self, decision: Decision) -> int:
        number = self._numbers.setdefault(decision, len(self.decisions))
        if number == len(self.decisions):
            self.decisions.append(decision)
        return number

    def _renumber(self, decisions: Sequence[Decision]) -> None:
        self.decisions = list(decisions)
        self._numbers = {decision: number for number, decision in enumerate(decisions)}

    def _forget(self) -> None:
        """Drop the oldest episodes until a tenth of the room is free, and decisions that nothing kept leads to."""
        sizes: dict[int, int] = {}
        for episode in self._columns["episode"]:
            sizes[episode] = sizes.get(episode, 0) + 1
        left, gone = len(self), set()
        for episode in sorted(sizes)[:-1]:
            if left <= 0.9 * self._limit:
                break
            gone.add(episode)
            left -= sizes[episode]
        rows = [row for row, episode in enumerate(self._columns["episode"]) if episode not in gone]
        self._columns = {name: [column[row] for row in rows] for name, column in self._columns.items()}
        used = sorted({*self._columns["decision"], *self._columns["following"]} - {NOTHING})
        moved = {old: new for new, old in enumerate(used)} | {NOTHING: NOTHING}
        for name in ("decision", "following"):
            self._columns[name] = [moved[old] for old in self._columns[name]]
        self._renumber([self.decisions[old] for old in used])
