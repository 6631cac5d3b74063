"""The critic: a small network on what the frozen language model makes of a prompt."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

UNIT = "unit"
"""Name of the tensor that says what the values are counted in; there is none where it is 1."""


class Critic(nn.Module):
    """An MLP from the last prompt token's final hidden state to a state value, in float32.

    Args:
        features: Hidden size H of the language model.
        hidden: Widths of the hidden layers; the paper's are (1024, 512).
        bias: Whether layers have biases; the published critic has none.
    """

    def __init__(self, features: int, hidden: Sequence[int] = (1024, 512), bias: bool = False) -> None:
        super().__init__()
        widths = [features, *hidden]
        layers: list[nn.Module] = []
        for inputs, outputs in pairwise(widths):
            layers += [nn.Linear(inputs, outputs, bias=bias), nn.ReLU()]
        self.layers = nn.Sequential(*layers, nn.Linear(widths[-1], 1, bias=bias))
        self.unit = 1.0

    def forward(self, features: Tensor) -> Tensor:
        """Values [B] of features [B, H]."""
        values: Tensor = self.layers(features)
        return values.squeeze(-1) * self.unit

    def scale(self, factor: float) -> None:
        """Count in a unit ``factor`` times as large; no value changes by that, if it is a power of two."""
        self.unit *= factor
        with torch.no_grad():
            for parameter in self.layers[-1].parameters():
                parameter.div_(factor)

    def weights(self) -> dict[str, Tensor]:
        """The weights by name, with the unit where it is not 1."""
        return {**self.state_dict(), **({UNIT: torch.tensor(self.unit)} if self.unit != 1 else {})}

    def load_weights(self, weights: Mapping[str, Tensor]) -> None:
        """Put back what :meth:`weights` returned.

        Raises:
            RuntimeError: If a weight is missing or of another shape.
        """
        self.load_state_dict({name: weight for name, weight in weights.items() if name != UNIT})
        self.unit = float(weights[UNIT]) if UNIT in weights else 1.0
