"""The corpus keeps away from the environments' prompts, and a model's worth in them is measured exactly."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from pretraining.__main__ import AVOID
from pretraining.audit import ngram_hashes, overlap, read_prompts
from pretraining.corpus import documents
from pretraining.environments import decisions
from pretraining.tokenizer import train_tokenizer
from pretraining.train import TrainConfig, build_model
from pretraining.zero_shot import policy_table, read, reading_worth, situations, uniform_worth, worth

from twosome.evaluation.exact import evaluate_exactly
from twosome.models.policy import LanguageModelPolicy


@pytest.fixture(scope="module")
def prompts() -> list[str]:
    found = [*decisions("tomato-salad"), *decisions("food-preparation")]
    return sorted({f"{prompt} {action}" for prompt, actions in found for action in actions})


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


def test_uniform_play_has_its_known_worth():
    found = uniform_worth(situations("food-preparation"))
    assert found.success == pytest.approx(0.0193, abs=2e-4)
    assert found.accuracy == pytest.approx(found.optimal_mass)


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


def phrase_log_probs(model, tokenizer, prompt, action):
    start, end = tokenizer(prompt)["input_ids"], tokenizer(" " + action, add_special_tokens=False)["input_ids"]
    with torch.no_grad():
        log_probs = model(input_ids=torch.tensor([start + end])).logits[0, len(start) - 1 : -1].log_softmax(-1)
    return log_probs.gather(-1, torch.tensor(end)[:, None])[:, 0]


def test_phrases_are_read_as_one_sequence_each_would_be(model):
    chosen = situations("tomato-salad").distinct[:3]
    reading = read(*model, chosen)
    for decision in chosen:
        for index, action in enumerate(decision.actions):
            tokens = phrase_log_probs(*model, decision.prompt, action)
            assert reading[decision].joint[index] == pytest.approx(float(tokens.sum()), abs=1e-4)
            assert reading[decision].tokens[index] == len(tokens)


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
