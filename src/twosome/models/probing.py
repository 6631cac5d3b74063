"""Which way a model can be read, found out by trying it, never from its name."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any, Literal

import torch

from twosome.errors import ModelError
from twosome.models.attention import sharing_is_exact
from twosome.models.encoding import EncodedDecision
from twosome.models.readers import CachedReader, Economies, MaskedReader, PackedReader, PaddedReader, Reader
from twosome.models.reference import one_at_a_time

Path = Literal["packed", "masked", "cached", "padded"]

PROBE_TOLERANCE = {torch.float32: 1e-4, torch.float64: 1e-6, torch.bfloat16: 0.3, torch.float16: 0.1}
"""Nats by which a way may differ from reading one sequence at a time; generous in low precision."""

_CPU_BUDGET = 640  # more leaves the cache and is slower
_GPU_BUDGET = 4096


def choose_reader(
    model: Any,
    *,
    path: Path | None = None,
    token_budget: int | None = None,
    frozen_layers: int = 0,
    lean: bool = False,
    memory_limit: int = 2**28,
) -> Reader:
    """The fastest way that agrees with reading one sequence at a time.

    Args:
        model: Any Hugging Face causal language model, with or without an adapter.
        path: Try this way alone.
        token_budget: Most tokens in one pass, a single longer decision goes alone; None for what suits the device.
        frozen_layers: How many layers, from the bottom, no adapter changes; only the packed way makes use of it.
        lean: Save memory in the backward pass; only the packed way can.
        memory_limit: Bytes each of the reader's memories may take.

    Raises:
        ModelError: If no way agrees.
    """
    budget = token_budget or (_CPU_BUDGET if model.device.type == "cpu" else _GPU_BUDGET)

    def packed(economies: Economies) -> Reader:
        reader = PackedReader(
            model, budget, economies, frozen_layers=frozen_layers, lean=lean, memory_limit=memory_limit
        )
        _check_windows(model, set(reader.watch(probe).values()))
        return reader

    ways: dict[Path, Iterable[Callable[[], Reader]]] = {
        "packed": [partial(packed, economies) for economies in _economies(model)],
        "masked": [lambda: _unless_local(model, MaskedReader(model, budget))],
        "cached": [lambda: _unless_local(model, CachedReader(model, budget))],
        "padded": [lambda: PaddedReader(model, budget)],
    }
    probe = _probe_decisions(model)
    with torch.no_grad():
        oracle = one_at_a_time(model, probe)
        for make in (make for name in ways if path in (None, name) for make in ways[name]):
            try:
                reader = make()
                found = reader.log_probs(probe)
            except Exception:  # the model does not support the mechanism: any error means "not this way"
                continue
            tolerance = PROBE_TOLERANCE.get(model.dtype, 1e-4)
            if torch.isfinite(found).all() and (found - oracle).abs().max() <= tolerance:
                return reader
    tried = "every way" if path is None else f"the {path} way"
    raise ModelError(
        f"{type(model).__name__} cannot be scored exactly: {tried} of reading it fails or differs from one sequence "
        "at a time; is it a causal language model?"
    )


def _economies(model: Any) -> Iterator[Economies]:
    """What a packed reading may leave out, most first."""
    share = model.device.type != "cpu" or _sharing_is_exact(model)
    for fuse in (True, False):
        for trim in (True, False):
            yield Economies(share=share, trim=trim, fuse=fuse)


def _sharing_is_exact(model: Any) -> bool:
    """Whether prompts may be cut into segments without a trace in any bit of the scores."""
    config = model.config.get_text_config()
    heads = getattr(config, "num_attention_heads", None)
    if heads is None:
        return False
    size = getattr(config, "head_dim", None) or config.hidden_size // heads
    return sharing_is_exact(heads, size, model.dtype)


def _check_windows(model: Any, windows: set[int | None]) -> None:
    """Refuse a packed reading of a model that looks near only, unless its layers said how near."""
    config = model.config.get_text_config()
    kinds = set(getattr(config, "layer_types", None) or [])
    if "chunked_attention" in kinds:
        raise ModelError("attention in chunks cannot be confined to segments")
    if _has_window(config) and windows == {None}:
        raise ModelError("no layer told the width of its sliding window")


def _unless_local(model: Any, reader: Reader) -> Reader:
    """Refuse ways that would lose a sliding window, or a state that runs along the row."""
    config = model.config.get_text_config()
    kinds = set(getattr(config, "layer_types", None) or ["full_attention"])
    if _has_window(config) or kinds != {"full_attention"} or getattr(model, "_is_stateful", False):
        raise ModelError("some layers do not look at the whole sentence")
    return reader


def _has_window(config: Any) -> bool:
    """Whether a configuration asks for local attention narrower than the model's context."""
    kinds = getattr(config, "layer_types", None)
    if kinds is not None:
        return "sliding_attention" in kinds
    window = getattr(config, "sliding_window", None)
    used = getattr(config, "use_sliding_window", True)
    return bool(window and used and window < (getattr(config, "max_position_embeddings", None) or window + 1))


def _probe_decisions(model: Any) -> list[EncodedDecision]:
    """Made-up decisions of different length whose prompts and actions share beginnings."""
    vocabulary = model.config.get_text_config().vocab_size
    ids = [5 + (7919 * i) % max(1, vocabulary - 6) for i in range(80)]
    common = ids[:30]
    return [
        EncodedDecision((*common, *ids[30:39]), (tuple(ids[39:42]), (ids[39], ids[43]), (ids[44],))),
        EncodedDecision(tuple(ids[45:50]), ((ids[50], ids[51]), (ids[50], ids[51], ids[52], ids[53]))),
        EncodedDecision((*common, *ids[60:64]), ((ids[70], ids[71]), (ids[72],))),
    ]
