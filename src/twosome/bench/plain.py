"""The plain way that ours is measured against: what the method's authors describe (TWOSOME, section 4).

A padded row per prompt and action, all logits of all positions, the critic by a pass of its own, nothing remembered.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import Parameter

from twosome.decision import Decision
from twosome.functional.categorical import masked_log_softmax
from twosome.functional.normalization import resolve_normalization
from twosome.scoring.condition import adapter_off
from twosome.scoring.reference import own_rows, padded_rows
from twosome.tokens.encoding import Encoder, scatter
from twosome.types import ActionScores


class PlainPolicy:
    """The same policy as :class:`~twosome.models.policy.LanguageModelPolicy`, computed without any economy.

    Args:
        model: A PEFT model in eval mode.
        encoder: Tokenises decisions.
        critic: Head on the frozen base's features.
        normalization: Name of a normalization.
    """

    def __init__(self, model: Any, encoder: Encoder, critic: nn.Module, normalization: str) -> None:
        self.model = model
        self.critic = critic
        self._encoder = encoder
        self._normalize = resolve_normalization(normalization)

    def scores(self, decisions: Sequence[Decision]) -> ActionScores:
        """One right-padded row per prompt and action, in one batch."""
        encoded = [self._encoder.encode(decision) for decision in decisions]
        pairs = [(item.prompt_ids, action) for item in encoded for action in item.action_ids]
        ids, mask = padded_rows(self.model, [prompt + action for prompt, action in pairs])
        log_probs = torch.log_softmax(
            own_rows(self.model(input_ids=ids, attention_mask=mask, use_cache=False).logits, ids).float(), dim=-1
        )
        chosen = [
            (number, len(prompt) - 1 + offset, token)
            for number, (prompt, action) in enumerate(pairs)
            for offset, token in enumerate(action)
        ]
        index = torch.tensor(chosen, device=ids.device).T
        return ActionScores(tuple(decisions), *scatter(encoded, log_probs[tuple(index)]))

    def action_log_probs(self, decisions: Sequence[Decision]) -> Tensor:
        """Log-probabilities of the admissible actions: float32 [B, A], ``-inf`` where padded."""
        return masked_log_softmax(self._normalize(self.scores(decisions)))

    def values(self, decisions: Sequence[Decision]) -> Tensor:
        """State values: float32 [B], by a full pass of its own, vocabulary and all."""
        rows = [self._encoder.encode_prompt(decision.prompt) for decision in decisions]
        ids, mask = padded_rows(self.model, rows)
        with torch.no_grad(), adapter_off(self.model):
            output = self.model(input_ids=ids, attention_mask=mask, use_cache=False, output_hidden_states=True)
        last = mask.sum(-1) - 1
        values: Tensor = self.critic(output.hidden_states[-1][torch.arange(len(rows)), last].float())
        return values

    def actor_parameters(self) -> list[Parameter]:
        """The adapter's weights."""
        return [parameter for parameter in self.model.parameters() if parameter.requires_grad]

    def critic_parameters(self) -> list[Parameter]:
        """The critic head's weights."""
        return list(self.critic.parameters())
