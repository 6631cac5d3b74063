"""Whether a way of reading is right: it may err no more than reading alone does, on made-up tokens and plain sentences.

Where a way and reading alone agree to rounding, nothing more is asked. Where they do not, a reading of higher precision
(:mod:`twosome.judging.precision`) says whose the difference is. In that precision the way must give what reading alone
gives: then it looks at the right tokens, however noisy the model's own precision is. In that one it may be farther from
the truth than reading alone by a small factor only.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from twosome.errors import ModelError, kind_and_line
from twosome.judging.precision import HIGHER, raised
from twosome.judging.probes import alone, made_up, sentences
from twosome.scoring.condition import named
from twosome.tokens.encoding import EncodedDecision, Encoder

Read = Callable[[Sequence[EncodedDecision]], Tensor]
"""Log-probability of every action token: float32 [M]."""

ROUNDING = {torch.float32: 1e-4, torch.float64: 1e-6}
"""Nats within which two readings of one sum are the same; in half precision no difference is that small."""

MECHANISM = {torch.float64: 1e-5, torch.float32: 1e-3}
"""Nats within which a way must agree with reading alone in the higher precision."""

UNMEASURED = {torch.bfloat16: 0.3, torch.float16: 0.1}
"""Nats within which they must agree where a model cannot be read in a higher precision (quantised weights, say)."""

SENTENCES_FACTOR, MADE_UP_FACTOR = 3.0, 20.0
"""How many times reading alone's error a way may err. On made-up tokens real models are badly conditioned: which
product a row was part of moves single numbers tenfold, in padded rows as in packs."""

_NOISY = 0.3
"""Nats of mean error on plain sentences from which on a precision is called too poor to act on."""


@dataclass(frozen=True)
class Error:
    """How far a reading is from the truth, in nats.

    Attributes:
        largest: Of all tokens.
        mean: Over all tokens.
    """

    largest: float
    mean: float

    def __str__(self) -> str:
        return f"{self.largest:.1e} at most and {self.mean:.1e} in the mean"


class Judge:
    """Tries ways of reading on one model.

    Args:
        model: Any causal language model.
        encoder: Puts plain sentences into the model's tokens; without one there are made-up tokens alone.

    Raises:
        ModelError: If the model cannot be read at all, or gives no numbers in its precision.
    """

    def __init__(self, model: Any, encoder: Encoder | None = None) -> None:
        self._model = model
        self._made_up = made_up(model)
        self._sentences = sentences(encoder) if encoder is not None else []
        self.probe = [*self._made_up, *self._sentences]
        self._split = sum(len(action) for item in self._made_up for action in item.action_ids)
        try:
            with torch.no_grad():
                self._whole = alone(model, self.probe, side_by_side=True)
        except Exception as error:  # a model may raise anything
            raise ModelError(
                f"{named(model)} cannot be scored: it does not read a sentence ({kind_and_line(error)})"
            ) from None
        if not torch.isfinite(self._whole).all():
            raise ModelError(
                f"{named(model)} gives no numbers in {_name(model.dtype)}: a sentence read alone has "
                f"log-probabilities that are not finite, so the precision overflows or weights are damaged; set "
                "loading.dtype to bfloat16 or float32"
            )

    def fault(self, read: Read, again: Callable[[], Read]) -> str:
        """What is wrong with a way of reading, in words; empty if it is right.

        Args:
            read: The way, in the model's own precision.
            again: Makes the same way anew; called and used while the model computes in a higher precision.
        """
        found = read(self.probe).cpu().double()
        if not torch.isfinite(found).all():
            return "it gives numbers that are not finite"
        apart = _largest(found - self._whole)
        dtype = self._model.dtype
        if apart <= ROUNDING.get(dtype, 0.0):
            return ""
        words = f"in {_name(dtype)} it differs from one sequence at a time by {apart:.1e} nats"
        if self.truth is None:
            bound = UNMEASURED.get(dtype, ROUNDING[torch.float32])
            return "" if apart <= bound else f"{words}, more than {bound}"
        higher = HIGHER[dtype]
        try:
            with torch.no_grad(), raised(self._model, higher):
                mechanism = _largest(again()(self.probe).cpu().double() - self.truth)
        except Exception as error:
            return f"{words}, and in {_name(higher)} it raises {kind_and_line(error)}"
        if not mechanism <= MECHANISM[higher]:
            return (
                f"in {_name(higher)} it differs from one sequence at a time by {mechanism:.1e} nats, more than "
                + str(MECHANISM[higher])
            )
        return self._noisier(found, words)

    def _noisier(self, found: Tensor, words: str) -> str:
        """Whether a way that is right in a higher precision errs more than reading alone in the model's own."""
        parts = {"made-up tokens": (slice(None, self._split), MADE_UP_FACTOR)}
        if self._sentences:
            parts["plain sentences"] = (slice(self._split, None), SENTENCES_FACTOR)
        assert self.truth is not None
        floor = ROUNDING.get(self._model.dtype, 0.0)
        for name, (part, factor) in parts.items():
            its, best = (_error(x[part] - self.truth[part]) for x in (found, self._alone))
            if its.largest > factor * best.largest + floor or its.mean > factor * best.mean + floor:
                return f"{words}; on {name} it errs by {its}, reading alone by {best}"
        return ""

    @cached_property
    def _alone(self) -> Tensor:
        """What reading one sequence at a time gives in the model's own precision."""
        with torch.no_grad():
            return alone(self._model, self.probe)

    @cached_property
    def truth(self) -> Tensor | None:
        """What a reading of higher precision gives; None if the model cannot be read so."""
        higher = HIGHER.get(self._model.dtype)
        if higher is None:
            return None
        try:
            with torch.no_grad(), raised(self._model, higher):
                truth = alone(self._model, self.probe, side_by_side=True)
        except Exception:  # weights that are no plain numbers, a device without the precision, mixed precisions
            return None
        return truth if torch.isfinite(truth).all() else None

    @property
    def warning(self) -> str:
        """What a user should know of the model's precision, as far as it was measured; empty if it is good."""
        if "truth" not in vars(self) or self.truth is None or not self._sentences:
            return ""
        noise = _error(self._alone[self._split :] - self.truth[self._split :])
        if noise.mean <= _NOISY:
            return ""
        return (
            f"{_name(self._model.dtype)} is too poor for this model: on plain sentences its log-probabilities are off "
            f"by {noise} nats; set loading.dtype to float32"
        )


def _error(difference: Tensor) -> Error:
    return Error(_largest(difference), float(difference.abs().mean()))


def _largest(difference: Tensor) -> float:
    return float(difference.abs().max())


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
