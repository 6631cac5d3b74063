"""Which way a model can be read, found out by trying it, never from its name."""

from __future__ import annotations

import warnings
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch

from twosome.errors import ModelError, kind_and_line
from twosome.judging.judging import Judge
from twosome.judging.probes import made_up, repeating, sentences
from twosome.judging.verdicts import Verdict, keep, key_for, recall
from twosome.scoring.attention import Attention, sharing_is_exact
from twosome.scoring.condition import check_eval, check_kind, named, virtual_tokens
from twosome.scoring.economies import Economies
from twosome.scoring.memory import LIMIT
from twosome.scoring.reader import Reader
from twosome.scoring.readers import PackedReader
from twosome.scoring.row_readers import CachedReader, MaskedReader, PaddedReader
from twosome.tokens.encoding import Encoder

Path = Literal["packed", "masked", "cached", "padded"]
WAYS: tuple[Path, ...] = ("packed", "masked", "cached", "padded")
"""From the fastest on."""

_CPU_BUDGET = 1024  # more leaves the cache and is slower; less costs more small operations
_GPU_BUDGET = 4096


@dataclass(frozen=True)
class Reading:
    """How a model is to be read.

    Attributes:
        path: Try this way alone; None for the fastest that is right.
        token_budget: Most tokens in one pass, a single longer decision goes alone; None for what suits the device.
        frozen_layers: How many layers, from the bottom, no adapter changes; only the packed way makes use of it.
        lean: Save memory in the backward pass; only the packed way can.
        memory_limit: Bytes each of the reader's memories may take.
        attention: How a pack attends. ``"sparse"`` takes a GPU, and a model that is read in packs.
        again: Try the ways again, rather than believe what was found out before.
    """

    path: Path | None = None
    token_budget: int | None = None
    frozen_layers: int = 0
    lean: bool = False
    memory_limit: int = LIMIT
    attention: Attention = "segments"
    again: bool = False


def choose_reader(model: Any, encoder: Encoder | None = None, reading: Reading | None = None) -> Reader:
    """The fastest way of reading that errs no more than reading one sequence at a time.

    What is found is remembered from one process to the next (:mod:`twosome.judging.verdicts`).

    Args:
        model: Any Hugging Face causal language model, with or without an adapter.
        encoder: Puts sentences into the model's tokens; without one, ways are tried on made-up tokens alone.
        reading: What is wanted; the defaults if None.

    Raises:
        ModelError: If no way is right, or the model is not in eval mode.
    """
    check_eval(model)
    check_kind(model)
    return _Chooser(model, encoder, reading or Reading()).choose()


class _Chooser:
    """Tries the ways of reading a model, from the fastest on."""

    def __init__(self, model: Any, encoder: Encoder | None, reading: Reading) -> None:
        if reading.attention == "sparse":
            if model.device.type == "cpu":
                raise ModelError("sparse attention has no backward pass on a CPU; set loading.attention to segments")
            # What cannot attend so is refused rather than read slowly.
            reading = replace(reading, path=reading.path or "packed")
        self._model = model
        self._encoder = encoder
        self._reading = reading
        self._budget = reading.token_budget or (_CPU_BUDGET if model.device.type == "cpu" else _GPU_BUDGET)
        self._faults: dict[str, str] = {}

    def choose(self) -> Reader:
        """The fastest way that is right, remembered or tried."""
        key = self._key()
        known = recall(key) if not self._reading.again else None
        if known is not None and self._possible(known.way):
            with suppress(Exception), torch.no_grad():  # whatever is wrong with what is remembered, it can be tried
                return self._make(known)
        with torch.no_grad():
            judge = Judge(self._model, self._encoder)
            for way in WAYS:
                if not self._possible(way):
                    continue
                found = self._best_packed(judge) if way == "packed" else self._tried(judge, Verdict(way))
                if found is not None:
                    verdict, reader = found
                    if judge.warning:
                        warnings.warn(judge.warning, stacklevel=4)
                    else:
                        keep(key, verdict)
                    return reader
        tried = "; ".join(f"{way}: {fault}" for way, fault in self._faults.items())
        raise ModelError(f"{named(self._model)} cannot be scored exactly: no way of reading it is right ({tried})")

    def _possible(self, way: str) -> bool:
        """Whether a way was asked for, and reads all of the model."""
        # Virtual tokens of an adapter are no part of the model below it, which the other ways read.
        whole = way == "padded" or not virtual_tokens(self._model)
        return self._reading.path in (None, way) and whole

    def _key(self) -> str:
        probe = made_up(self._model) + (sentences(self._encoder) if self._encoder is not None else [])
        wanted = self._reading
        options = [wanted.path, self._budget, wanted.frozen_layers, wanted.lean, wanted.attention]
        return key_for(self._model, probe, options)

    def _make(self, verdict: Verdict) -> Reader:
        """A reader of that way, ready to read."""
        model, reading = self._model, self._reading
        if verdict.way == "padded":
            return PaddedReader(model, self._budget)
        if verdict.way == "packed" and verdict.economies is not None:
            reader = PackedReader(
                model,
                self._budget,
                verdict.economies,
                frozen_layers=reading.frozen_layers,
                lean=reading.lean,
                memory_limit=reading.memory_limit,
                attention=reading.attention,
            )
            _check_windows(model, set(reader.watch(repeating(model)).values()))
            return reader
        masked = verdict.way == "masked"
        return _unless_local(model, MaskedReader(model, self._budget) if masked else CachedReader(model, self._budget))

    def _tried(self, judge: Judge, verdict: Verdict) -> tuple[Verdict, Reader] | None:
        """The reader of a way, if it is right."""
        # Raised to a higher precision, weights are read by their own modules alone.
        plain = verdict.economies and replace(verdict.economies, fuse=False, join=False)
        try:
            reader = self._make(verdict)
            fault = judge.fault(reader.log_probs, lambda: self._make(Verdict(verdict.way, plain)).log_probs)
        except Exception as error:  # the model does not support the mechanism: any error means "not this way"
            fault = kind_and_line(error, 160)
        if not fault:
            return verdict, reader
        self._faults.setdefault(verdict.way, fault)
        return None

    def _best_packed(self, judge: Judge) -> tuple[Verdict, Reader] | None:
        """A packed reading that leaves out as much as may be: all at once, or else one thing after the other."""

        def attempt(economies: Economies) -> tuple[Verdict, Reader] | None:
            return self._tried(judge, Verdict("packed", economies))

        everything = Economies(share=self._model.device.type != "cpu" or _sharing_is_exact(self._model))
        found = attempt(everything)
        if found is not None:
            return found
        # Some models give logits of chosen rows only by their vocabulary matrix, others only by themselves.
        for fuse in (True, False):
            kept = replace(everything, trim=False, fuse=fuse, join=False, once=False)
            found = attempt(kept)
            if found is not None:
                break
        else:
            return None
        for more in ({"trim": True}, {"join": True}, {"once": True}):
            better = attempt(replace(kept, **more))
            if better is not None:
                kept, found = replace(kept, **more), better
        return found


def _sharing_is_exact(model: Any) -> bool:
    """Whether prompts may be cut into segments without a trace in any bit of the scores."""
    config = model.config.get_text_config()
    heads, hidden = _setting(config, "num_attention_heads"), _setting(config, "hidden_size")
    if not heads or not hidden:
        return False
    return sharing_is_exact(heads, _setting(config, "head_dim") or hidden // heads, model.dtype)


def _setting(config: Any, name: str) -> Any:
    """An entry of a configuration, or None if it has none, or a different one for every layer."""
    try:
        return getattr(config, name, None)
    except Exception:  # configurations may forbid to ask
        return None


def _check_windows(model: Any, windows: set[int | None]) -> None:
    """Refuse a packed reading of a model that looks near only, unless its layers said how near."""
    config = model.config.get_text_config()
    kinds = set(_setting(config, "layer_types") or [])
    if "chunked_attention" in kinds:
        raise ModelError("attention in chunks cannot be confined to segments")
    if _has_window(config) and windows == {None}:
        raise ModelError("no layer told the width of its sliding window")


def _unless_local(model: Any, reader: Reader) -> Reader:
    """Refuse ways that would lose a sliding window, or a state that runs along the row."""
    config = model.config.get_text_config()
    kinds = set(_setting(config, "layer_types") or ["full_attention"])
    if _has_window(config) or kinds != {"full_attention"} or getattr(model, "_is_stateful", False):
        raise ModelError("some layers do not look at the whole sentence")
    return reader


def _has_window(config: Any) -> bool:
    """Whether a configuration asks for local attention narrower than the model's context."""
    kinds = _setting(config, "layer_types")
    if kinds is not None:
        return "sliding_attention" in kinds
    window = _setting(config, "sliding_window")
    unused = _setting(config, "use_sliding_window") is False
    return bool(window and not unused and window < (_setting(config, "max_position_embeddings") or window + 1))
