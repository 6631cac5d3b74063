"""Decisions to token ids, with the exact span of every action.

Prompt and action are tokenised joined, as the model would read them (:mod:`~twosome.tokens.prompting` says how); the
action's span is what follows the prompt's own tokens. That is right for SentencePiece and byte-level BPE
tokenizers, with and without a beginning-of-sequence token, and independent of the padding side. A tokenizer that merges
text across the boundary would leave no such span and is refused; for one that cannot, phrases are remembered
(:mod:`~twosome.tokens.phrases`).
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from twosome.decision import Decision
from twosome.errors import TokenizationError, TooLong
from twosome.tokens.chat import ChatTemplate, shared_beginning
from twosome.tokens.phrases import GAP, Phrases, parts_before_spaces
from twosome.tokens.prompting import PLAIN, Frame, Plain, Prompting

Tokenizer = Any
"""A Hugging Face tokenizer."""

LongPrompts = Literal["refuse", "keep_end", "keep_start"]
"""What becomes of a prompt that does not fit into the model's context: refused, or cut to its end or its start."""


@dataclass(frozen=True, slots=True)
class EncodedDecision:
    """Token ids of a decision.

    Attributes:
        prompt_ids: Ids of the prompt, special tokens in front included; at least one.
        action_ids: For every action the ids that follow the prompt; at least one each.
        cut: How many tokens of the prompt were left out because they did not fit.
    """

    prompt_ids: tuple[int, ...]
    action_ids: tuple[tuple[int, ...], ...]
    cut: int = 0


class Encoder:
    """Encodes decisions with one tokenizer.

    Args:
        tokenizer: A Hugging Face tokenizer.
        max_length: The most tokens the model can read, or None if it has no limit.
        long_prompts: What becomes of a prompt that does not fit with its longest action. Actions are never cut, and
            neither are the special tokens in front of a prompt.
        reason: Where the limit comes from, for messages.
        prompting: What is put around a prompt, and between it and an action.
        rows: How many tokens the model has embeddings for; None if that is not known.

    Raises:
        ConfigError: If the tokenizer's chat template is to be used and cannot be.
    """

    def __init__(
        self,
        tokenizer: Tokenizer,
        max_length: int | None = None,
        long_prompts: LongPrompts = "refuse",
        reason: str = "",
        prompting: Prompting | None = None,
        rows: int | None = None,
    ) -> None:
        self.tokenizer = tokenizer
        self.prompting = prompting or Prompting()
        self.frame = make_frame(tokenizer, self.prompting)
        self._phrases = make_phrases(tokenizer, self.frame)
        self.long_prompts = long_prompts
        self._told = False
        self._specials: dict[str, int | None] = {**dict.fromkeys(self.frame.marks), **special_tokens(tokenizer)}
        self._max_length = max_length
        self._rows = rows
        self._most = f"{max_length} ({reason})" if reason else str(max_length)

    def encode(self, decision: Decision) -> EncodedDecision:
        """Token ids of one decision.

        Raises:
            TokenizationError: If the tokenizer merges across the boundary, yields no tokens, or the sentence is
                longer than the model's context and may not be cut.
        """
        encoded = encode_decision(self.tokenizer, decision, self.frame, self._phrases)
        for ids in (encoded.prompt_ids, *encoded.action_ids):
            self._check_known(ids)
        self._tell_specials(decision, encoded)
        prompt_ids = self._fit(decision.prompt, encoded.prompt_ids, max(map(len, encoded.action_ids)))
        if prompt_ids is encoded.prompt_ids:
            return encoded
        return replace(encoded, prompt_ids=prompt_ids, cut=len(encoded.prompt_ids) - len(prompt_ids))

    def encode_prompt(self, prompt: str) -> tuple[int, ...]:
        """Token ids of a prompt alone.

        Raises:
            TokenizationError: If there are none, or more than the model reads and they may not be cut.
        """
        (ids,) = _token_ids(self.tokenizer, [self.frame.framed(prompt)], self.frame.begins)
        if not ids:
            raise TokenizationError(f"the tokenizer yields no tokens for the prompt {prompt[-60:]!r}")
        self._check_known(ids)
        return self._fit(prompt, ids, 0)

    def _check_known(self, ids: tuple[int, ...]) -> None:
        """Refuse tokens that the model has no embeddings for."""
        if self._rows is not None and max(ids) >= self._rows:
            number = max(ids)
            raise TokenizationError(
                f"the tokenizer gives the token {number} ({self.tokenizer.convert_ids_to_tokens(number)!r}), but the "
                f"model has embeddings for {self._rows} tokens; use the tokenizer that was saved with the model"
            )

    def _tell_specials(self, decision: Decision, encoded: EncodedDecision) -> None:
        """Warn once of each special token that a text holds, as the model does not read it as its letters."""
        for content in specials_in(self._specials, decision, encoded):
            number = self._specials.pop(content)
            place = decision.prompt if content in decision.prompt else " ".join(decision.actions)
            start = max(0, place.find(content) - 30)
            read = f"is read as the special token {number}, not as text"
            if content in self.frame.marks:
                read = f"{read}, and" if number is not None else "is what"
                read += " the chat template marks turns with" if number is None else " can end the turn it stands in"
            warnings.warn(
                f"{content!r} in {place[start : start + 60 + len(content)]!r} {read}; leave it out of prompts and "
                "actions unless that is meant; this is said once",
                stacklevel=3,
            )

    def _fit(self, prompt: str, ids: tuple[int, ...], action: int) -> tuple[int, ...]:
        """The prompt's ids, cut as the rule says so that an action of ``action`` tokens fits behind them."""
        if self._max_length is None or len(ids) + action <= self._max_length:
            return ids
        length = f"a prompt with its longest action has {len(ids) + action} tokens, but the model reads at most "
        if self.long_prompts == "refuse":
            raise TooLong(
                f"{length}{self._most}; shorten the prompt that begins {prompt[:60]!r}, or have it cut with "
                "long_prompts keep_end or keep_start"
            )
        front, back = self._frame_lengths(prompt, ids)
        room = self._max_length - action - front - back
        if room < 1:
            template = "" if self.frame.begins else f" and {front + back} the chat template's"
            raise TooLong(
                f"{length}{self._most}, and {action} of them are the action's{template}, which is never cut; shorten "
                f"the actions after the prompt that begins {prompt[:60]!r}"
            )
        if not self._told:
            self._told = True
            warnings.warn(
                f"prompts are cut: {length}{self._most}, and long_prompts is {self.long_prompts}; this is said "
                "once, metrics count cut_prompts",
                stacklevel=2,
            )
        end = len(ids) - back
        kept = ids[end - room : end] if self.long_prompts == "keep_end" else ids[front : front + room]
        return ids[:front] + kept + ids[end:]

    def _frame_lengths(self, prompt: str, ids: tuple[int, ...]) -> tuple[int, int]:
        """How many tokens in front and behind are no part of the prompt, and are never cut."""
        if self.frame.begins:
            return _leading_special(self.tokenizer, prompt), 0
        others = _token_ids(self.tokenizer, [self.frame.framed(text) for text in ("0", "x")], self.frame.begins)
        front = shared_beginning([ids, *others])
        back = shared_beginning([each[::-1] for each in (ids, *others)])
        return front, min(back, len(ids) - front)


def make_frame(tokenizer: Tokenizer, prompting: Prompting) -> Frame:
    """What is put around prompts.

    Raises:
        ConfigError: If the tokenizer's chat template is to be used and cannot be.
    """
    if prompting.template == "chat":
        return ChatTemplate(tokenizer, prompting.system)
    return Plain(prompting.joiner)


def make_phrases(tokenizer: Tokenizer, frame: Frame) -> Phrases | None:
    """What remembers the ids of phrases; None where a prompt may change them."""
    if frame.gap != GAP or not parts_before_spaces(tokenizer):
        return None
    return Phrases(lambda texts: _token_ids(tokenizer, texts, begins=False))


def encode_decision(
    tokenizer: Tokenizer, decision: Decision, frame: Frame = PLAIN, phrases: Phrases | None = None
) -> EncodedDecision:
    """Token ids of one decision, without memory or length check.

    Args:
        tokenizer: A Hugging Face tokenizer.
        decision: What to encode.
        frame: What stands around a prompt.
        phrases: Remembers the ids of phrases; of :func:`make_phrases` for the same tokenizer and frame.

    Raises:
        TokenizationError: If the tokenizer merges across the boundary, or yields no tokens.
    """
    prompt = frame.framed(decision.prompt)
    if phrases is not None and not prompt[-1:].isspace():
        (prompt_ids,) = _token_ids(tokenizer, [prompt], frame.begins)
        joint = [prompt_ids + ids for ids in phrases(decision.actions)]
    else:
        texts = [prompt, *(prompt + frame.gap + action for action in decision.actions)]
        prompt_ids, *joint = _token_ids(tokenizer, texts, frame.begins)
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
                f"the tokenizer merges the end of the prompt {prompt[-30:]!r} with the action {action!r}, so the "
                f"action has no tokens of its own; {frame.advice}"
            )
        action_ids.append(span)
    return EncodedDecision(prompt_ids, tuple(action_ids))


def special_tokens(tokenizer: Tokenizer) -> dict[str, int]:
    """The tokens that stand for no text (a beginning, an end, a turn of a chat), by how they are written.

    Raises:
        TokenizationError: If the tokenizer cannot say which.
    """
    known = {
        token.content: number
        for number, token in getattr(tokenizer, "added_tokens_decoder", {}).items()
        if token.special
    }
    try:
        contents, numbers = (getattr(tokenizer, f"all_special_{what}", ()) for what in ("tokens", "ids"))
        return known | dict(zip(contents, numbers, strict=True))
    except Exception as error:  # an unknown token that is itself unknown is asked for without end
        raise TokenizationError(
            f"the tokenizer does not know its own special tokens ({type(error).__name__}); its tokenizer_config.json "
            "may be damaged, get it again"
        ) from None


def specials_in(specials: Mapping[str, int | None], decision: Decision, encoded: EncodedDecision) -> list[str]:
    """Those special tokens that were typed in a prompt, after its beginning, or in an action.

    Args:
        specials: Their numbers, by how they are written; None for what is told by how it is written alone.
        decision: What was typed.
        encoded: Its tokens, with a frame around them that may hold the same special tokens.
    """
    found = {None, *encoded.prompt_ids[1:], *(token for ids in encoded.action_ids for token in ids)}
    if found.isdisjoint(specials.values()):
        return []
    texts = (decision.prompt, *decision.actions)
    return [content for content, number in specials.items() if number in found and any(content in t for t in texts)]


def scatter(encoded: Sequence[EncodedDecision], log_probs: Tensor) -> tuple[Tensor, Tensor]:
    """Scored tokens [M], decision by decision and action by action, to a padded float32 [B, A, K] and its mask."""
    lengths = np.zeros((len(encoded), max(len(item.action_ids) for item in encoded)), dtype=np.int64)
    for row, item in enumerate(encoded):
        lengths[row, : len(item.action_ids)] = [len(action) for action in item.action_ids]
    mask = torch.from_numpy(np.arange(lengths.max()) < lengths[..., None]).to(log_probs.device)
    return torch.zeros(mask.shape, device=log_probs.device).masked_scatter(mask, log_probs), mask


_AT_ONCE = 64  # sentences; a tokenizer's own record of a sentence is far larger than its ids


def _token_ids(tokenizer: Tokenizer, texts: Sequence[str], begins: bool) -> list[tuple[int, ...]]:
    """Ids of each text; where it ``begins``, with the special tokens in front that the tokenizer adds, but none behind.

    A text that already begins with them gets them once: with two beginnings a model reads what it never saw.
    """
    found: list[tuple[int, ...]] = []
    for start in range(0, len(texts), _AT_ONCE):
        some = list(texts[start : start + _AT_ONCE])
        try:
            encoded = tokenizer(
                some,
                add_special_tokens=begins,
                return_special_tokens_mask=begins,
                return_attention_mask=False,
                padding=False,
            )
        except Exception as error:  # settings of a wrong type, or a text that its vocabulary has no token for
            raise _unread(some, f"{type(error).__name__}: {' '.join(str(error).split())[:200]}") from None
        rows = encoded["input_ids"]
        if any(None in ids for ids in rows):
            raise _unread(some, "it has no token for some of it, and none for what is unknown")
        if not begins:
            found += map(tuple, rows)
            continue
        masks = encoded["special_tokens_mask"]
        found += [
            tuple(ids[_twice(ids, mask) : len(ids) - _trailing(mask)]) for ids, mask in zip(rows, masks, strict=True)
        ]
    return found


def _unread(texts: Sequence[str], why: str) -> TokenizationError:
    return TokenizationError(
        f"the tokenizer cannot read {texts[-1][-60:]!r} ({why}); its files may be damaged, get them again"
    )


def _leading_special(tokenizer: Tokenizer, text: str) -> int:
    """How many special tokens the tokenizer puts in front of a text."""
    mask = tokenizer(text, add_special_tokens=True, return_special_tokens_mask=True)["special_tokens_mask"]
    return next((i for i, special in enumerate(mask) if not special), len(mask))


def _twice(ids: Sequence[int], mask: Sequence[int]) -> int:
    """How many special tokens in front to leave out, because the text itself begins with the same ones."""
    front = next((i for i, special in enumerate(mask) if not special), 0)
    again = front
    while front and list(ids[again : again + front]) == list(ids[:front]):
        again += front
    return again - front


def _trailing(mask: Sequence[int]) -> int:
    """How many special tokens close a sequence that holds anything else."""
    if all(mask):
        return 0
    return next(i for i, special in enumerate(reversed(mask)) if not special)
