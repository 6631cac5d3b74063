"""The words of prompts, and how far an adapter moves what a model makes of them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from twosome.scorer import Scorer
from twosome.scoring.condition import adapter_off
from twosome.scoring.memory import Memory, recall
from twosome.scoring.reader import PromptIds


class Words:
    """Final hidden states at the tokens of prompts, as the actor has them and as the frozen base had them.

    A policy acts at a prompt's last token and at those of its phrases. What the adapter does to the tokens before is
    for nothing: it is what is noticed of practice in other text.

    Args:
        scorer: Of the actor.
        frozen: Of the base as it was: the same one where an adapter is switched off for it.
        limit: Bytes that remembered states of the base may take.
    """

    def __init__(self, scorer: Scorer, frozen: Scorer, limit: int) -> None:
        self._scorer = scorer
        self._frozen = frozen
        self._known: Memory[PromptIds, Tensor] = Memory(limit)

    def change(self, prompts: Sequence[PromptIds]) -> Tensor:
        """Mean of |h - b|^2 / |b|^2 over all tokens but the last, h the actor's state and b the base's: float32 [B].

        0 where a prompt has one token alone.
        """
        distinct = list(dict.fromkeys(prompts))
        before = recall(self._known, distinct, self._of_base)
        now = self._scorer.reader.token_states(distinct)
        moved = {prompt: _moved(h, b) for prompt, h, b in zip(distinct, now, before, strict=True)}
        return torch.stack([moved[prompt] for prompt in prompts])

    def _of_base(self, prompts: list[PromptIds]) -> list[Tensor]:
        with torch.no_grad(), adapter_off(self._frozen.model):
            return self._frozen.reader.token_states(prompts)


def _moved(states: Tensor, base: Tensor) -> Tensor:
    if len(base) < 2:
        return states.sum() * 0
    change = (states - base)[:-1].square().sum(-1)
    found: Tensor = (change / base[:-1].square().sum(-1).clamp_min(torch.finfo(base.dtype).tiny)).mean()
    return found
