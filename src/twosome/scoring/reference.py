"""Scoring the plain way: an unpadded sequence per prompt and action, which is beyond doubt; and padded rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from twosome.tokens.encoding import EncodedDecision


def one_at_a_time(model: Any, encoded: Sequence[EncodedDecision]) -> Tensor:
    """Log-probability of every action token, decision by decision, action by action: float32 [M]."""
    found = []
    for decision in encoded:
        for action in decision.action_ids:
            ids = torch.tensor([decision.prompt_ids + action], device=model.device)
            # From the end: an adapter may put virtual tokens before the sentence.
            logits = model(input_ids=ids, use_cache=False).logits[0, -len(action) - 1 : -1]
            log_probs = torch.log_softmax(logits.float(), dim=-1)
            found.append(log_probs.gather(-1, ids[0, len(decision.prompt_ids) :, None]).squeeze(-1))
    return torch.cat(found)


def one_feature_at_a_time(model: Any, prompts: Sequence[tuple[int, ...]]) -> Tensor:
    """Final hidden state at every prompt's last token: float32 [B, H]."""
    found = []
    for prompt in prompts:
        ids = torch.tensor([prompt], device=model.device)
        hidden = model(input_ids=ids, use_cache=False, output_hidden_states=True).hidden_states[-1]
        found.append(hidden[0, -1].float())
    return torch.stack(found)


def own_rows(logits: Tensor, ids: Tensor) -> Tensor:
    """Of logits [B, v + T, V] those of the tokens ``ids`` [B, T]: an adapter may put v virtual tokens before them."""
    return logits[:, logits.shape[1] - ids.shape[1] :]


def padded_rows(model: Any, rows: Sequence[tuple[int, ...]]) -> tuple[Tensor, Tensor]:
    """Right-padded ids [P, W] of token sequences, and their mask."""
    width = max(map(len, rows))
    ids = torch.tensor([row + (row[0],) * (width - len(row)) for row in rows], device=model.device)
    lengths = torch.tensor([len(row) for row in rows], device=model.device)
    return ids, (torch.arange(width, device=model.device) < lengths[:, None]).long()
