"""Which way a model can be read, found out by trying it, never from its name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any, Literal

import torch

from twosome.errors import ModelError
from twosome.scoring.attention import Attention, sharing_is_exact
from twosome.scoring.condition import adapter_kinds, check_eval, check_kind, virtual_tokens
from twosome.scoring.memory import LIMIT
from twosome.scoring.readers import Economies, PackedReader, Reader
from twosome.scoring.reference import one_at_a_time
from twosome.scoring.row_readers import CachedReader, MaskedReader, PaddedReader
from twosome.tokens.encoding import EncodedDecision

Path = Literal["packed", "masked", "cached", "padded"]

PROBE_TOLERANCE = {torch.float32: 1e-4, torch.float64: 1e-6, torch.bfloat16: 0.3, torch.float16: 0.1}
"""Nats by which a way may differ from reading one sequence at a time; generous in low precision."""

_CPU_BUDGET = 1024  # more leaves the cache and is slower; less costs more small operations
_GPU_BUDGET = 4096


def choose_reader(
    model: Any,
    *,
    path: Path | None = None,
    token_budget: int | None = None,
    frozen_layers: int = 0,
    lean: bool = False,
    memory_limit: int = LIMIT,
    attention: Attention = "segments",
) -> Reader:
    """The fastest way that agrees with reading one sequence at a time.

    Args:
        model: Any Hugging Face causal language model, with or without an adapter.
        path: Try this way alone.
        token_budget: Most tokens in one pass, a single longer decision goes alone; None for what suits the device.
        frozen_layers: How many layers, from the bottom, no adapter changes; only the packed way makes use of it.
        lean: Save memory in the backward pass; only the packed way can.
        memory_limit: Bytes each of the reader's memories may take.
        attention: How a pack attends. ``"sparse"`` takes a GPU, and a model that is read in packs.

    Raises:
        ModelError: If no way agrees, or the model is not in eval mode.
    """
    check_eval(model)
    check_kind(model)
    if attention == "sparse" and model.device.type == "cpu":
        raise ModelError("sparse attention has no backward pass on a CPU; set loading.attention to segments")
    if attention == "sparse":
        path = path or "packed"  # what cannot attend so is refused rather than read slowly
    budget = token_budget or (_CPU_BUDGET if model.device.type == "cpu" else _GPU_BUDGET)

    probe = _probe_decisions(model)
    tolerance = PROBE_TOLERANCE.get(model.dtype, 1e-4)
    with torch.no_grad():
        oracle = _oracle(model, probe)

        def agreeing(make: Callable[[], Reader]) -> Reader | None:
            try:
                reader = make()
                found = reader.log_probs(probe)
            except Exception:  # the model does not support the mechanism: any error means "not this way"
                return None
            return reader if torch.isfinite(found).all() and (found - oracle).abs().max() <= tolerance else None

        def packed(economies: Economies) -> Reader:
            reader = PackedReader(
                model,
                budget,
                economies,
                frozen_layers=frozen_layers,
                lean=lean,
                memory_limit=memory_limit,
                attention=attention,
            )
            _check_windows(model, set(reader.watch(probe).values()))
            return reader

        ways: dict[Path, Callable[[], Reader | None]] = {
            "packed": lambda: _most_economical(model, lambda economies: agreeing(partial(packed, economies))),
            "masked": lambda: agreeing(lambda: _unless_local(model, MaskedReader(model, budget))),
            "cached": lambda: agreeing(lambda: _unless_local(model, CachedReader(model, budget))),
            "padded": lambda: agreeing(lambda: PaddedReader(model, budget)),
        }
        for name, way in ways.items():
            # Virtual tokens of an adapter are no part of the model below it, which the other ways read.
            possible = name == "padded" or not virtual_tokens(model)
            reader = way() if path in (None, name) and possible else None
            if reader is not None:
                return reader
    tried = "every way" if path is None else f"the {path} way"
    raise ModelError(
        f"{_named(model)} cannot be scored exactly: {tried} of reading it fails or differs from one sequence "
        "at a time; is it a causal language model?"
    )


def _oracle(model: Any, probe: list[EncodedDecision]) -> torch.Tensor:
    """What one sequence at a time gives.

    Raises:
        ModelError: If not even that can be read.
    """
    try:
        return one_at_a_time(model, probe)
    except Exception as error:  # whatever a model or an adapter of somebody's raises
        said = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        raise ModelError(f"{_named(model)} cannot be scored: it does not read a sentence ({said})") from None


def _named(model: Any) -> str:
    """What to call a model in a message."""
    kinds = adapter_kinds(model)
    return f"{type(model).__name__} with an adapter of kind {', '.join(kinds)}" if kinds else type(model).__name__


def _most_economical(model: Any, attempt: Callable[[Economies], Reader | None]) -> Reader | None:
    """A packed reading that leaves out as much as agrees: all at once, or else one thing after the other."""
    everything = Economies(share=model.device.type != "cpu" or _sharing_is_exact(model))
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


def _probe_decisions(model: Any) -> list[EncodedDecision]:
    """Made-up decisions of different length, with prompts that begin alike and actions that branch at every depth.

    A way that ignores positions, or looks from one branch into another, must not get by.
    """
    vocabulary = model.config.get_text_config().vocab_size
    ids = [5 + (7919 * i) % max(1, vocabulary - 6) for i in range(90)]
    a, b, c, d, e, f, g, h = ids[:8]
    branching = ((a, b, c, d), (a, b, e, f), (a, g, h), (e, f, g), (e, a), (h,))
    return [
        EncodedDecision(tuple(ids[10:49]), branching),
        EncodedDecision(tuple(ids[50:55]), ((d, e), (d, f, g, h), (c, b, a))),
        EncodedDecision((*ids[10:40], *ids[60:64]), ((b, a, g), (f, e), (f, d, c))),
    ]
