"""Hidden states to log-probabilities of chosen tokens, without ever holding all of the vocabulary's."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

COLUMNS = 2048
"""Tokens of the vocabulary at a time: what is worked out of them stays in the processor's cache, and their part of the
matrix is read from memory once for all rows. One number for all packs, because sums over the vocabulary round by it."""

_VECTORS = 16
"""Elementwise functions take so many numbers at once, and what is left over by scalar code that rounds differently."""


class _TargetLogProbs(torch.autograd.Function):
    r"""Log-softmax of ``hidden @ weight.T`` at the targets.

    With p = softmax(W h), the gradient of log p_t in h is W_t - W^T p. The expected row W^T p is worked out in the
    forward pass, where p is at hand, so that nothing of the vocabulary's size is kept for the backward pass. Maximum,
    normaliser and expected row are carried from one part of the vocabulary to the next, rescaled where the maximum
    grows (Milakov and Gimelshein 2018, algorithm 3).
    """

    @staticmethod
    def forward(
        ctx: Any, hidden: Tensor, weight: Tensor, bias: Tensor | None, row_of: Tensor, targets: Tensor
    ) -> Tensor:
        found = torch.empty(len(targets), device=hidden.device)
        top = found.new_full((len(hidden), 1), torch.finfo(found.dtype).min)
        total = torch.zeros_like(top)
        expected = torch.zeros_like(hidden, dtype=found.dtype) if ctx.needs_input_grad[0] else None
        starts = range(0, len(weight), COLUMNS)
        ordered, order = torch.sort(targets)
        ends = torch.searchsorted(ordered, torch.tensor([*starts, len(weight)], device=targets.device)).tolist()
        for number, start in enumerate(starts):
            part = weight[start : start + COLUMNS]
            offset = None if bias is None else bias[start : start + COLUMNS]
            logits = torch.nn.functional.linear(hidden, part, offset).float()
            here = order[ends[number] : ends[number + 1]]
            found[here] = logits[row_of[here], targets[here] - start]
            before, top = top, torch.maximum(top, logits.amax(-1, keepdim=True))
            shrink = (before - top).exp_()
            if len(part) % _VECTORS:
                logits = torch.nn.functional.pad(logits, (0, -len(part) % _VECTORS), value=-torch.inf)
            odds = logits.sub_(top).exp_()
            total = total.mul_(shrink).add_(odds.sum(-1, keepdim=True))
            if expected is not None:
                expected.mul_(shrink).add_(odds[:, : len(part)].to(weight.dtype) @ part)
        found.sub_(top[row_of, 0]).sub_(total.log()[row_of, 0])
        ctx.save_for_backward(expected if expected is None else expected.div_(total), weight, row_of, targets)
        return found

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (gradient,) = gradients
        expected, weight, row_of, targets = ctx.saved_tensors
        total = torch.zeros(len(expected), device=gradient.device).index_add_(0, row_of, gradient)
        hidden = -total.unsqueeze(-1) * expected
        hidden.index_add_(0, row_of, gradient.unsqueeze(-1) * weight[targets].float())
        return hidden.to(weight.dtype), None, None, None, None


def target_log_probs(head: torch.nn.Linear, hidden: Tensor, row_of: Tensor, targets: Tensor) -> Tensor:
    """Log-probability of each target after its row, summed over the vocabulary in float32: [M].

    Args:
        head: The frozen vocabulary matrix.
        hidden: [R, H], final hidden states; R a multiple of 8.
        row_of: int64 [M], the row that predicts each target.
        targets: int64 [M].
    """
    found: Tensor = _TargetLogProbs.apply(hidden, head.weight, head.bias, row_of, targets)  # type: ignore[no-untyped-call]
    return found
