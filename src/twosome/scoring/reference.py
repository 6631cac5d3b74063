"""Reading the plain way: a prompt at a time; padded rows; every token of a prompt."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from twosome.scoring.condition import base_of


def one_feature_at_a_time(model: Any, prompts: Sequence[tuple[int, ...]]) -> Tensor:
    """Final hidden state at every prompt's last token: float32 [B, H]."""
    found = []
    for prompt in prompts:
        ids = torch.tensor([prompt], device=model.device)
        hidden = model(input_ids=ids, use_cache=False, output_hidden_states=True).hidden_states[-1]
        found.append(hidden[0, -1].float())
    return torch.stack(found)


def token_states(model: Any, prompts: Sequence[tuple[int, ...]]) -> list[Tensor]:
    """Final hidden state at every token of every prompt: float32 [L, H] each, differentiable."""
    base = base_of(model)
    ids, mask = padded_rows(model, prompts)
    hidden = base.get_decoder()(input_ids=ids, attention_mask=mask, use_cache=False).last_hidden_state
    return [row[: len(prompt)].float() for row, prompt in zip(hidden, prompts, strict=True)]


def own_rows(logits: Tensor, ids: Tensor) -> Tensor:
    """Of logits [B, v + T, V] those of the tokens ``ids`` [B, T]: an adapter may put v virtual tokens before them."""
    return logits[:, logits.shape[1] - ids.shape[1] :]


def padded_rows(model: Any, rows: Sequence[tuple[int, ...]]) -> tuple[Tensor, Tensor]:
    """Right-padded ids [P, W] of token sequences, and their mask."""
    width = max(map(len, rows))
    ids = torch.tensor([row + (row[0],) * (width - len(row)) for row in rows], device=model.device)
    lengths = torch.tensor([len(row) for row in rows], device=model.device)
    return ids, (torch.arange(width, device=model.device) < lengths[:, None]).long()
