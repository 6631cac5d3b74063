"""The best policy near a prior, and returns of stored episodes: identities and sums by hand."""

from __future__ import annotations

import math

import pytest
import torch

from twosome.functional.categorical import kl_divergence
from twosome.functional.tempered import mixed_with_uniform, temperature_for_limit, tempered, tempered_value
from twosome.functional.traces import retrace_errors, shares

PADDED = [[1, 1, 1, 1, 1], [1, 1, 1, 0, 0], [1, 1, 0, 0, 0], [1, 0, 0, 0, 0]]


def some(scale: float = 1.0) -> tuple[torch.Tensor, torch.Tensor]:
    """Priors and values of decisions with five, three, two actions and one."""
    torch.manual_seed(0)
    real = torch.tensor(PADDED, dtype=torch.bool)
    prior = torch.log_softmax((3 * torch.randn(4, 5)).masked_fill(~real, -torch.inf), -1)
    return prior, scale * torch.randn(4, 5)


def objective(policy: torch.Tensor, prior: torch.Tensor, values: torch.Tensor, beta: float) -> torch.Tensor:
    mean = (policy.exp() * values).sum(-1)
    return mean - beta * kl_divergence(policy, prior)


@pytest.mark.parametrize("beta", [0.05, 0.5, 5.0])
def test_the_prior_times_exp_of_the_values_is_the_maximiser(beta: float) -> None:
    prior, values = (each.double() for each in some())
    found = tempered(prior, values, torch.tensor(beta))
    assert torch.equal(found == -torch.inf, prior == -torch.inf)
    best = objective(found, prior, values, beta)
    torch.testing.assert_close(
        best, tempered_value(prior, values, torch.full((4, 1), beta)).double(), rtol=0, atol=1e-6
    )
    # What a search from even play finds, which knows nothing of the closed form.
    logits = torch.zeros(4, 5, dtype=torch.float64, requires_grad=True)
    search = torch.optim.LBFGS([logits], max_iter=500, tolerance_grad=0, line_search_fn="strong_wolfe")

    def policy() -> torch.Tensor:
        return torch.log_softmax(logits.masked_fill(prior == -torch.inf, -torch.inf), -1)

    def loss() -> torch.Tensor:
        search.zero_grad()
        less = -objective(policy(), prior, values, beta).sum()
        less.backward()
        return less

    for _ in range(10):
        search.step(loss)
    torch.testing.assert_close(objective(policy(), prior, values, beta), best, rtol=0, atol=1e-6)
    torch.testing.assert_close(policy().exp(), found.exp(), rtol=0, atol=1e-5)


def test_with_an_infinite_temperature_it_is_the_prior_to_the_last_bit() -> None:
    prior, values = some()
    assert torch.equal(tempered(prior, values, torch.tensor(math.inf)), prior)
    one = torch.tensor([[math.inf], [0.1], [math.inf], [0.1]])
    mixed = tempered(prior, values, one)
    assert torch.equal(mixed[::2], prior[::2])
    assert not torch.equal(mixed[1], prior[1])


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
def test_the_limit_on_the_divergence_is_met_by_every_decision(scale: float) -> None:
    prior, values = some(scale)
    limit, lowest = torch.full((4, 1), 0.02), torch.full((4, 1), 1e-6)
    found = temperature_for_limit(prior, values, limit, lowest)
    divergence = kl_divergence(tempered(prior.double(), values.double(), found), prior.double())
    assert (divergence <= limit.squeeze(-1)).all()
    torch.testing.assert_close(divergence[:3], torch.full((3,), 0.02, dtype=torch.float64), rtol=0, atol=1e-6)
    assert found[3] == pytest.approx(1e-6)  # one action has nowhere to go


def test_a_limit_that_is_far_off_leaves_the_lowest_temperature() -> None:
    prior, values = some()
    found = temperature_for_limit(prior, values, torch.full((4, 1), 1e3), torch.full((4, 1), 0.5))
    torch.testing.assert_close(found, torch.full((4, 1), 0.5, dtype=torch.float64))


def test_a_share_of_even_play_by_hand() -> None:
    prior = torch.tensor([[0.0, -torch.inf, -torch.inf], [-math.log(2), -math.log(2), -torch.inf]])
    assert mixed_with_uniform(prior, 0) is prior
    nearly = torch.tensor([[math.log(0.999), math.log(0.001), -torch.inf]])
    torch.testing.assert_close(mixed_with_uniform(nearly, 0.1).exp(), torch.tensor([[0.9491, 0.0509, 0.0]]))
    torch.testing.assert_close(mixed_with_uniform(prior, 0.1), prior)


def test_returns_by_hand_with_a_trace_that_is_cut() -> None:
    deltas = torch.tensor([[1.0], [2.0], [4.0]])
    discounts = torch.tensor([[0.5], [0.5], [0.0]])
    traces = torch.tensor([[1.0], [0.5], [1.0]])  # the first decision's own counts nowhere
    expected = torch.tensor([[1 + 0.5 * 0.5 * (2 + 0.5 * 4)], [2 + 0.5 * 4], [4.0]])
    torch.testing.assert_close(retrace_errors(deltas, discounts, traces), expected)


def test_with_full_traces_they_are_the_returns_of_what_was_done() -> None:
    torch.manual_seed(0)
    rewards, values = torch.randn(6, 3), torch.randn(6, 3)
    discounts = torch.full((6, 3), 0.9)
    discounts[-1] = 0
    following = torch.cat([values[1:], torch.zeros(1, 3)])
    found = values + retrace_errors(rewards + discounts * following - values, discounts, torch.ones(6, 3))
    expected = [sum(0.9**k * rewards[t + k] for k in range(6 - t)) for t in range(6)]
    torch.testing.assert_close(found, torch.stack([torch.as_tensor(each) for each in expected]))


def test_what_is_there_many_times_counts_once_in_all() -> None:
    assert shares(torch.tensor([7, 2, 7, 7, 3, 7])).tolist() == [0.25, 1.0, 0.25, 0.25, 1.0, 0.25]
