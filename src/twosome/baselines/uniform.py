"""Uniform play: the zero of every comparison."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from twosome.baselines.untrained import Untrained
from twosome.decision import Decision


class UniformPolicy(Untrained):
    """Every admissible action with the same probability; trains nothing."""

    def action_log_probs(self, decisions: Sequence[Decision]) -> Tensor:
        """``-log(number of admissible actions)``: float32 [B, A]."""
        widest = max(len(decision.actions) for decision in decisions)
        counts = torch.tensor([len(decision.actions) for decision in decisions])
        real = torch.arange(widest) < counts[:, None]
        return torch.where(real, -counts.float().log()[:, None], -torch.inf)
