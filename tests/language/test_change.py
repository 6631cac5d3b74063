"""Losses and changed distributions against a naive loop, and against adapters whose effect is known."""

from __future__ import annotations

import contextlib
import math
from typing import Any

import numpy as np
import pytest
import torch
from torch.distributions import Categorical, kl_divergence

from tests.language.adapters import adapt
from tests.tiny import TEXT, TOKENIZERS, build_model, byte_level
from twosome.language import change
from twosome.language.change import (
    KL,
    LOSS_OFF,
    LOSS_ON,
    TOKENS,
    TOP1_CHANGED,
    TOTAL_VARIATION,
    change_measures,
    loss_measures,
    plain_head,
    read_passages,
)
from twosome.language.evaluation import TEXTS
from twosome.language.passages import Passage, read_documents, text_passages
from twosome.models.loading import load_model
from twosome.tokens.encoding import Encoder


def naive(model: Any, passage: Passage) -> dict[int, float]:
    """The sums of one passage, predicted token by token from a prefix that is read alone."""
    sums: dict[int, float] = dict.fromkeys((TOKENS, LOSS_OFF, LOSS_ON, KL, TOTAL_VARIATION, TOP1_CHANGED), 0.0)
    for index in range(passage.first, len(passage.ids)):
        predictions = {}
        for adapter in ("on", "off"):
            with torch.no_grad(), model.disable_adapter() if adapter == "off" else contextlib.nullcontext():
                logits = model(input_ids=torch.tensor([passage.ids[:index]])).logits[0, -1]
            predictions[adapter] = Categorical(logits=logits.double())
        off, on = predictions["off"], predictions["on"]
        target = torch.tensor(passage.ids[index])
        sums[TOKENS] += 1
        sums[LOSS_OFF] -= float(off.log_prob(target))
        sums[LOSS_ON] -= float(on.log_prob(target))
        sums[KL] += float(kl_divergence(off, on))
        sums[TOTAL_VARIATION] += float((off.probs - on.probs).clamp(min=0).sum())
        sums[TOP1_CHANGED] += float(off.probs.argmax() != on.probs.argmax())
    return sums


@pytest.mark.parametrize("architecture", ["llama", "gpt2", "bloom", "mamba"])
def test_sums_equal_a_naive_loop(architecture: str) -> None:
    model = adapt(build_model(architecture), 0.05, "in_proj" if architecture == "mamba" else "all-linear")
    passages = text_passages(TEXT, byte_level(bos=True), context=64)
    sums = read_passages(model, passages)
    expected = np.zeros_like(sums)
    for passage in passages:
        for column, value in naive(model, passage).items():
            expected[passage.unit, column] += value
    np.testing.assert_allclose(sums, expected, rtol=1e-4, atol=1e-4)
    assert sums[:, KL].min() > 1e-3  # there is something to compare


@pytest.mark.parametrize("kind", TOKENIZERS)
@pytest.mark.parametrize("context", [9, 16, 1000])
def test_every_token_is_predicted_once_however_a_document_is_cut(kind: str, context: int, tmp_path: Any) -> None:
    tokenizer = TOKENIZERS[kind](tmp_path)
    passages = text_passages(TEXT, tokenizer, context)
    for unit, document in enumerate(TEXT):
        ids = Encoder(tokenizer).encode_prompt(document)
        predicted = [token for p in passages if p.unit == unit for token in p.ids[p.first :]]
        special = 1 if ids[0] in tokenizer.all_special_ids else 0
        # The very first token has nothing before it, unless the tokenizer puts something there.
        assert predicted == list(ids[1:])
        assert all(len(p.ids) <= context and p.first == 1 for p in passages)
        assert not special or all(p.ids[0] == ids[0] for p in passages if p.unit == unit)


def test_perplexity_is_the_exponential_of_the_mean_loss() -> None:
    sums = np.array([[10, 20.0, 25.0, 0, 0, 0], [30, 40.0, 35.0, 0, 0, 0]])
    loss, perplexity = loss_measures("text", sums, "documents")
    assert (loss.name, loss.off, loss.on, loss.difference) == ("loss/text", 1.5, 1.5, 0.0)
    assert perplexity.off == pytest.approx(math.exp(1.5))
    assert loss.interval is not None
    assert loss.interval[0] < 0 < loss.interval[1]  # one document got worse, the other better


def test_an_adapter_of_zeros_changes_exactly_nothing() -> None:
    model, tokenizer = load_model("embedded")
    documents = read_documents(TEXTS[0])[:20]
    sums = read_passages(adapt(model, 0.0), text_passages(documents, tokenizer, 1024))
    for measure in [*loss_measures("text", sums, "documents"), *change_measures("text", sums, "documents")]:
        assert measure.difference == 0.0
        assert measure.interval == (0.0, 0.0)


def test_a_vandalised_adapter_is_found_out() -> None:
    model, tokenizer = load_model("embedded")
    documents = read_documents(TEXTS[0])[:20]
    sums = read_passages(adapt(model, 0.3), text_passages(documents, tokenizer, 1024))
    loss, perplexity, *changes = [
        *loss_measures("text", sums, "documents"),
        *change_measures("text", sums, "documents"),
    ]
    assert loss.off is not None
    assert loss.off < 1.2  # nats: it knows this kind of text
    for measure in (loss, perplexity, *changes):
        assert measure.interval is not None
        assert measure.interval[0] > 0.1
    assert loss.better == "lower"


@pytest.mark.parametrize("kind", ["all-linear", "prompt", "lm_head", "gemma2"])
def test_the_vocabulary_is_met_by_measured_rows_alone_where_that_gives_the_logits(kind: str) -> None:
    """Elsewhere logits are the model's own: it caps them, its matrix is adapted, or virtual tokens stand in front."""
    base = build_model("gemma2" if kind == "gemma2" else "llama")
    if kind == "prompt":
        from peft import PromptTuningConfig, get_peft_model

        model = get_peft_model(base, PromptTuningConfig(num_virtual_tokens=3, task_type="CAUSAL_LM")).eval()
    else:
        model = adapt(base, 0.05, ["lm_head", "q_proj"] if kind == "lm_head" else "all-linear")
    passages = text_passages(TEXT[:4], byte_level(bos=True), context=64)
    assert (plain_head(model, passages[0].ids) is not None) == (kind == "all-linear")
    sums = read_passages(model, passages)
    expected = np.zeros_like(sums)
    for passage in passages:
        for column, value in naive(model, passage).items():
            expected[passage.unit, column] += value
    np.testing.assert_allclose(sums, expected, rtol=1e-4, atol=1e-4)


def test_contexts_that_passages_share_are_looked_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    model = adapt(build_model("llama"), 0.05)
    seen: list[int] = []
    real = change._states
    monkeypatch.setattr(change, "_states", lambda *given: seen.append(len(given[3])) or real(*given))
    read_passages(model, [Passage((5, 6, 7, 8), 2, 0), Passage((5, 6, 9, 8), 2, 1), Passage((5, 6, 7, 9), 2, 2)])
    assert seen == [3, 3]  # 5 6, 5 6 7 and 5 6 9, adapter on and off
