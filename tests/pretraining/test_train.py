"""Training: a killed run goes on as if nothing had happened, and what it exports is a plain model directory."""

from __future__ import annotations

import hashlib
import json
import shutil

import pytest
import torch
from pretraining.config import TrainConfig
from pretraining.corpus import write_corpus
from pretraining.train import Progress, Trainer, prepare
from transformers import AutoModelForCausalLM, AutoTokenizer

from pretraining import card

CONFIG = TrainConfig(
    hidden=32, layers=1, feed_forward=64, vocabulary=400, row_length=128, rows_per_step=2, tokens=5_000, warm_up_steps=5
)


@pytest.fixture(scope="module", params=["adamw", "muon"])
def prepared(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    write_corpus(folder / "corpus.txt", seed=1, count=300)
    prepare(folder / "corpus.txt", folder / "run", TrainConfig(**{**vars(CONFIG), "optimizer": request.param}))
    return folder / "run"


@pytest.fixture
def run(prepared, tmp_path):
    return shutil.copytree(prepared, tmp_path / "run")


def weights(trainer):
    return torch.cat([value.detach().flatten() for value in trainer.model.parameters()])


def test_ten_steps_a_kill_and_ten_more_equal_twenty(run, tmp_path):
    torch.set_num_threads(1)
    straight = Trainer(shutil.copytree(run, tmp_path / "straight"))
    expected = [straight.step() for _ in range(20)]
    first = Trainer(run)
    found = [first.step() for _ in range(10)]
    first.save()
    first.step()  # lost in the kill
    second = Trainer(run)
    found += [second.step() for _ in range(10)]
    assert found == expected
    assert torch.equal(weights(second), weights(straight))
    assert found[-1] < found[0]


def test_a_torn_checkpoint_is_not_seen(run):
    trainer = Trainer(run)
    trainer.step()
    trainer.save()
    (run / "checkpoints" / ".partial").mkdir()
    (run / "checkpoints" / ".partial" / "weights.safetensors").write_bytes(b"torn")
    assert Trainer(run).progress == trainer.progress


def test_metrics_of_lost_steps_are_forgotten(run):
    trainer = Trainer(run)
    trainer.step()
    trainer.save()
    (run / "metrics.jsonl").write_text('{"step": 1, "loss": 2.0}\n{"step": 2, "loss": 1.9}\n')
    again = Trainer(run)
    again.progress.decay_end = again.progress.tokens
    again.fit()
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [1, 1]
    assert lines[0] == {"step": 1, "loss": 2.0}


def test_the_learning_rate_warms_up_stays_and_falls():
    factors = [
        Progress(step, step * 100, decay_start=3_000, decay_end=4_000).rate(CONFIG) for step in (0, 4, 20, 35, 40)
    ]
    assert factors == pytest.approx([0.2, 1.0, 1.0, 0.5, 0.0])


def test_a_finish_file_makes_the_fall_begin(run):
    trainer = Trainer(run)
    for _ in range(6):
        trainer.step()
    (run / "finish").write_text("900")
    trainer.fit(log_every=1, check_every=10**9, save_every=10**9)
    assert trainer.progress.decay_end - trainer.progress.decay_start == 900
    assert trainer.progress.tokens < CONFIG.tokens
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert "validation_loss" in lines[-1]
    directory = run / "final"
    model, tokenizer = AutoModelForCausalLM.from_pretrained(directory), AutoTokenizer.from_pretrained(directory)
    assert model.config.tie_word_embeddings
    assert next(model.parameters()).dtype == torch.bfloat16
    assert tokenizer("a pear")["input_ids"][0] == model.config.bos_token_id


def test_a_release_has_a_card_that_names_its_files_and_leaves_other_files_alone(run, tmp_path):
    trainer = Trainer(run)
    trainer.step()
    trainer.save()
    (tmp_path / "embedded").mkdir()
    (tmp_path / "embedded" / "__init__.py").write_text("")
    card.release(run, tmp_path / "embedded", tmp_path / "results")
    text = (tmp_path / "embedded" / "README.md").read_text()
    assert hashlib.sha256((tmp_path / "embedded" / "model.safetensors").read_bytes()).hexdigest() in text
    assert json.loads((run / "corpus.json").read_text())["sha256"] in text
    assert card.NOT_MEASURED in text
    assert f"{trainer.validate(10**9):.3f} nats a token" in text
    assert (tmp_path / "embedded" / "__init__.py").exists()


def test_an_unknown_optimizer_is_refused(run):
    config = json.loads((run / "config.json").read_text())
    (run / "config.json").write_text(json.dumps({**config, "optimizer": "sgd"}))
    with pytest.raises(ValueError, match="'sgd'"):
        Trainer(run)
