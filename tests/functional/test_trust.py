"""The exact trust region: what it masks, by hand, and what its gradient is."""

from __future__ import annotations

import math

import pytest
import torch

from twosome.functional.categorical import tsallis_entropy
from twosome.functional.losses import clipped, clipped_surrogate
from twosome.functional.trust import DIVERGENCES, RATIO_CAP, trusted, trusted_surrogate

SEVERAL = torch.log_softmax(torch.tensor([[2.0, 0.5, -1.0, 0.0], [0.1, 0.2, 0.3, -torch.inf]]), -1)


@pytest.mark.parametrize("share", [0.05, 0.35, 0.5, 0.55, 0.75, 0.95])
def test_divergences_of_two_actions_by_hand(share: float) -> None:
    acting, now = torch.tensor([0.5, 0.5]).log(), torch.tensor([share, 1 - share]).log()
    assert DIVERGENCES["tv"](now, acting).item() == pytest.approx(abs(share - 0.5))
    by_hand = 0.5 * math.log(0.25 / (share * (1 - share)))
    assert DIVERGENCES["kl"](now, acting).item() == pytest.approx(by_hand, abs=1e-7)


@pytest.mark.parametrize("kind", DIVERGENCES)
def test_padding_counts_for_nothing_and_a_policy_is_not_far_from_itself(kind: str) -> None:
    assert torch.equal(DIVERGENCES[kind](SEVERAL, SEVERAL), torch.zeros(2))
    other = torch.log_softmax(torch.tensor([0.3, 0.2, 0.1]), -1)
    padded = torch.cat([other, torch.tensor([-torch.inf])])
    short = DIVERGENCES[kind](SEVERAL[1, :3], other)
    torch.testing.assert_close(DIVERGENCES[kind](SEVERAL[1], padded), short)


@pytest.mark.parametrize("radius", [0.05, 0.2])
def test_with_two_actions_total_variation_masks_as_binary_dppo_does(radius: float) -> None:
    """DPPO, eq. 13: A > 0 and p - p_old > delta, or A < 0 and p_old - p > delta."""
    generator = torch.Generator().manual_seed(0)
    acting, now = (torch.log_softmax(torch.randn(500, 2, generator=generator), -1) for _ in range(2))
    advantages = torch.randn(500, generator=generator)
    moved = now[:, 0].exp() - acting[:, 0].exp()
    binary = ((advantages > 0) & (moved > radius)) | ((advantages < 0) & (-moved > radius))
    mask = trusted(DIVERGENCES["tv"](now, acting), now[:, 0] - acting[:, 0], advantages, radius)
    assert torch.equal(mask, ~binary)
    assert 50 < binary.sum() < 450


@pytest.mark.parametrize(
    ("divergence", "log_ratio", "advantage", "kept"),
    [
        (0.3, 0.5, 1.0, False),  # too far, and farther
        (0.3, -0.5, -1.0, False),
        (0.3, -0.5, 1.0, True),  # too far, but back
        (0.3, 0.5, -1.0, True),
        (0.3, 0.0, 1.0, True),  # the action itself did not move
        (0.3, 0.5, 0.0, True),
        (0.1, 3.0, 1.0, True),  # near, however large the ratio of a rare action
    ],
)
def test_what_is_masked_is_what_is_far_and_would_go_farther(
    divergence: float, log_ratio: float, advantage: float, kept: bool
) -> None:
    assert bool(trusted(*map(torch.tensor, (divergence, log_ratio, advantage)), radius=0.2)) == kept


def test_a_rare_action_may_double_while_a_frequent_one_is_stopped() -> None:
    """What a clipped ratio has the wrong way round: 0.01 to 0.03 is a ratio of 3, 0.5 to 0.6 one of 1.2."""
    acting = torch.tensor([[0.01, 0.99], [0.5, 0.5]]).log()
    now = torch.tensor([[0.03, 0.97], [0.65, 0.35]]).log()
    ratios = (now - acting)[:, 0]
    assert clipped(ratios, 0.35).tolist() == [True, False]
    assert trusted(DIVERGENCES["tv"](now, acting), ratios, torch.ones(2), 0.1).tolist() == [True, False]


def test_the_surrogate_is_the_policy_gradient_where_nothing_moved() -> None:
    logits = torch.tensor([0.3, -0.2, 0.9], requires_grad=True)
    log_probs = torch.log_softmax(logits, -1)
    acting, advantages = log_probs.detach(), torch.tensor([2.0])
    mask = trusted(DIVERGENCES["tv"](log_probs.detach(), acting), torch.zeros(1), advantages, 1e-6)
    assert mask.all()
    loss = trusted_surrogate((log_probs - acting)[:1], advantages, mask).sum()
    (found,) = torch.autograd.grad(loss, logits)
    (plain,) = torch.autograd.grad(-(2.0 * torch.log_softmax(logits, -1)[0]), logits)
    torch.testing.assert_close(found, plain)


def test_the_gradient_by_finite_differences_and_none_beyond_cap_and_mask() -> None:
    log_ratio = torch.tensor([0.4, -0.3, 2.0, 5.0], dtype=torch.float64, requires_grad=True)
    advantages = torch.tensor([1.0, -2.0, 0.5, -1.0], dtype=torch.float64)
    mask = torch.tensor([True, True, False, True])
    assert torch.autograd.gradcheck(lambda x: trusted_surrogate(x, advantages, mask), (log_ratio,))
    loss = trusted_surrogate(log_ratio, advantages, mask)
    assert loss[3].item() == pytest.approx(RATIO_CAP)
    (gradient,) = torch.autograd.grad(loss.sum(), log_ratio)
    assert gradient[2:].tolist() == [0, 0]


def test_a_ratio_without_bound_makes_no_nan() -> None:
    log_ratio = torch.tensor([1000.0], requires_grad=True)
    loss = trusted_surrogate(log_ratio, torch.tensor([0.0]), torch.tensor([False]))
    (gradient,) = torch.autograd.grad(loss.sum(), log_ratio)
    assert loss.item() == 0
    assert gradient.item() == 0


def test_the_upper_clip_may_be_wider() -> None:
    ratios = torch.tensor([1.25, 1.35, 0.75]).log()
    surrogate = clipped_surrogate(ratios, torch.ones(3), 0.2, 0.28)
    assert surrogate.tolist() == pytest.approx([-1.25, -1.28, -0.75])
    assert clipped(ratios, 0.2, 0.28).tolist() == [False, True, True]


def test_tsallis_entropy_by_hand() -> None:
    assert tsallis_entropy(torch.tensor([0.5, 0.25, 0.25, 0.0]).log()).item() == pytest.approx(1 - 0.375)
