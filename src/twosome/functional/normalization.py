"""From token log-probabilities to the logits of a policy over actions (TWOSOME, section 4.2).

Every factor of a joint probability is below 1, so a long phrase loses to a short one however sensible it is. The
published remedy divides the joint log-probability by the phrase's length in tokens or in words. Any of them can be
divided by a number as well (``sum/3``): a flatter policy, which explores what the model would hardly ever say.
"""

from __future__ import annotations

import importlib
import math
import re
from functools import partial

import torch
from torch import Tensor

from twosome.errors import ConfigError
from twosome.functional.words import count_words
from twosome.types import ActionScores, Normalization


def sum_logits(scores: ActionScores) -> Tensor:
    """Joint log-probability, ``sum_i log P(w_i | prompt, w_<i)`` (eq. 1): float32 [B, A]."""
    # Token after token: how a plain sum rounds depends on how many padded tokens stand behind the action's own, and
    # so on the batch.
    joint = scores.token_log_probs.cumsum(-1)[..., -1]
    return joint.masked_fill(~scores.action_mask, -torch.inf)


def token_logits(scores: ActionScores) -> Tensor:
    """Joint log-probability divided by the number of action tokens (eq. 3): float32 [B, A]."""
    return sum_logits(scores) / scores.token_mask.sum(-1).clamp(min=1)


def word_logits(scores: ActionScores) -> Tensor:
    """Joint log-probability divided by the number of words (eq. 4): float32 [B, A].

    Words are parted by white space; see :func:`~twosome.functional.words.count_words` for scripts that have none.
    """
    return sum_logits(scores) / _count(scores, count_words)


def byte_logits(scores: ActionScores) -> Tensor:
    """Joint log-probability divided by the length in UTF-8 bytes, which no tokenizer changes: float32 [B, A]."""
    return sum_logits(scores) / _count(scores, lambda action: len(action.encode()))


NORMALIZATIONS: dict[str, Normalization] = {
    "sum": sum_logits,
    "token": token_logits,
    "word": word_logits,
    "byte": byte_logits,
}


def divided_logits(scores: ActionScores, *, by: str, divisor: float) -> Tensor:
    """The logits of the named normalization divided by a number, a temperature: float32 [B, A]."""
    return NORMALIZATIONS[by](scores) / divisor


def is_ours(name: str) -> bool:
    """Whether a name is of those here, whose logits have the same bits however far the actions are padded."""
    return name.partition("/")[0] in NORMALIZATIONS


def resolve_normalization(name: str) -> Normalization:
    """The normalization with this name, one of them divided by a number, or what ``package.module:function`` names.

    Raises:
        ConfigError: If there is no such normalization.
    """
    if name in NORMALIZATIONS:
        return NORMALIZATIONS[name]
    if (found := re.fullmatch(f"({'|'.join(NORMALIZATIONS)})/(.+)", name)) is not None:
        return partial(divided_logits, by=found[1], divisor=_divisor(name, found[2]))
    module, separator, function = name.partition(":")
    if separator:
        try:
            imported: Normalization = getattr(importlib.import_module(module), function)
        except Exception as error:  # whatever somebody's module raises as it is imported
            raise ConfigError(f"normalization {name!r} cannot be imported: {error}") from None
        if not callable(imported):
            raise ConfigError(f"normalization {name!r} is a {type(imported).__name__}; expected a function")
        return imported
    raise ConfigError(
        f"unknown normalization {name!r}: expected one of {', '.join(NORMALIZATIONS)}, one of them divided by a number "
        "(sum/3), or package.module:function"
    )


def _divisor(name: str, number: str) -> float:
    """The positive number that a normalization is divided by."""
    try:
        divisor = float(number)
    except ValueError:
        divisor = math.nan
    if not 0 < divisor < math.inf:
        raise ConfigError(f"normalization {name!r} is divided by {number!r}; give a positive number, as in sum/3")
    return divisor


def _count(scores: ActionScores, length) -> Tensor:  # type: ignore[no-untyped-def]
    """``length`` of every action: float32 [B, A], 1 where padded."""
    widest = scores.token_mask.shape[1]
    counts = [[*map(length, each.actions), *[1] * (widest - len(each.actions))] for each in scores.decisions]
    return torch.tensor(counts, dtype=torch.float32, device=scores.token_log_probs.device)
