"""The corpus: the same seed gives the same text, and the hold-outs hold."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from random import Random

import pytest
from pretraining.audit import ngram_hashes
from pretraining.corpus import FAMILIES, HoldOutError, check_hold_outs, document, documents, write_corpus
from pretraining.words import ABSENT, OUT_OF_PROCEDURES, invented

from pretraining import household, kitchen

COUNT = 1500
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def texts() -> list[str]:
    return [text for _, text in documents(seed=11, count=COUNT)]


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(tmp_path):
    first = write_corpus(tmp_path / "a.txt", seed=3, count=200)
    again = write_corpus(tmp_path / "b.txt", seed=3, count=200)
    other = write_corpus(tmp_path / "c.txt", seed=4, count=200)
    assert first["sha256"] == again["sha256"] != other["sha256"]
    assert hashlib.sha256((tmp_path / "a.txt").read_bytes()).hexdigest() == first["sha256"]
    assert json.loads((tmp_path / "a.json").read_text())["documents"] == 200


def test_the_text_does_not_depend_on_the_process(tmp_path):
    script = "from pretraining.corpus import documents; print(*documents(7, 400), sep='\\n')"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    outputs = {
        subprocess.run(
            [sys.executable, "-c", script], env={**environment, "PYTHONHASHSEED": seed}, capture_output=True, check=True
        ).stdout
        for seed in "123"
    }
    assert len(outputs) == 1


def test_any_document_can_be_made_alone(texts):
    assert document(seed=11, number=700)[1] == texts[700]


def test_documents_are_single_lines_of_words(texts):
    for text in texts:
        assert "\n" not in text
        assert "  " not in text
        assert not set("[]<>|{}") & set(text), text


def test_absent_nouns_never_occur(texts):
    for word in ABSENT:
        pattern = re.compile(rf"\b{word}s?\b", re.IGNORECASE)
        assert not any(pattern.search(text) for text in texts), word


def test_held_out_vegetables_occur_but_are_never_handled(texts):
    handled = re.compile(r"\b(chop|cut|slice|dice|board|serve|bowl|pick up|grab)", re.IGNORECASE)
    for word in OUT_OF_PROCEDURES:
        having = [text for text in texts if re.search(rf"\b{word}", text, re.IGNORECASE)]
        assert having, word
        assert not any(handled.search(text) for text in having), word


@pytest.mark.parametrize(
    "text",
    [
        "She warms the pancake.",
        "Wash the clothes.",
        "Chop the tomato.",
        "An onion is on the cutting board.",
        "Two pizzas.",
    ],
)
def test_the_hold_out_check_finds_planted_words(text):
    with pytest.raises(HoldOutError):
        check_hold_outs(text)


@pytest.mark.parametrize("text", ["The tomato is red.", "Add the onion to the soup.", "She has a pear and a cloth."])
def test_the_hold_out_check_lets_the_allowed_through(text):
    check_hold_outs(text)


def test_families_come_in_their_shares_and_next_steps_are_at_most_two_fifths():
    names = [name for name, _ in documents(seed=5, count=COUNT)]
    total = sum(family.share for family in FAMILIES)
    assert sum(family.share for family in FAMILIES if family.next_step) / total <= 0.4
    for family in FAMILIES:
        assert names.count(family.name) / COUNT == pytest.approx(family.share / total, abs=0.035), family.name


def test_invented_nouns_are_new_words(texts):
    rng = Random(0)
    words = [invented(rng) for _ in range(2000)]
    assert len(set(words)) > 1700
    assert not any(part in word for word in words for part in ("tomat", "pancak", "chees", "burger", "wash", "cloth"))


def test_banned_ngrams_keep_documents_out(texts):
    banned = ngram_hashes([texts[0]])
    assert len(texts[0].split()) >= 8
    assert document(seed=11, number=0, banned=banned)[1] != texts[0]


@pytest.mark.parametrize("seed", range(20))
def test_sensible_steps_reach_the_kitchen_goal(seed):
    rng = Random(seed)
    state = kitchen.random_kitchen(rng, kitchen.make_style(rng, invent=seed % 2 == 0))
    for _ in range(60):
        action = state.sensible(rng)
        assert action in state.possible()
        if action == ("serve",):
            assert set(state.inside()) == set(state.goal) <= state.cut
            return
        state.apply(action)
    pytest.fail("never served")


@pytest.mark.parametrize("seed", range(40))
def test_sensible_steps_reach_the_household_goal(seed):
    rng = Random(seed)
    home = household.random_home(rng, invent=seed % 2 == 0)
    for _ in range(60):
        action = home.sensible(rng)
        if action is None:
            return
        assert action in home.possible(), (home, action)
        home.apply(action)
    pytest.fail("never done")
