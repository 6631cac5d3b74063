"""What all ways to read decisions with a causal language model share.

They are in :mod:`twosome.scoring.readers` (the fastest) and :mod:`twosome.scoring.row_readers` (for more models). All
return the log-probability of every action token, decision by decision, action by action: float32 [M], and the final
hidden state at a prompt's last token: float32 [B, H].
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from torch import Tensor

from twosome.tokens.encoding import EncodedDecision

PromptIds = tuple[int, ...]


class Reader(Protocol):
    """A way to read decisions.

    Attributes:
        tokens: How many went through the model so far, padding included.
    """

    tokens: int

    def log_probs(self, encoded: Sequence[EncodedDecision]) -> Tensor:
        """Log-probability of every action token: float32 [M], differentiable."""
        ...

    def features(self, prompts: Sequence[PromptIds]) -> Tensor:
        """Final hidden state at every prompt's last token: float32 [B, H], without gradient."""
        ...

    def token_states(self, prompts: Sequence[PromptIds]) -> list[Tensor]:
        """Final hidden state at every token of every prompt: float32 [L, H] each, differentiable."""
        ...

    def batches(self, encoded: Sequence[EncodedDecision]) -> list[list[int]]:
        """The decisions, by number, in groups that are best read together."""
        ...

    def describe(self) -> str:
        """The way in a few words."""
        ...
