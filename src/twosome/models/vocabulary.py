"""Hidden states to log-probabilities of chosen tokens, without ever holding all of the vocabulary's."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from twosome.models.packing import MULTIPLE

_CHUNK = 2**20  # logits held at a time, 4 MB; but
_ROWS = 64  # at least so many rows, or the vocabulary matrix is read too often


class _TargetLogProbs(torch.autograd.Function):
    r"""Log-softmax of ``hidden @ weight.T`` at the targets.

    With p = softmax(W h), the gradient of log p_t in h is W_t - W^T p. The expected row W^T p is worked out in the
    forward pass, where p is at hand, so that nothing of the vocabulary's size is kept for the backward pass.
    """

    @staticmethod
    def forward(
        ctx: Any, hidden: Tensor, weight: Tensor, bias: Tensor | None, row_of: Tensor, targets: Tensor
    ) -> Tensor:
        found = torch.empty(len(targets), device=hidden.device)
        differentiable = ctx.needs_input_grad[0]
        expected = torch.empty_like(hidden) if differentiable else None
        size = max(_ROWS, _CHUNK // len(weight) // MULTIPLE * MULTIPLE)
        ends = torch.searchsorted(row_of, torch.arange(0, len(hidden) + size, size, device=row_of.device)).tolist()
        for number, start in enumerate(range(0, len(hidden), size)):
            logits = torch.nn.functional.linear(hidden[start : start + size], weight, bias).float()
            # Not logsumexp: its last bits depend on how many rows there are.
            log_probs = torch.log_softmax(logits, dim=-1)
            here = slice(ends[number], ends[number + 1])
            found[here] = log_probs[row_of[here] - start, targets[here]]
            if expected is not None:
                expected[start : start + size] = log_probs.exp_().to(weight.dtype) @ weight
        ctx.save_for_backward(expected, weight, row_of, targets)
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
        hidden: [R, H], final hidden states.
        row_of: int64 [M], ascending: the row that predicts each target.
        targets: int64 [M].
    """
    found: Tensor = _TargetLogProbs.apply(hidden, head.weight, head.bias, row_of, targets)  # type: ignore[no-untyped-call]
    return found
