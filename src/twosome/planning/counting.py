"""What reading a pack takes, counted: operations, calls of kernels, and bytes that are held, without computing it.

The model's own code runs on tensors without content (:mod:`twosome.planning.skeleton`), with and without gradient.
Every storage that it makes is noted when it comes and when it goes, so the peak is that of a training, without what
the allocator keeps.
"""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from twosome.bench.matrix_products import counting_products
from twosome.planning.skeleton import Skeleton
from twosome.scoring.condition import adapter_off
from twosome.scoring.vocabulary import COLUMNS
from twosome.tokens.blocks import Block


@dataclass(frozen=True)
class Pass:
    """One reading of a pack.

    Attributes:
        tokens: Its rows.
        rows: Those of them whose next token is asked for.
        forward: Floating-point operations of a reading without gradient, the vocabulary's apart.
        backward: Those that a gradient adds.
        calls: Of kernels, without gradient.
        calls_with_gradient: With, forward and backward.
        acting_bytes: Most bytes that a reading without gradient holds.
        training_bytes: Most bytes that a reading and its gradient hold, vocabulary included.
    """

    tokens: int
    rows: int
    forward: float
    backward: float
    calls: int
    calls_with_gradient: int
    acting_bytes: int
    training_bytes: int


class _Held(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Bytes that are held now and at most, and how many kernels were called."""

    def __init__(self, weights: Sequence[Tensor]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.now = self.most = self.calls = 0
        self._known: dict[int, weakref.ref[Any]] = {}
        for weight in weights:  # they are counted elsewhere
            self._note(weight, 0)

    def __torch_dispatch__(self, function: Any, types: Any, arguments: Any = (), named: Any = None) -> Any:
        found = function(*arguments, **(named or {}))
        leaves = [leaf for leaf in tree_leaves(found) if isinstance(leaf, Tensor)]
        made = [self._note(leaf, leaf.untyped_storage().nbytes()) for leaf in leaves]
        self.calls += any(made) or function.__name__.split(".")[0].endswith("_")  # others only look at what is there
        return found

    def _note(self, tensor: Tensor, nbytes: int) -> bool:
        """Take note of a tensor's storage; whether it is new."""
        storage = tensor.untyped_storage()
        number = id(storage)
        if number in self._known:
            return False

        def gone(_: Any) -> None:
            self.now -= nbytes
            self._known.pop(number, None)

        self._known[number] = weakref.ref(storage, gone)
        self.now += nbytes
        self.most = max(self.most, self.now)
        return True

    def begin(self) -> None:
        """Count anew."""
        self.most, self.calls = self.now, 0


class _FusedAttention(TorchFunctionMode):
    """Attention as a device's fused kernel has it: without content, torch would take the one that spells it out."""

    def __torch_function__(self, function: Any, types: Any, arguments: Any = (), named: Any = None) -> Any:
        named = named or {}
        if function is not torch.nn.functional.scaled_dot_product_attention:
            return function(*arguments, **named)
        query, key, value, mask = arguments
        groups = query.shape[1] // key.shape[1]
        if groups > 1:
            key, value = key.repeat_interleave(groups, 1), value.repeat_interleave(groups, 1)
        kernel = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
        return kernel(query, key, value, 0.0, False, attn_mask=mask, scale=named.get("scale"))[0]


class _Vocabulary(torch.autograd.Function):
    """What :mod:`twosome.scoring.vocabulary` holds, part by part of the vocabulary; two parts stand for all."""

    @staticmethod
    def forward(ctx: Any, hidden: Tensor, weight: Tensor, targets: int, gradient: bool) -> Tensor:
        expected = torch.zeros_like(hidden, dtype=torch.float32) if gradient else None
        for _ in range(min(2, max(1, len(weight) // COLUMNS))):
            part = weight[:COLUMNS]
            logits = torch.nn.functional.linear(hidden, part).float()
            odds = logits.sub_(1.0).exp_()
            if expected is not None:
                expected.add_(odds.to(weight.dtype) @ part)
        ctx.expected, ctx.weight, ctx.targets = expected, weight, targets
        return hidden.new_empty(targets, dtype=torch.float32)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        hidden = -gradients[0].new_zeros(len(ctx.expected)).unsqueeze(-1) * ctx.expected
        wanted = ctx.weight.new_empty(ctx.targets, ctx.weight.shape[1]).float() * gradients[0].unsqueeze(-1)
        hidden = hidden + wanted[:1]
        return hidden.to(ctx.weight.dtype), None, None, None


def recomputed_bytes(skeleton: Skeleton, tokens: int, nbytes: int) -> int:
    """What a pass of ``nbytes`` holds where layers keep their inputs alone: all of these, and one layer's whole."""
    size = torch.empty(0, dtype=skeleton.dtype).element_size()
    return int(tokens * skeleton.width * size * skeleton.depth + nbytes // max(1, skeleton.depth))


def count_reading(skeleton: Skeleton, blocks: Sequence[Block]) -> Pass:
    """What it takes to read one pack with the whole frozen base, adapter off, as priors and features are read."""
    pack, head = skeleton.pack(blocks), skeleton.model.get_output_embeddings()
    held = _Held([*skeleton.model.parameters(), *skeleton.model.buffers()])
    with skeleton.reading(), adapter_off(skeleton.model), held, _FusedAttention(), torch.no_grad():
        with counting_products() as forward:
            hidden = skeleton.reader.states(pack)
        _Vocabulary.apply(hidden, head.weight, len(pack.targets), False)  # type: ignore[no-untyped-call]
    return Pass(
        tokens=pack.ids.numel(),
        rows=len(pack.rows),
        forward=float(forward.get_total_flops()),
        backward=0.0,
        calls=held.calls,
        calls_with_gradient=0,
        acting_bytes=held.most,
        training_bytes=0,
    )


def count(skeleton: Skeleton, blocks: Sequence[Block]) -> Pass:
    """What it takes to read one pack, and to take its gradient: of the layers from the lowest with an adapter on."""
    pack = skeleton.pack(blocks)
    reader, head = skeleton.reader, skeleton.model.get_output_embeddings()
    targets = len(pack.targets)
    held = _Held([*skeleton.model.parameters(), *skeleton.model.buffers()])
    fused = not head.weight.requires_grad
    with skeleton.reading():
        below = None
        if skeleton.frozen_layers:
            below = torch.empty(1, pack.ids.numel(), skeleton.width, dtype=skeleton.dtype)
        with held, _FusedAttention():
            with torch.no_grad(), counting_products() as forward:
                hidden = reader.states(pack, below)
            with torch.no_grad():
                found = _Vocabulary.apply(hidden, head.weight, targets, False)  # type: ignore[no-untyped-call]
            del hidden, found
            acting, calls = held.most, held.calls
            held.begin()
            with counting_products() as both:
                hidden = reader.states(pack, below)
                if fused:
                    found = _Vocabulary.apply(hidden, head.weight, targets, True)  # type: ignore[no-untyped-call]
                else:
                    found = torch.log_softmax(torch.nn.functional.linear(hidden, head.weight).float(), -1)[:, 0]
                torch.autograd.backward(found, torch.ones_like(found))
    for parameter in skeleton.model.parameters():
        parameter.grad = None
    rows, wide = len(pack.rows), 2.0 * skeleton.width * COLUMNS * len(pack.rows)
    products = both.get_total_flops() - (4.0 if fused else 6.0) * skeleton.width * skeleton.vocabulary * rows
    if fused:  # two parts of the vocabulary, each with logits and what is expected of them
        parts = min(2, max(1, skeleton.vocabulary // COLUMNS))
        products = both.get_total_flops() - 2 * parts * min(wide, 2.0 * skeleton.width * skeleton.vocabulary * rows)
    alone, most = float(forward.get_total_flops()), held.most
    if skeleton.run.loading.recompute:
        products, most = products + alone, recomputed_bytes(skeleton, pack.ids.numel(), most)
    return Pass(
        tokens=pack.ids.numel(),
        rows=rows,
        forward=alone,
        backward=max(0.0, products - alone),
        calls=calls,
        calls_with_gradient=held.calls,
        acting_bytes=acting,
        training_bytes=most,
    )
