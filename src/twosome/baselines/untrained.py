"""What policies that train nothing have in common."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor
from torch.nn import Parameter

from twosome.decision import Decision


class Untrained:
    """The parts of a policy that nothing is learned in; what is left to say is how it acts."""

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
