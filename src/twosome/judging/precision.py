"""A model computing in a higher precision than its weights are kept in, without a second copy of them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from twosome.scoring.layers import replaced_forward

HIGHER = {torch.float16: torch.float32, torch.bfloat16: torch.float32, torch.float32: torch.float64}
"""What a reading in each precision is judged against."""

_ROWS = 8192
"""Rows of a large linear layer's matrix that are raised at a time."""


@contextmanager
def raised(model: nn.Module, dtype: torch.dtype) -> Iterator[None]:
    """Let every module compute with its weights in ``dtype``, raised while it runs and no longer.

    Memory for one module's weights is all that it takes; of a large linear layer (a vocabulary) for a part of them, of
    an embedding for the tokens read. Hidden states follow their embeddings, so they are in ``dtype`` from there on.
    What a model casts to a fixed precision by itself (norms and rotary embeddings, often float32) stays there; an
    adapter's layers, which cast what they read to the precision that their weights are kept in, are told not to.
    """
    with ExitStack() as stack:
        stack.enter_context(_inputs_not_cast(model))
        for module in model.modules():
            if not _floating(module):
                continue
            if isinstance(module, nn.Embedding) and module.num_embeddings > _ROWS:
                stack.enter_context(_raised_embedding(module, dtype))
            elif type(module) is nn.Linear and module.out_features > _ROWS:
                stack.enter_context(_raised_in_parts(module, dtype))
            else:
                stack.enter_context(_raised_while_running(module, dtype))
        yield


@contextmanager
def _inputs_not_cast(model: nn.Module) -> Iterator[None]:
    """Let PEFT's layers hand on what they are given: they would cast it before their weights are raised."""
    own = "cast_input_dtype_enabled"
    before = {module: vars(module)[own] for module in model.modules() if own in vars(module)}
    try:
        for module in before:
            setattr(module, own, False)
        yield
    finally:
        for module, enabled in before.items():
            setattr(module, own, enabled)


def _floating(module: nn.Module) -> dict[str, Tensor]:
    """A module's own weights and buffers that are floating-point numbers."""
    own = {**module._parameters, **module._buffers}
    return {name: tensor for name, tensor in own.items() if tensor is not None and tensor.is_floating_point()}


@contextmanager
def _raised_while_running(module: nn.Module, dtype: torch.dtype) -> Iterator[None]:
    kept: list[dict[str, Tensor]] = []

    def raise_weights(*_: Any) -> None:
        kept.append(_floating(module))
        _replace(module, {name: tensor.detach().to(dtype) for name, tensor in kept[-1].items()})

    def put_back(*_: Any) -> None:
        if kept:
            _replace(module, kept.pop())

    before = module.register_forward_pre_hook(raise_weights)
    after = module.register_forward_hook(put_back, always_call=True)
    try:
        yield
    finally:
        put_back()
        before.remove()
        after.remove()


def _replace(module: nn.Module, tensors: dict[str, Tensor]) -> None:
    """Put ``tensors`` in place of the module's own, past the checks of attributes."""
    for name, tensor in tensors.items():
        own: dict[str, Any] = module._parameters if name in module._parameters else module._buffers
        own[name] = tensor


@contextmanager
def _raised_embedding(module: nn.Embedding, dtype: torch.dtype) -> Iterator[None]:
    """The rows that are looked up are raised, as if the table held no others; scales of subclasses stay in force."""
    forward = module.forward

    def look_up(ids: Tensor, *arguments: Any, **named: Any) -> Any:
        kept, distinct = _floating(module), torch.unique(ids)
        rows = {name: tensor.detach().to(dtype) for name, tensor in kept.items() if name != "weight"}
        padding, module.padding_idx = module.padding_idx, None  # it counts in the whole table
        _replace(module, {**rows, "weight": module.weight.detach()[distinct].to(dtype)})
        try:
            return forward(torch.searchsorted(distinct, ids), *arguments, **named)
        finally:
            _replace(module, kept)
            module.padding_idx = padding

    with replaced_forward(module, look_up):
        yield


@contextmanager
def _raised_in_parts(module: nn.Linear, dtype: torch.dtype) -> Iterator[None]:
    def multiply(inputs: Tensor) -> Tensor:
        parts = []
        for start in range(0, module.out_features, _ROWS):
            rows = slice(start, start + _ROWS)
            bias = None if module.bias is None else module.bias[rows].detach().to(dtype)
            parts.append(nn.functional.linear(inputs, module.weight[rows].detach().to(dtype), bias))
        return torch.cat(parts, dim=-1)

    with replaced_forward(module, multiply):
        yield
