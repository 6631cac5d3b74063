"""The recipe gives again what was published: the corpus to the byte, the training to a tolerance."""

from __future__ import annotations

import hashlib
import json

import pytest
import torch
from pretraining.__main__ import AVOID, EMBEDDED, main
from pretraining.audit import ngram_hashes, read_prompts
from pretraining.config import TrainConfig
from pretraining.corpus import documents, write_corpus
from pretraining.results import load
from pretraining.train import Trainer, prepare

SHIPPED_CORPUS = "b513b08eb695752cfd912ca7d5052187e0949f501ffcc9cb70aaadf3a5297eb2"
FIRST_400 = "b23dd1e46ee035de8ad0669e20b74773b15e7bfb94fb33be32e8522774ba3b2a"
TINY = TrainConfig(
    hidden=32, layers=1, feed_forward=64, vocabulary=400, row_length=128, rows_per_step=2, warm_up_steps=5, tokens=5_000
)
TINY_LOSSES = (5.9764, 5.9715, 5.9655, 5.9338, 5.9526, 5.9189, 5.8847, 5.8316, 5.7904, 5.6564, 5.6204, 5.6035)


@pytest.fixture(scope="module")
def banned() -> frozenset[int]:
    return ngram_hashes(read_prompts(AVOID))


def test_the_shipped_corpus_begins_as_it_did(banned):
    """The first 400 of its 440,000 documents; a document does not depend on how many there are."""
    text = "".join(f"{text}\n" for _, text in documents(seed=1, count=400, banned=banned))
    assert hashlib.sha256(text.encode()).hexdigest() == FIRST_400


def test_card_and_losses_name_the_shipped_corpus():
    assert SHIPPED_CORPUS in (EMBEDDED / "README.md").read_text(encoding="utf-8")
    assert load("training")["corpus"]["sha256"] == SHIPPED_CORPUS


def test_a_small_training_has_the_losses_it_had(tmp_path):
    """Rounding differs between machines; a change of data, order, initialisation or optimizer is far beyond it."""
    write_corpus(tmp_path / "corpus.txt", seed=1, count=300)
    prepare(tmp_path / "corpus.txt", tmp_path / "run", TINY)
    trainer = Trainer(tmp_path / "run")
    assert [trainer.step() for _ in TINY_LOSSES] == pytest.approx(TINY_LOSSES, rel=0.01)


@pytest.mark.slow
def test_the_shipped_corpus_is_made_again(tmp_path):
    """About four minutes."""
    assert main(["corpus", str(tmp_path / "corpus.txt"), "--seed", "1", "--documents", "440000"]) == 0
    assert json.loads((tmp_path / "corpus.json").read_text())["sha256"] == SHIPPED_CORPUS


@pytest.mark.slow
def test_a_short_training_reaches_the_first_points_of_the_published_losses(tmp_path, banned):
    """Two minutes on one core: as much of the corpus as the tokenizer is made from, 100 of 10,002 steps."""
    torch.set_float32_matmul_precision("high")
    write_corpus(tmp_path / "corpus.txt", 1, 42_000, banned=banned)
    prepare(tmp_path / "corpus.txt", tmp_path / "run", TrainConfig())
    trainer = Trainer(tmp_path / "run")
    losses = [trainer.step() for _ in range(100)]
    published = {point["step"]: point for point in load("training")["loss"]}
    for step in (50, 100):
        assert sum(losses[step - 50 : step]) / 50 == pytest.approx(published[step]["loss"], rel=0.01)
    assert trainer.progress.tokens == published[100]["tokens"]
