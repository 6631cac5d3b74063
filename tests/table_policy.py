"""A policy without a language model: one row of logits and one value for every decision it has seen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import Parameter

from twosome import Decision


class TablePolicy:
    """Softmax over a table of logits."""

    def __init__(self, decisions: int = 1000, actions: int = 12) -> None:
        self.logits = nn.Parameter(torch.zeros(decisions, actions))
        self.table = nn.Parameter(torch.zeros(decisions))
        self.reference: dict[Decision, Tensor] = {}
        self._rows: dict[Decision, int] = {}

    def action_log_probs(self, decisions: Sequence[Decision]) -> Tensor:
        widest = max(len(decision.actions) for decision in decisions)
        counts = torch.tensor([len(decision.actions) for decision in decisions])
        logits = self.logits[self._index(decisions), :widest]
        return torch.log_softmax(logits.masked_fill(torch.arange(widest) >= counts[:, None], -torch.inf), -1)

    def reference_action_log_probs(self, decisions: Sequence[Decision]) -> Tensor:
        with torch.no_grad():
            return torch.log_softmax(torch.zeros_like(self.action_log_probs(decisions)), -1)

    def values(self, decisions: Sequence[Decision]) -> Tensor:
        return self.table[self._index(decisions)]

    def actor_parameters(self) -> list[Parameter]:
        return [self.logits]

    def critic_parameters(self) -> list[Parameter]:
        return [self.table]

    def state_dict(self) -> dict[str, Tensor]:
        return {"logits": self.logits.detach().clone(), "table": self.table.detach().clone()}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        with torch.no_grad():
            self.logits.copy_(state["logits"])
            self.table.copy_(state["table"])

    def _index(self, decisions: Sequence[Decision]) -> Tensor:
        return torch.tensor([self._rows.setdefault(decision, len(self._rows)) for decision in decisions])
