"""The corpus keeps away from the environments' prompts, and a model's worth in them is measured exactly."""

from __future__ import annotations

import pytest
import torch
from pretraining.__main__ import AVOID
from pretraining.audit import ngram_hashes, overlap, read_prompts
from pretraining.config import TrainConfig
from pretraining.corpus import documents
from pretraining.environments import decisions
from pretraining.nouns import Swap
from pretraining.tokenizer import train_tokenizer
from pretraining.train import build_model
from pretraining.zero_shot import NORMALIZATIONS, uniform_worth, worths
from pretraining.zero_shot import decisions as told


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
    found = uniform_worth("food-preparation")
    assert found.success == pytest.approx(0.0193, abs=2e-4)
    assert found.accuracy == pytest.approx(0.294, abs=5e-4)


def test_a_change_is_what_the_model_reads_and_nothing_else_changes(model):
    task, swap = "food-preparation", Swap("known", {"pancake": "muffin"})
    found = worths(*model, task, swap)
    assert set(found) == set(NORMALIZATIONS)
    assert found != worths(*model, task)
    assert found != worths(*model, task, Swap("known", {"pancake": "waffle"}))
    assert worths(*model, task, lambda decision: decision) == worths(*model, task)


def test_states_that_look_alike_share_a_decision():
    shown = told("food-preparation")
    assert len(shown) == len(set(shown)) == 18
