"""Slower ways to read decisions, for models whose attention cannot be confined: in rows, prompts one at a time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from twosome.scoring.reader import PromptIds
from twosome.scoring.reference import one_feature_at_a_time, own_rows, padded_rows, token_states
from twosome.tokens.blocks import Block, build_blocks, tree_mask
from twosome.tokens.encoding import EncodedDecision
from twosome.tokens.splitting import split_by_budget


class _RowReader:
    """What the slower ways share: decisions are read in rows, prompts for the critic one at a time."""

    def __init__(self, model: Any, token_budget: int) -> None:
        self.model = model
        self.token_budget = token_budget
        self.tokens = 0

    def features(self, prompts: Sequence[PromptIds]) -> Tensor:
        """Final hidden state at every prompt's last token: float32 [B, H]."""
        self.tokens += sum(map(len, prompts))
        with torch.no_grad():
            return one_feature_at_a_time(self.model, prompts)

    def token_states(self, prompts: Sequence[PromptIds]) -> list[Tensor]:
        """Final hidden state at every token of every prompt: float32 [L, H] each, differentiable."""
        self.tokens += len(prompts) * max(map(len, prompts))
        return token_states(self.model, prompts)

    def batches(self, encoded: Sequence[EncodedDecision]) -> list[list[int]]:
        """The decisions, by number, in groups that are best read together."""
        sizes = [len(e.prompt_ids) + sum(map(len, e.action_ids)) for e in encoded]
        return [list(group) for group in split_by_budget(sizes, self.token_budget)]


class MaskedReader(_RowReader):
    """A padded row per decision, its trie spelled out as an attention mask of its own."""

    def log_probs(self, encoded: Sequence[EncodedDecision]) -> Tensor:
        """Log-probability of every action token: float32 [M]."""
        return torch.cat([self._read([encoded[number] for number in group]) for group in self.batches(encoded)])

    def describe(self) -> str:
        """The way in a few words."""
        return "a masked row per decision"

    def _read(self, encoded: Sequence[EncodedDecision]) -> Tensor:
        blocks = [build_blocks(item)[0] for item in encoded]
        width, device = max(map(len, blocks)), self.model.device
        ids = np.zeros((len(blocks), width), dtype=np.int64)
        positions = np.zeros_like(ids)
        seen = np.zeros((len(blocks), 1, width, width), dtype=bool)
        seen[..., 0] = True
        for row, block in enumerate(blocks):
            ids[row, : len(block)] = [*block.prompt_ids, *block.tree_ids]
            positions[row, : len(block)] = [*range(len(block.prompt_ids)), *block.tree_positions]
            seen[row, 0, : len(block), : len(block)] = tree_mask(len(block.prompt_ids), block.groups)
        self.tokens += ids.size
        allowed = torch.from_numpy(seen).to(device)
        # As numbers: a boolean mask of this shape is added as 0 and 1 by some implementations.
        mask = torch.zeros(allowed.shape, dtype=self.model.dtype, device=device)
        mask = mask.masked_fill(~allowed, torch.finfo(self.model.dtype).min)
        logits = self.model(
            input_ids=torch.from_numpy(ids).to(device),
            attention_mask=mask,
            position_ids=torch.from_numpy(positions).to(device),
            use_cache=False,
        ).logits
        return torch.cat([_block_log_probs(logits[row], block) for row, block in enumerate(blocks)])


class CachedReader(_RowReader):
    """The prompt once; its keys and values are repeated for the actions, which are padded on the right."""

    def log_probs(self, encoded: Sequence[EncodedDecision]) -> Tensor:
        """Log-probability of every action token: float32 [M]."""
        return torch.cat([self._read(item) for item in encoded])

    def describe(self) -> str:
        """The way in a few words."""
        return "the prompt's keys and values repeated for every action"

    def _read(self, encoded: EncodedDecision) -> Tensor:
        device = self.model.device
        prompt = torch.tensor([encoded.prompt_ids], device=device)
        self.tokens += prompt.numel()
        output = self.model(input_ids=prompt, use_cache=True)
        first = torch.log_softmax(output.logits[0, -1].float(), dim=-1)
        starts = first[torch.tensor([action[0] for action in encoded.action_ids], device=device)].unsqueeze(-1)
        rows = [action[:-1] for action in encoded.action_ids]
        if not any(rows):
            return starts.flatten()
        filled = [row or (action[0],) for row, action in zip(rows, encoded.action_ids, strict=True)]
        ids, mask = padded_rows(self.model, filled)
        self.tokens += ids.numel()
        cache = output.past_key_values
        cache.batch_repeat_interleave(len(rows))
        length = len(encoded.prompt_ids)
        logits = self.model(
            input_ids=ids,
            attention_mask=torch.cat([mask.new_ones(len(rows), length), mask], dim=1),
            past_key_values=cache,
            use_cache=True,
        ).logits
        log_probs = torch.log_softmax(logits.float(), dim=-1)
        return torch.cat(
            [
                torch.cat(
                    [start, log_probs[row, : len(action) - 1].gather(-1, _column(action[1:], device)).squeeze(-1)]
                )
                for row, (start, action) in enumerate(zip(starts, encoded.action_ids, strict=True))
            ]
        )


class PaddedReader(_RowReader):
    """A right-padded row per prompt and action: what every causal model can read."""

    def log_probs(self, encoded: Sequence[EncodedDecision]) -> Tensor:
        """Log-probability of every action token: float32 [M]."""
        pairs = [(item.prompt_ids, action) for item in encoded for action in item.action_ids]
        longest = max(len(prompt) + len(action) for prompt, action in pairs)
        size = max(1, self.token_budget // longest)
        return torch.cat([self._read(pairs[start : start + size]) for start in range(0, len(pairs), size)])

    def describe(self) -> str:
        """The way in a few words."""
        return "a padded row per prompt and action"

    def _read(self, pairs: Sequence[tuple[PromptIds, tuple[int, ...]]]) -> Tensor:
        ids, mask = padded_rows(self.model, [prompt + action[:-1] for prompt, action in pairs])
        self.tokens += ids.numel()
        logits = own_rows(self.model(input_ids=ids, attention_mask=mask, use_cache=False).logits, ids)
        spans = [logits[row, len(p) - 1 : len(p) - 1 + len(a)] for row, (p, a) in enumerate(pairs)]
        log_probs = torch.log_softmax(torch.cat(spans).float(), dim=-1)
        targets = [token for _, action in pairs for token in action]
        return log_probs.gather(-1, _column(targets, logits.device)).squeeze(-1)


def _block_log_probs(logits: Tensor, block: Block) -> Tensor:
    """A block's scored tokens, action by action."""
    rows, row_of = np.unique(block.context, return_inverse=True)
    log_probs = torch.log_softmax(logits[torch.from_numpy(rows).to(logits.device)].float(), dim=-1)
    order = np.lexsort((block.offset, block.action))
    chosen = (torch.from_numpy(x[order]).to(logits.device) for x in (row_of, block.targets))
    return log_probs[tuple(chosen)]


def _column(tokens: Sequence[int], device: torch.device) -> Tensor:
    return torch.tensor(tokens, device=device, dtype=torch.long).unsqueeze(-1)
