"""Policy gradients over all actions: against what enumeration, hands and finite differences say."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from twosome.functional.all_actions import (
    BASELINES,
    clipped_sum,
    mean_baseline,
    optimal_baseline,
    trusted_sum,
)
from twosome.functional.categorical import masked_log_softmax

CLIP, CLIP_HIGH = 0.2, 0.28


def numbers(seed: int, *shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def gradient(loss: Callable[[Tensor], Tensor], logits: Tensor) -> Tensor:
    logits = logits.clone().requires_grad_()
    (found,) = torch.autograd.grad(loss(masked_log_softmax(logits)).sum(), logits)
    return found


@pytest.mark.parametrize("baseline", BASELINES)
@pytest.mark.parametrize("seed", range(3))
def test_at_the_policy_that_acted_it_is_the_enumerated_policy_gradient_of_a_bandit(seed: int, baseline: str) -> None:
    logits, values = numbers(seed, 2, 6), numbers(seed + 10, 2, 6)
    acting = masked_log_softmax(logits)
    advantages = values - BASELINES[baseline](acting, values).unsqueeze(-1)
    probs = acting.exp()
    # dJ/dz_b = sum_a pi(a) Q(a) (1[a = b] - pi(b)), for J = sum_a pi(a) Q(a).
    enumerated = torch.zeros_like(logits)
    for a in range(6):
        for b in range(6):
            enumerated[:, b] += probs[:, a] * values[:, a] * (float(a == b) - probs[:, b])
    everywhere = torch.ones_like(values, dtype=torch.bool)
    for loss in (
        lambda now: clipped_sum(now, acting, advantages, CLIP, CLIP_HIGH),
        lambda now: trusted_sum(now, acting, advantages, everywhere),
    ):
        torch.testing.assert_close(-gradient(loss, logits), enumerated, rtol=0, atol=1e-12)


@pytest.mark.parametrize("seed", range(3))
def test_its_gradient_is_that_of_finite_differences_where_some_are_clipped(seed: int) -> None:
    logits, advantages = numbers(seed, 1, 5), numbers(seed + 10, 1, 5)
    acting, mask = masked_log_softmax(logits + 0.4 * numbers(seed + 20, 1, 5)), numbers(seed + 30, 1, 5) > 0
    for loss in (
        lambda now: clipped_sum(now, acting, advantages, CLIP, CLIP_HIGH),
        lambda now: trusted_sum(now, acting, advantages, mask),
    ):
        found, step = gradient(loss, logits), 1e-6
        for action in range(5):
            moved = step * torch.nn.functional.one_hot(torch.tensor([action]), 5)
            ahead, behind = (loss(masked_log_softmax(logits + sign * moved)) for sign in (1, -1))
            assert found[0, action].item() == pytest.approx(((ahead - behind) / (2 * step)).item(), abs=1e-6)


def test_what_went_far_enough_counts_no_more() -> None:
    """By hand: ratios 1.5 and 0.5, where the first is good and the second bad, are both beyond the clip range."""
    now, acting = torch.tensor([[0.75, 0.25]]).log(), torch.tensor([[0.5, 0.5]]).log()
    loss = clipped_sum(now, acting, torch.tensor([[2.0, -1.0]]), CLIP)
    assert loss.item() == pytest.approx(-(0.5 * 1.2 * 2 - 0.5 * 0.8 * 1))
    turned = clipped_sum(now, acting, torch.tensor([[-2.0, 1.0]]), CLIP)
    assert turned.item() == pytest.approx(-(0.5 * 1.5 * -2 + 0.5 * 0.5 * 1))  # the wrong way: nothing is clipped
    logits = torch.tensor([[0.75, 0.25]]).log()
    flat = gradient(lambda log_probs: clipped_sum(log_probs, acting, torch.tensor([[2.0, -1.0]]), CLIP), logits)
    assert flat.abs().max() == 0


def test_nothing_overflows_and_padding_has_no_gradient() -> None:
    logits = torch.tensor([[200.0, -200.0, 0.0, -torch.inf]])
    acting = masked_log_softmax(torch.tensor([[-200.0, 200.0, 0.0, -torch.inf]]))
    advantages = torch.tensor([[1.0, -1.0, 0.5, 7.0]])
    for clip in (0.2, 1.5):
        for loss in (
            lambda now, clip=clip: clipped_sum(now, acting, advantages, clip),
            lambda now: trusted_sum(now, acting, advantages, torch.ones(1, 4, dtype=torch.bool)),
        ):
            assert torch.isfinite(loss(masked_log_softmax(logits))).all()
            found = gradient(loss, logits)
            assert torch.isfinite(found).all()
            assert found[0, 3] == 0


def variance(probs: Tensor, values: Tensor, baseline: Tensor) -> float:
    """Of one draw's gradient, over the logits, enumerated."""
    gradients = (values - baseline).unsqueeze(-1) * (torch.eye(len(probs), dtype=probs.dtype) - probs)
    mean = (probs.unsqueeze(-1) * gradients).sum(0)
    return float((probs * (gradients - mean).square().sum(-1)).sum())


@pytest.mark.parametrize("seed", range(5))
def test_the_optimal_baseline_has_the_least_variance_of_all(seed: int) -> None:
    log_probs, values = masked_log_softmax(numbers(seed, 5)), numbers(seed + 10, 5)
    found, probs = optimal_baseline(log_probs, values), log_probs.exp()
    least = variance(probs, values, found)
    assert least < variance(probs, values, mean_baseline(log_probs, values))
    for off in (1e-3, 0.03, 1.0):
        assert least < variance(probs, values, found + off)
        assert least < variance(probs, values, found - off)


def test_no_baseline_changes_the_mean_of_the_gradient() -> None:
    log_probs, values = masked_log_softmax(numbers(0, 5)), numbers(1, 5)
    probs = log_probs.exp()
    means = [
        (probs.unsqueeze(-1) * (values - baseline).unsqueeze(-1) * (torch.eye(5) - probs)).sum(0)
        for baseline in (torch.tensor(0.0), optimal_baseline(log_probs, values), mean_baseline(log_probs, values))
    ]
    torch.testing.assert_close(means[1], means[0], rtol=0, atol=1e-12)
    torch.testing.assert_close(means[2], means[0], rtol=0, atol=1e-12)


def test_where_nothing_can_be_chosen_the_optimal_baseline_is_the_value() -> None:
    only = optimal_baseline(torch.tensor([[0.0, -torch.inf]]), torch.tensor([[3.0, 9.0]]))
    certain = optimal_baseline(torch.tensor([[0.0, -2000.0]]), torch.tensor([[3.0, 9.0]]))
    assert (only.item(), certain.item()) == (3.0, 3.0)
    # Of two equally likely actions the weights are equal, however likely: the middle of their values is best.
    assert optimal_baseline(torch.tensor([0.5, 0.5]).log(), torch.tensor([0.0, 1.0])).item() == pytest.approx(0.5)
    # Nearly certain: p (1-p)^2 * 2 and (1-p) p^2 * 2, so the rare one's value counts most. 0.99 by hand.
    found = optimal_baseline(torch.tensor([0.99, 0.01]).log(), torch.tensor([0.0, 1.0]))
    assert found.item() == pytest.approx(0.99, abs=1e-6)
