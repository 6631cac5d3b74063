"""Words of phrases: their probabilities multiply to the phrase's, and their credit adds up to its."""

from __future__ import annotations

import random

import pytest
import torch

from twosome import Decision
from twosome.functional.advantages import generalized_advantages
from twosome.functional.categorical import masked_log_softmax
from twosome.functional.normalization import NORMALIZATIONS
from twosome.functional.trie import branches, log_conditionals, word_advantages
from twosome.types import ActionScores

PHRASES = (
    "walk to the kitchen",
    "walk to the cutting board",
    "walk away",
    "chop the tomato",
    "sit",
    "sit down",
    "打开电视",
)


def test_branches_by_hand() -> None:
    first, second, third = branches(PHRASES, 1)
    assert first.words == ()
    assert first.node == (True,) * 7
    assert first.child == (True, True, True, False, False, False, False)
    assert (second.words, second.child) == (("walk",), (True, True, False, False, False, False, False))
    assert third.words == ("walk", "to", "the")
    assert third.child == (False, True, False, False, False, False, False)


def test_a_phrase_that_ends_where_others_go_on_parts_from_them_there() -> None:
    assert [branch.words for branch in branches(PHRASES, 4)] == [(), ("sit",)]
    assert branches(PHRASES, 4)[1].child == (False, False, False, False, True, False, False)


def test_without_alternative_there_is_one_choice_that_is_certain() -> None:
    (only,) = branches(("open the door",), 0)
    assert only.node == only.child == (True,)
    mask = torch.tensor([only.node])
    assert log_conditionals(torch.zeros(1, 1), mask, mask).item() == 0


@pytest.mark.parametrize("name", NORMALIZATIONS)
def test_conditionals_multiply_to_the_probability_of_the_phrase_under_every_normalisation(name: str) -> None:
    generator = torch.Generator().manual_seed(0)
    lengths = [1 + len(phrase) // 5 for phrase in PHRASES]
    mask = torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]
    found = (-3 * torch.rand(mask.shape, generator=generator)) * mask
    scores = ActionScores((Decision("Now you", PHRASES),), found[None], mask[None])
    log_probs = masked_log_softmax(NORMALIZATIONS[name](scores))
    for chosen in range(len(PHRASES)):
        way = branches(PHRASES, chosen)
        nodes, children = (torch.tensor([getattr(branch, part) for branch in way]) for part in ("node", "child"))
        conditionals = log_conditionals(log_probs.expand(len(way), -1), nodes, children)
        assert (conditionals <= 1e-6).all()
        assert conditionals.sum().item() == pytest.approx(log_probs[0, chosen].item(), abs=1e-5)


def test_a_word_gets_the_gradient_of_its_own_branch_alone() -> None:
    logits = torch.tensor([[0.3, -0.4, 0.1, 0.8, 0.0, 0.2, -torch.inf]], requires_grad=True)
    first, second = branches(PHRASES[:6], 4)
    padded = [torch.tensor([(*part, False)]) for part in (second.node, second.child)]
    (gradient,) = torch.autograd.grad(log_conditionals(masked_log_softmax(logits), *padded).sum(), logits)
    torch.testing.assert_close(gradient[0, :4], torch.zeros(4))
    share = torch.softmax(torch.tensor([0.0, 0.2]), -1)
    torch.testing.assert_close(gradient[0, 4:6], torch.tensor([1 - share[0], -share[1]]))
    assert gradient[0, 6] == 0
    assert first.words == ()


def test_padding_changes_no_bit() -> None:
    log_probs = torch.log_softmax(torch.randn(3, 7, generator=torch.Generator().manual_seed(1)), -1)
    node, child = torch.ones(3, 7, dtype=torch.bool), torch.arange(7).expand(3, 7) < 2
    wide = [torch.nn.functional.pad(each, (0, 9)) for each in (node, child)]
    padded = torch.nn.functional.pad(log_probs, (0, 9), value=-torch.inf)
    assert torch.equal(log_conditionals(log_probs, node, child), log_conditionals(padded, *wide))


@pytest.mark.parametrize("values", [[0.3], [0.3, 0.7], [0.3, -0.2, 0.9, 0.4]])
def test_bellman_backup_with_action_decomposition_telescopes(values: list[float]) -> None:
    """With lambda 1 the errors of a phrase's words add up to the error of the phrase (POAD, eq. 13 and 14)."""
    found = word_advantages(values, [1.0] * len(values), reward=0.5, following=0.9 * 2.0, ahead=0.4, gae_lambda=1.0)
    assert found[0] == pytest.approx(0.5 + 0.9 * 2.0 + 0.4 - values[0])
    errors = word_advantages(values, [1.0] * len(values), 0.5, 1.8, 0.0, gae_lambda=0.0)
    assert sum(errors) == pytest.approx(0.5 + 1.8 - values[0])


def test_discounted_inside_a_phrase_it_does_not() -> None:
    values, reward = [0.0, 0.0, 0.0], 1.0
    found = word_advantages(values, [0.9, 0.9, 0.9], reward, 0.0, 0.0, gae_lambda=1.0)
    assert found == pytest.approx([0.9**3, 0.9**2, 0.9])  # the error grows as 1 - gamma ** m (POAD, eq. 9)


def test_whole_phrases_are_the_case_of_one_branch() -> None:
    """Over an episode of decisions without inner branches it is generalised advantage estimation."""
    generator = random.Random(0)
    rewards, values, following = ([generator.gauss(0, 1) for _ in range(6)] for _ in range(3))
    discounts = [0.9 ** generator.randint(1, 4) for _ in range(6)]
    found, ahead = [0.0] * 6, 0.0
    for t in reversed(range(6)):
        carry = discounts[t] * 0.95 * ahead
        (ahead,) = word_advantages([values[t]], [1.0], rewards[t], discounts[t] * following[t], carry, 0.95)
        found[t] = ahead
    columns = [torch.tensor(each).unsqueeze(-1) for each in (rewards, values, following, discounts)]
    expected = generalized_advantages(*columns, torch.zeros(6, 1, dtype=torch.bool), 0.95)
    assert found == pytest.approx(expected.flatten().tolist(), abs=1e-5)
