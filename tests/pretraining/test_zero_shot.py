"""The corpus keeps away from the environments' prompts, and a model's worth in them is measured exactly."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import torch
from pretraining.__main__ import AVOID
from pretraining.audit import ngram_hashes, overlap, read_prompts
from pretraining.corpus import documents
from pretraining.environments import household_decisions, kitchen_decisions
from pretraining.probe import phrase_log_probs
from pretraining.rewording import with_nouns
from pretraining.tokenizer import train_tokenizer
from pretraining.train import TrainConfig, build_model
from pretraining.zero_shot import policy_table, read, reading_worth, situations, worth, zero_shot

from twosome.evaluation.exact import evaluate_exactly
from twosome.models.policy import LanguageModelPolicy


@pytest.fixture(scope="module")
def prompts() -> list[str]:
    decisions = [*kitchen_decisions("tomato-salad"), *household_decisions("food-preparation")]
    return sorted({f"{prompt} {action}" for prompt, actions in decisions for action in actions})


@pytest.fixture(scope="module")
def model(prompts):
    torch.manual_seed(0)
    tokenizer = train_tokenizer(prompts, 400)
    return build_model(TrainConfig(hidden=32, layers=1, feed_forward=64, vocabulary=400)).eval(), tokenizer


def test_no_document_shares_eight_words_with_a_prompt(prompts):
    banned = ngram_hashes(read_prompts(AVOID))
    rows = overlap(prompts, (text for _, text in documents(seed=1, count=1500, banned=banned)))
    assert not any(row.documents for row in rows if row.length >= 8), rows
    assert any(row.documents for row in rows if row.length < 8)  # plain English is shared; the audit does see something


def test_uniform_play_has_its_known_worth_and_probabilities_are_proper(model):
    rows = zero_shot(*model, "food-preparation", partial(with_nouns, nouns={"pancake": "muffin"}))
    assert rows["uniform"].success == pytest.approx(0.0193, abs=2e-4)
    assert rows["uniform"].accuracy == pytest.approx(rows["uniform"].optimal_mass)
    assert set(rows) == {"uniform", "sum", "token", "word"}
    assert all(0 <= row.optimal_mass <= 1 for row in rows.values())


@pytest.mark.parametrize("task", ["tomato-salad", "food-preparation"])
@pytest.mark.parametrize("normalization", ["sum", "token", "word"])
def test_it_is_what_the_package_says_of_the_same_policy(model, task, normalization):
    where = situations(task)
    found = reading_worth(where, read(*model, where.distinct), normalization)
    policy = LanguageModelPolicy(*model, normalization=normalization)
    expected = evaluate_exactly(policy, task, gamma=where.gamma)
    assert found.mean_return == pytest.approx(expected.discounted_return, abs=1e-6)
    assert found.success == pytest.approx(expected.success, abs=1e-6)
    assert found.accuracy == pytest.approx(expected.accuracy, abs=1e-6)


def test_phrases_are_read_as_one_sequence_each_would_be(model):
    decisions = situations("tomato-salad").distinct[:3]
    reading = read(*model, decisions)
    for decision in decisions:
        tokens = phrase_log_probs(*model, decision.prompt, decision.actions)
        assert reading[decision].joint == pytest.approx([float(phrase.sum()) for phrase in tokens], abs=1e-4)
        assert reading[decision].tokens.tolist() == [len(phrase) for phrase in tokens]


def test_an_optimal_policy_is_worth_the_optimum_and_is_always_right():
    where = situations("food-preparation")
    optimal = where.optimum.optimal / np.maximum(where.optimum.optimal.sum(axis=1, keepdims=True), 1)
    found = worth(where, optimal)
    assert found.mean_return == pytest.approx(0.7738, abs=1e-4)
    assert (found.success, found.accuracy, found.optimal_mass) == pytest.approx((1, 1, 1))


def test_a_policy_over_phrases_lands_on_the_actions_they_stand_for():
    where = situations("food-preparation")
    policy = {decision: np.eye(len(decision.actions))[-1] for decision in where.distinct}
    table = policy_table(where, policy)
    for row, columns in where.places:
        assert table[row].argmax() == columns[-1]
        assert table[row].sum() == 1
