"""Decisions of hundreds of actions: cut into groups and passes, exact, each once."""

from __future__ import annotations

import pytest
import torch

from tests.scoring.oracle import largest_difference
from tests.tiny import build_model, byte_level
from twosome import Decision
from twosome.models.loading import add_adapter
from twosome.scorer import Scorer

VERBS, THINGS = ("take", "open", "look at", "put down", "walk to"), tuple(f"bowl {n}" for n in range(40))
LARGE = Decision("You should now", tuple(f"{verb} the {thing}" for verb in VERBS for thing in THINGS))
OTHER = Decision("You see a bowl and you should now", LARGE.actions[::3])
SMALL = Decision("You see a bowl and you should then", ("sit down", "sit"))


def adapted(architecture: str = "llama") -> torch.nn.Module:
    torch.manual_seed(0)
    model: torch.nn.Module = add_adapter(build_model(architecture), rank=2, alpha=4, targets="all-linear")
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.3)
    return model


@pytest.mark.parametrize("budget", [40, 200, 100_000])
def test_every_token_equals_the_oracle_whatever_the_budget(budget: int) -> None:
    model, tokenizer = adapted(), byte_level(bos=False)
    scorer = Scorer(model, tokenizer, "packed", budget)
    assert largest_difference(scorer.scores([LARGE, SMALL]), model, tokenizer) <= 1e-5


def test_every_decision_is_in_one_batch() -> None:
    scorer = Scorer(adapted(), byte_level(bos=False), "packed", 100)
    batches = scorer.batches([LARGE, SMALL, OTHER])
    assert sorted(d.prompt for batch in batches for d in batch) == sorted(d.prompt for d in (LARGE, SMALL, OTHER))


@pytest.mark.parametrize("budget", [40, 100_000])
@pytest.mark.parametrize("architecture", ["llama", "gpt2", "gemma2"])
def test_reading_again_in_the_backward_pass_changes_no_bit_of_scores_and_nothing_of_gradients(
    architecture: str, budget: int
) -> None:
    gradients, values, calls = [], [], []
    for lean in (False, True):
        model = adapted(architecture)
        last = [module for name, module in model.named_modules() if name.endswith("mlp")][-1]
        scorer = Scorer(model, byte_level(bos=False), "packed", budget, lean=lean)
        read: list[int] = []
        last.register_forward_pre_hook(lambda *_, read=read: read.append(1))
        found = scorer.scores([LARGE, SMALL]).token_log_probs
        (found * torch.linspace(-1, 1, found.numel()).view_as(found)).sum().backward()
        values.append(found.detach())
        gradients.append(torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None]))
        calls.append(len(read))
    assert torch.equal(*values)
    torch.testing.assert_close(*gradients, rtol=1e-5, atol=1e-5)
    assert calls[1] == calls[0] * (2 if budget > 40 else 3)  # each layer again; of several packs, the packs too


@pytest.mark.parametrize("top", [1, 2])
def test_what_layers_below_the_adapter_make_of_a_decision_is_computed_once_and_exact(top: int) -> None:
    model = add_adapter(build_model("llama", num_hidden_layers=3), rank=2, alpha=4, targets=None, top_layers=top)
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.3)
    tokenizer, results = byte_level(bos=False), []
    remembering = Scorer(model, tokenizer, "packed", frozen_layers=3 - top)
    calls: list[int] = []
    model.base_model.model.model.layers[0].mlp.register_forward_hook(lambda *_: calls.append(1))
    for scorer in (Scorer(model, tokenizer, "packed"), remembering, remembering):
        calls.clear()
        model.zero_grad()
        found = scorer.scores([LARGE, SMALL, OTHER]).token_log_probs
        found.sum().backward()
        gradient = torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])
        results.append((found.detach(), gradient, len(calls)))
    for found, gradient, _ in results[1:]:
        assert torch.equal(found, results[0][0])
        torch.testing.assert_close(gradient, results[0][1], rtol=1e-5, atol=1e-5)
    assert [count for *_, count in results[1:]][1] == 0


def test_a_decision_that_is_new_below_the_adapter_is_read_by_itself_among_known_ones() -> None:
    model = add_adapter(build_model("llama", num_hidden_layers=3), rank=2, alpha=4, targets=None, top_layers=1)
    tokenizer, decisions = byte_level(bos=False), [SMALL, LARGE, OTHER]
    remembering, plain = Scorer(model, tokenizer, "packed", frozen_layers=2), Scorer(model, tokenizer, "packed")
    for count in (1, 2, 3):
        found = remembering.scores(decisions[:count]).token_log_probs
        assert torch.equal(found, plain.scores(decisions[:count]).token_log_probs)
