"""Models of the shape of others, with random weights."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from twosome import Decision
from twosome.errors import ModelError
from twosome.models.loading import EMBEDDED, load_model
from twosome.models.shapes import random_model
from twosome.scorer import Scorer

DECISION = Decision("You see the tomato. You should now", ("chop the tomato", "sing"))


def numbers(model: torch.nn.Module) -> torch.Tensor:
    return torch.cat([weight.flatten() for weight in model.parameters()])


def test_random_weights_have_the_shape_of_the_model_and_nothing_that_it_learned() -> None:
    trained, tokenizer = load_model(EMBEDDED, device="cpu")
    model, same = random_model(EMBEDDED, seed=0)
    shapes = [{name: weight.shape for name, weight in each.named_parameters()} for each in (trained, model)]
    assert shapes[0] == shapes[1]
    assert same(DECISION.prompt)["input_ids"] == tokenizer(DECISION.prompt)["input_ids"]
    assert not any(weight.requires_grad for weight in model.parameters())
    for name, weight in model.named_parameters():
        if weight.dim() > 1:
            drawn = float(weight.std())
            assert drawn == pytest.approx(model.config.initializer_range, rel=0.1), name
    assert "random weights of seed 0" in model.config._name_or_path
    scores = Scorer(model, same).scores([DECISION])
    per_token = scores.token_log_probs[scores.token_mask].mean()
    assert float(per_token) == pytest.approx(-torch.tensor(model.config.vocab_size).log().item(), rel=0.1)


def test_a_seed_decides_the_weights_and_leaves_other_random_numbers_alone() -> None:
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    first, again, other = (numbers(random_model(EMBEDDED, seed)[0]) for seed in (0, 0, 1))
    assert torch.equal(torch.rand(3), expected)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_a_model_that_is_not_there_has_no_shape(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="nowhere"):
        random_model(str(tmp_path / "nowhere"), 0)
