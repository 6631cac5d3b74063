"""Equations against hand-computed numbers and limit cases."""

from __future__ import annotations

import math

import pytest
import torch

from twosome import ActionScores, Decision
from twosome.errors import ConfigError
from twosome.functional.advantages import generalized_advantages, normalize, semi_mdp_discounts
from twosome.functional.categorical import entropy, kl_divergence, masked_log_softmax, sample
from twosome.functional.losses import approximate_kl, clipped_surrogate, explained_variance, value_loss
from twosome.functional.normalization import NORMALIZATIONS, resolve_normalization
from twosome.functional.words import count_words

SCORES = ActionScores(
    decisions=(Decision("now", ("pick up the tomato", "Käse")), Decision("then", ("go",))),
    token_log_probs=torch.tensor(
        [[[-1.0, -2.0, -3.0, -0.5, -1.5], [-4.0, -2.0, 0, 0, 0]], [[-2.0, 0, 0, 0, 0], [0, 0, 0, 0, 0]]]
    ),
    token_mask=torch.tensor([[[1, 1, 1, 1, 1], [1, 1, 0, 0, 0]], [[1, 0, 0, 0, 0], [0, 0, 0, 0, 0]]]).bool(),
)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("sum", [[-8.0, -6.0], [-2.0, -math.inf]]),
        ("token", [[-8.0 / 5, -6.0 / 2], [-2.0, -math.inf]]),
        ("word", [[-8.0 / 4, -6.0 / 1], [-2.0, -math.inf]]),
        ("byte", [[-8.0 / 18, -6.0 / 5], [-1.0, -math.inf]]),
    ],
)
def test_normalizations_by_hand(name: str, expected: list[list[float]]) -> None:
    torch.testing.assert_close(NORMALIZATIONS[name](SCORES), torch.tensor(expected))


def test_a_normalization_of_ones_own_is_found_by_name() -> None:
    assert resolve_normalization("twosome.functional.normalization:sum_logits") is NORMALIZATIONS["sum"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("pick up the tomato", 4),
        ("state-of-the-art", 1),
        ("a - b", 3),  # as white space parts it, whatever stands there
        ("Käse", 1),
        ("cafe\u0301 fume\u0301 ici", 3),
        ("토마토를 집어", 2),  # Korean puts spaces
        ("拿起番茄", 4),
        ("打开 冰箱。", 4),
        ("打开TV", 3),
        ("トマトを切る", 6),
        ("หยิบที่", 4),  # letters; the marks above them are not counted
        ("\U00020000\u3005", 2),
        ("\u201c", 1),
    ],
)
def test_words_are_counted_in_every_script(text: str, words: int) -> None:
    assert count_words(text) == words


def test_length_counts_also_without_spaces() -> None:
    """Two Chinese phrases once had one word each, so that `word` was `sum`, and the longer one had no chance."""
    decision = Decision("now", ("走", "把切好的番茄放进碗里"))
    log_probs = torch.tensor([[[-3.0] + [0.0] * 9, [-3.0] * 10]])
    mask = torch.tensor([[[True] + [False] * 9, [True] * 10]])
    scores = ActionScores((decision,), log_probs, mask)
    torch.testing.assert_close(NORMALIZATIONS["word"](scores), torch.tensor([[-3.0, -3.0]]))


@pytest.mark.parametrize("name", NORMALIZATIONS)
def test_a_normalization_can_be_divided_by_a_number(name: str) -> None:
    """A policy that explores: prior and practice alike at a temperature, under one name from config to plot."""
    flatter = resolve_normalization(f"{name}/2.5")
    torch.testing.assert_close(flatter(SCORES), NORMALIZATIONS[name](SCORES) / 2.5)


@pytest.mark.parametrize("number", ["0", "-3", "nan", "inf", "three", "3/2"])
def test_a_normalization_is_divided_by_a_positive_number_alone(number: str) -> None:
    with pytest.raises(ConfigError, match=r"sum/3"):
        resolve_normalization(f"sum/{number}")


@pytest.mark.parametrize("name", ["toekn", "sum/", "/3", "toekn/3", "no.such.module:function", "math:no_such_function"])
def test_an_unknown_normalization_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="normalization"):
        resolve_normalization(name)


def test_padding_has_no_probability_no_entropy_and_no_gradient() -> None:
    logits = torch.tensor([[0.0, math.log(3.0), -math.inf]], requires_grad=True)
    log_probs = masked_log_softmax(logits)
    torch.testing.assert_close(log_probs.exp(), torch.tensor([[0.25, 0.75, 0.0]]))
    expected = -(0.25 * math.log(0.25) + 0.75 * math.log(0.75))
    assert entropy(log_probs).item() == pytest.approx(expected)
    (entropy(log_probs) + kl_divergence(log_probs, log_probs.detach() / 2)).sum().backward()
    assert logits.grad is not None
    assert torch.isfinite(logits.grad).all()
    assert logits.grad[0, 2] == 0


def test_kl_divergence_by_hand_and_zero_against_itself() -> None:
    p, q = torch.tensor([[0.5, 0.5, 0.0]]).log(), torch.tensor([[0.25, 0.75, 0.0]]).log()
    expected = 0.5 * math.log(0.5 / 0.25) + 0.5 * math.log(0.5 / 0.75)
    assert kl_divergence(p, q).item() == pytest.approx(expected)
    assert kl_divergence(p, p).item() == 0


def test_sampling_follows_the_distribution_and_never_takes_padding() -> None:
    log_probs = torch.tensor([[0.1, 0.6, 0.3, 0.0]]).log().expand(20_000, 4)
    counts = torch.bincount(sample(log_probs, torch.Generator().manual_seed(0)), minlength=4) / 20_000
    torch.testing.assert_close(counts, torch.tensor([0.1, 0.6, 0.3, 0.0]), atol=0.015, rtol=0)
    assert counts[3] == 0


def test_sampling_is_repeatable() -> None:
    log_probs = torch.full((50, 5), -math.log(5.0))
    first, second = (sample(log_probs, torch.Generator().manual_seed(3)) for _ in range(2))
    assert torch.equal(first, second)


def column(*numbers: float) -> torch.Tensor:
    return torch.tensor(numbers).unsqueeze(-1)


def test_advantages_by_hand_with_durations() -> None:
    """Two decisions of 2 and 3 steps, the second terminal: discounts are 0.9 squared and 0."""
    discounts = semi_mdp_discounts(0.9, torch.tensor([[2], [3]]), torch.tensor([[False], [True]]))
    torch.testing.assert_close(discounts, column(0.81, 0.0))
    advantages = generalized_advantages(
        column(1.0, 2.0), column(0.5, 0.4), column(0.4, 7.0), discounts, torch.tensor([[False], [True]]), gae_lambda=0.5
    )
    last = 2.0 - 0.4
    first = 1.0 + 0.81 * 0.4 - 0.5
    torch.testing.assert_close(advantages, column(first + 0.81 * 0.5 * last, last))


def test_a_truncated_episode_bootstraps_but_does_not_leak_into_the_next() -> None:
    """Published trap 15: there, a time limit counted as failure."""
    truncated = torch.tensor([[True], [False]])
    discounts = semi_mdp_discounts(0.9, torch.tensor([[1], [1]]), torch.tensor([[False], [False]]))
    advantages = generalized_advantages(
        column(0.0, 5.0), column(1.0, 1.0), column(2.0, 0.0), discounts, truncated, gae_lambda=0.95
    )
    assert advantages[0].item() == pytest.approx(0.9 * 2.0 - 1.0)


def test_with_lambda_1_advantages_are_returns_minus_values() -> None:
    rewards, values = column(1.0, 2.0, 4.0), column(0.3, 0.2, 0.1)
    next_values, ended = column(0.2, 0.1, 9.0), torch.tensor([[False], [False], [True]])
    discounts = semi_mdp_discounts(0.5, torch.ones(3, 1, dtype=torch.int64), ended)
    advantages = generalized_advantages(rewards, values, next_values, discounts, ended, gae_lambda=1.0)
    torch.testing.assert_close(advantages + values, column(1 + 0.5 * (2 + 0.5 * 4), 2 + 0.5 * 4, 4.0))


def test_normalized_advantages() -> None:
    normalized = normalize(torch.tensor([1.0, 2.0, 6.0]))
    assert normalized.mean().item() == pytest.approx(0, abs=1e-6)
    assert normalized.std().item() == pytest.approx(1, abs=1e-4)
    assert normalize(torch.tensor([3.0])).item() == 0
    assert torch.equal(normalize(torch.tensor([2.0, 2.0])), torch.zeros(2))


def test_the_surrogate_is_clipped_on_the_side_that_helps() -> None:
    log_ratio = torch.tensor([1.5, 0.5, 1.5, 0.5]).log()
    loss = clipped_surrogate(log_ratio, torch.tensor([1.0, 1.0, -1.0, -1.0]), clip=0.2)
    torch.testing.assert_close(loss, torch.tensor([-1.2, -0.5, 1.5, 0.8]))


def test_value_loss_by_hand() -> None:
    values, old, returns = torch.tensor([1.0]), torch.tensor([0.0]), torch.tensor([2.0])
    assert value_loss(values, old, returns, None).item() == pytest.approx(0.5)
    assert value_loss(values, old, returns, 0.2).item() == pytest.approx(0.5 * 1.8**2)


def test_kl_estimate_is_zero_at_no_change_and_positive_otherwise() -> None:
    assert approximate_kl(torch.zeros(3)).tolist() == [0, 0, 0]
    assert (approximate_kl(torch.tensor([-0.5, 0.5])) > 0).all()


def test_explained_variance() -> None:
    returns = torch.tensor([1.0, 2.0, 3.0])
    assert explained_variance(returns, returns) == 1
    assert explained_variance(torch.full((3,), 2.0), returns) == 0
    assert explained_variance(returns, torch.ones(3)) == 0


@pytest.mark.parametrize("name", ["sum", "token", "word", "byte"])
def test_no_bit_of_a_distribution_depends_on_how_far_its_row_is_padded(name: str) -> None:
    """Found when decisions were read together: a plain sum rounds differently with more padding behind it."""
    generator = torch.Generator().manual_seed(0)
    for actions, tokens in ((2, 7), (5, 3), (9, 12), (17, 6)):
        decision = Decision("now", tuple(f"do {'it ' * (i % 3)}{i}" for i in range(actions)))
        real = -torch.rand(1, actions, tokens, generator=generator) * 9
        found = []
        for wider, longer in ((0, 0), (3, 2), (12, 9), (40, 30)):
            log_probs = torch.nn.functional.pad(real, (0, longer, 0, wider))
            mask = torch.nn.functional.pad(torch.ones_like(real, dtype=torch.bool), (0, longer, 0, wider))
            logits = resolve_normalization(name)(ActionScores((decision,), log_probs, mask))
            found.append(masked_log_softmax(logits)[0, :actions])
        assert all(torch.equal(each, found[0]) for each in found)
