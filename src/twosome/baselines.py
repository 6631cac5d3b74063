"""Policies to compare with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor
from torch.nn import Parameter

from twosome.decision import Decision


class UniformPolicy:
    """Every admissible action with the same probability; trains nothing."""

    def action_log_probs(self, decisions: Sequence[Decision]) -> Tensor:
        """``-log(number of admissible actions)``: float32 [B, A]."""
        widest = max(len(decision.actions) for decision in decisions)
        counts = torch.tensor([len(decision.actions) for decision in decisions])
        real = torch.arange(widest) < counts[:, None]
        return torch.where(real, -counts.float().log()[:, None], -torch.inf)

    def values(self, decisions: Sequence[Decision]) -> Tensor:
        """Zeros [B]."""
        return torch.zeros(len(decisions))

    def actor_parameters(self) -> list[Parameter]:
        """None."""
        return []

    def critic_parameters(self) -> list[Parameter]:
        """None."""
        return []

    def state_dict(self) -> dict[str, Tensor]:
        """Empty."""
        return {}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Nothing to load."""
