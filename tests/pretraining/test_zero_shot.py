"""The corpus keeps away from the environments' prompts, and a model's worth in them is measured exactly."""

from __future__ import annotations

import pytest
import torch
from pretraining.__main__ import AVOID
from pretraining.audit import ngram_hashes, overlap, read_prompts
from pretraining.corpus import documents
from pretraining.environments import household_decisions, kitchen_decisions
from pretraining.tokenizer import train_tokenizer
from pretraining.train import TrainConfig, build_model


@pytest.fixture(scope="module")
def prompts() -> list[str]:
    decisions = [*kitchen_decisions("tomato-salad"), *household_decisions("food-preparation")]
    return sorted({f"{prompt} {action}" for prompt, actions in decisions for action in actions})


def test_no_document_shares_eight_words_with_a_prompt(prompts):
    banned = ngram_hashes(read_prompts(AVOID))
    rows = overlap(prompts, (text for _, text in documents(seed=1, count=1500, banned=banned)))
    assert not any(row.documents for row in rows if row.length >= 8), rows
    assert any(row.documents for row in rows if row.length < 8)  # plain English is shared; the audit does see something


def test_uniform_play_has_its_known_worth_and_probabilities_are_proper(prompts):
    from pretraining.zero_shot import zero_shot

    torch.manual_seed(0)
    tokenizer = train_tokenizer(prompts, 400)
    model = build_model(TrainConfig(hidden=32, layers=1, feed_forward=64, vocabulary=400)).eval()
    rows = {row.policy: row for row in zero_shot(model, tokenizer, "food-preparation", {"pancake": "muffin"})}
    assert rows["uniform"].success == pytest.approx(0.0193, abs=2e-4)
    assert set(rows) == {"uniform", "sum", "token", "word"}
    for row in rows.values():
        assert 0 <= row.optimal_mass <= 1
        assert len(row.on_path) == 6  # the shortest play has six steps
