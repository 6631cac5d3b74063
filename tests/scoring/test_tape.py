"""A layer that keeps what its matrix products gave has the same scores and gradient, and multiplies once."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from tests.scoring.oracle import DECISIONS
from tests.tiny import build_model, byte_level
from twosome.models.loading import add_adapter
from twosome.scorer import Scorer
from twosome.scoring import adapters
from twosome.scoring.layers import layers_below_adapter
from twosome.scoring.readers import PackedReader
from twosome.scoring.tape import Tape


def scorer_of(architecture: str, dtype: torch.dtype, top_layers: int | None = None) -> Scorer:
    torch.manual_seed(0)
    base = build_model(architecture).to(dtype)
    model = add_adapter(base, rank=2, alpha=4, targets="all-linear", top_layers=top_layers)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_" in name:
                parameter.add_(0.1 * torch.randn_like(parameter))
    return Scorer(model, byte_level(bos=True), frozen_layers=layers_below_adapter(model))


def read(scorer: Scorer) -> tuple[Tensor, list[Tensor]]:
    """Scores, and the gradient of their sum."""
    trained = [parameter for parameter in scorer.model.parameters() if parameter.requires_grad]
    scores = scorer.scores(DECISIONS).token_log_probs
    return scores.detach(), list(torch.autograd.grad(scores.sum(), trained))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize(("architecture", "top"), [("llama", None), ("llama", 1), ("mistral", None), ("gemma2", None)])
def test_scores_and_gradient_have_the_same_bits(architecture: str, top: int | None, dtype: torch.dtype) -> None:
    torch.set_num_threads(1)
    scorer = scorer_of(architecture, dtype, top)
    scores, gradients = read(scorer)
    assert isinstance(scorer.reader, PackedReader)
    scorer.reader.keep_products()
    kept_scores, kept_gradients = read(scorer)
    assert torch.equal(scores, kept_scores)
    assert all(map(torch.equal, gradients, kept_gradients))
    assert scorer.reader.held_bytes > 0


def test_no_product_is_computed_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    scorer = scorer_of("llama", torch.float32)
    assert isinstance(scorer.reader, PackedReader)
    scorer.reader.keep_products()
    products: list[int] = []
    plain = adapters._adapted

    def counting(*arguments: Any) -> tuple[Tensor, Tensor]:
        products.append(1)
        return plain(*arguments)

    monkeypatch.setattr(adapters, "_adapted", counting)
    scores = scorer.scores(DECISIONS).token_log_probs
    forward = len(products)
    scores.sum().backward()
    assert forward > 0
    assert len(products) == forward


def test_what_was_changed_in_place_is_not_given_back() -> None:
    tape, first, second = Tape(), torch.ones(2), torch.ones(2)
    with tape.recording():
        tape.record(first)
        tape.record(second)
    first.add_(1)
    with tape.recalling():
        assert tape.recall() is None
        found = tape.recall()
    assert found is not None
    assert torch.equal(found, second)
