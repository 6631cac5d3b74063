"""Log-probabilities of targets straight from the vocabulary matrix, a part of it at a time."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from twosome.scoring.vocabulary import target_log_probs

SIZES = [40, 2048, 2051, 5003]  # below, at and beyond one part of the vocabulary; whole vectors and not


def _head(vocabulary: int, *, bias: bool = False, dtype: torch.dtype = torch.float32) -> nn.Linear:
    generator = torch.Generator().manual_seed(vocabulary)
    head = nn.Linear(24, vocabulary, bias=bias)
    for parameter in head.parameters():
        parameter.data = torch.randn(parameter.shape, generator=generator)
    return head.requires_grad_(False).to(dtype)


def _questions(vocabulary: int, rows: int) -> tuple[Tensor, Tensor, Tensor]:
    """Hidden states, and for most rows some targets; the first and the last token are among them."""
    generator = torch.Generator().manual_seed(rows)
    row_of, _ = torch.sort(torch.randint(rows, (3 * rows,), generator=generator))
    targets = torch.randint(vocabulary, (3 * rows,), generator=generator)
    targets[0], targets[-1] = 0, vocabulary - 1
    return torch.randn(rows, 24, generator=generator), row_of, targets


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("vocabulary", SIZES)
def test_log_probabilities_and_gradients_are_those_of_the_whole_softmax(vocabulary: int, bias: bool) -> None:
    head = _head(vocabulary, bias=bias)
    hidden, row_of, targets = _questions(vocabulary, 16)
    weights = torch.linspace(-1, 1, len(targets))

    ours = hidden.clone().requires_grad_()
    found = target_log_probs(head, ours, row_of, targets)
    (found * weights).sum().backward()

    exact = hidden.double().requires_grad_()
    expected = torch.log_softmax(head.double()(exact), dim=-1)[row_of, targets]
    (expected * weights).sum().backward()

    torch.testing.assert_close(found.double(), expected, rtol=1e-6, atol=1e-6)
    assert (ours.grad - exact.grad).norm() <= 1e-6 * exact.grad.norm()


@pytest.mark.parametrize("gradient", [False, True])
@pytest.mark.parametrize("vocabulary", SIZES)
def test_a_row_is_scored_to_the_same_bits_whatever_rows_stand_beside_it(vocabulary: int, gradient: bool) -> None:
    head = _head(vocabulary)
    hidden, row_of, targets = _questions(vocabulary, 48)
    together = target_log_probs(head, hidden.requires_grad_(gradient), row_of, targets)
    for rows in (8, 16, 40):
        here = row_of < rows
        alone = target_log_probs(head, hidden[:rows], row_of[here], targets[here])
        assert torch.equal(alone, together[here])


def test_the_maximum_may_come_last_or_first() -> None:
    head = _head(5003)
    hidden, row_of, targets = _questions(5003, 8)
    for peak in (0, 5002):
        head.weight[peak] = 40 * hidden[0]  # a logit of hundreds
        found = target_log_probs(head, hidden, row_of, targets)
        torch.testing.assert_close(found, torch.log_softmax(head(hidden), dim=-1)[row_of, targets])


def test_half_precision_is_summed_in_float32() -> None:
    head = _head(5003, dtype=torch.bfloat16)
    hidden, row_of, targets = _questions(5003, 8)
    hidden = hidden.bfloat16().requires_grad_()
    found = target_log_probs(head, hidden, row_of, targets)
    expected = torch.log_softmax(head(hidden).float(), dim=-1)[row_of, targets]
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)
    found.sum().backward()
    assert hidden.grad is not None
    assert hidden.grad.dtype == torch.bfloat16
