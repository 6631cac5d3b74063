"""The tokenizer: a prompt's tokens never depend on what follows it."""

from __future__ import annotations

import pytest
from pretraining.corpus import documents
from pretraining.tokenizer import PAD_ID, START, START_ID, train_tokenizer
from transformers import AutoTokenizer


@pytest.fixture(scope="module")
def texts() -> list[str]:
    return [text for _, text in documents(seed=21, count=600)]


@pytest.fixture(scope="module")
def tokenizer(texts):
    return train_tokenizer(texts, 700)


def test_every_text_survives_the_round_trip(tokenizer, texts):
    for text in [*texts[:50], "Café, 12 % & naïve?", "pancake pizza"]:
        assert tokenizer.decode(tokenizer(text)["input_ids"], skip_special_tokens=True) == text


def test_a_text_starts_with_the_start_token_alone(tokenizer):
    ids = tokenizer("You see a pear.")["input_ids"]
    assert ids[0] == START_ID == tokenizer.bos_token_id
    assert START_ID not in ids[1:]
    assert tokenizer.pad_token_id == PAD_ID
    assert tokenizer(" put", add_special_tokens=False)["input_ids"][0] != START_ID


def test_prompt_and_action_keep_their_own_tokens(tokenizer, texts):
    for action in ("pick up the pear", "zxq", "serve nothing", "9 plums"):
        end = tokenizer(" " + action, add_special_tokens=False)["input_ids"]
        for prompt in (text.rstrip(".") for text in texts[:100]):
            assert tokenizer(f"{prompt} {action}")["input_ids"] == tokenizer(prompt)["input_ids"] + end


def test_it_loads_from_its_directory(tokenizer, tmp_path):
    tokenizer.save_pretrained(str(tmp_path))
    loaded = AutoTokenizer.from_pretrained(tmp_path)
    text = "The box is in the hall."
    assert loaded(text)["input_ids"] == tokenizer(text)["input_ids"]
    assert loaded.bos_token == START


def test_the_same_texts_give_the_same_merges(texts, tokenizer):
    assert train_tokenizer(texts, 700).backend_tokenizer.to_str() == tokenizer.backend_tokenizer.to_str()
