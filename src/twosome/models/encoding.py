"""Decisions to token ids, with the exact span of every action.

Prompt and action are tokenised joined by one space, as the model would read them; the action's span is what follows
the prompt's own tokens. That is right for SentencePiece and byte-level BPE tokenizers, with and without a
beginning-of-sequence token, and independent of the padding side. A tokenizer that merges text across the boundary
would leave no such span and is refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from twosome.decision import Decision
from twosome.errors import TokenizationError

Tokenizer = Any
"""A Hugging Face tokenizer."""


@dataclass(frozen=True, slots=True)
class EncodedDecision:
    """Token ids of a decision.

    Attributes:
        prompt_ids: Ids of the prompt, special tokens in front included; at least one.
        action_ids: For every action the ids that follow the prompt; at least one each.
    """

    prompt_ids: tuple[int, ...]
    action_ids: tuple[tuple[int, ...], ...]


class Encoder:
    """Encodes decisions with one tokenizer.

    Args:
        tokenizer: A Hugging Face tokenizer.
        max_length: The most tokens the model can read, or None if it has no limit.
    """

    def __init__(self, tokenizer: Tokenizer, max_length: int | None = None) -> None:
        self.tokenizer = tokenizer
        self._max_length = max_length

    def encode(self, decision: Decision) -> EncodedDecision:
        """Token ids of one decision.

        Raises:
            TokenizationError: If the tokenizer merges across the boundary, yields no tokens, or the sentence is
                longer than the model's context.
        """
        encoded = encode_decision(self.tokenizer, decision)
        self._check_length(decision, encoded)
        return encoded

    def encode_prompt(self, prompt: str) -> tuple[int, ...]:
        """Token ids of a prompt alone."""
        (ids,) = _token_ids(self.tokenizer, [prompt])
        if not ids:
            raise TokenizationError(f"the tokenizer yields no tokens for the prompt {prompt[-60:]!r}")
        return ids

    def _check_length(self, decision: Decision, encoded: EncodedDecision) -> None:
        longest = len(encoded.prompt_ids) + max(map(len, encoded.action_ids))
        if self._max_length is not None and longest > self._max_length:
            raise TokenizationError(
                f"a prompt with its longest action has {longest} tokens, but the model reads at most "
                f"{self._max_length}; shorten the prompt that begins {decision.prompt[:60]!r}"
            )


def encode_decision(tokenizer: Tokenizer, decision: Decision) -> EncodedDecision:
    """Token ids of one decision, without memory or length check.

    Raises:
        TokenizationError: If the tokenizer merges across the boundary, or yields no tokens.
    """
    texts = [decision.prompt, *(decision.sentence(i) for i in range(len(decision.actions)))]
    prompt_ids, *joint = _token_ids(tokenizer, texts)
    if not prompt_ids:
        raise TokenizationError(
            f"the tokenizer yields no tokens for the prompt {decision.prompt[-60:]!r}, so there is nothing to "
            "condition the first action token on"
        )
    action_ids = []
    for action, ids in zip(decision.actions, joint, strict=True):
        span = ids[len(prompt_ids) :]
        if ids[: len(prompt_ids)] != prompt_ids or not span:
            raise TokenizationError(
                f"the tokenizer merges the end of the prompt {decision.prompt[-30:]!r} with the action {action!r}, so "
                "the action has no tokens of its own; end the prompt with a whole word, or use a tokenizer that keeps "
                "a space with the word after it"
            )
        action_ids.append(span)
    return EncodedDecision(prompt_ids, tuple(action_ids))


def _token_ids(tokenizer: Tokenizer, texts: Sequence[str]) -> list[tuple[int, ...]]:
    """Ids of each text with the special tokens in front that the tokenizer adds, but none behind."""
    encoded = tokenizer(
        list(texts),
        add_special_tokens=True,
        return_special_tokens_mask=True,
        return_attention_mask=False,
        padding=False,
    )
    return [
        tuple(ids[: len(ids) - _trailing(mask)])
        for ids, mask in zip(encoded["input_ids"], encoded["special_tokens_mask"], strict=True)
    ]


def _trailing(mask: Sequence[int]) -> int:
    """How many special tokens close a sequence that holds anything else."""
    if all(mask):
        return 0
    return next(i for i, special in enumerate(reversed(mask)) if not special)
