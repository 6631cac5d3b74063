"""Scores equal the naive oracle, for many architectures and tokenizers, whatever the batch."""

from __future__ import annotations

import random

import pytest
import torch

from tests.scoring.oracle import DECISIONS, largest_difference
from tests.tiny import ARCHITECTURES, READERS, TEXT, build_model, byte_level
from twosome import Decision, score
from twosome.judging.probing import choose_reader
from twosome.scorer import Scorer
from twosome.scoring.readers import PackedReader
from twosome.scoring.row_readers import PaddedReader


def test_equals_the_oracle_for_every_architecture(architecture: str) -> None:
    model, tokenizer = build_model(architecture), byte_level(bos=True)
    scores = score(model, tokenizer, DECISIONS)
    assert scores.token_log_probs.dtype == torch.float32
    assert largest_difference(scores, model, tokenizer) <= 1e-5


def test_equals_the_oracle_for_every_tokenizer(tokenizer: object) -> None:
    model = build_model("llama")
    assert largest_difference(score(model, tokenizer, DECISIONS), model, tokenizer) <= 1e-5


def test_the_path_is_found_by_probe(architecture: str) -> None:
    assert type(choose_reader(build_model(architecture))).__name__ == READERS.get(architecture, "PackedReader")


@pytest.mark.parametrize("path", ["packed", "masked", "cached", "padded"])
def test_every_path_agrees_with_the_oracle_and_in_its_gradient(path: str) -> None:
    model, tokenizer = build_model("llama"), byte_level(bos=False)
    model.requires_grad_(True)
    gradients = {}
    for each in (path, "padded"):
        model.zero_grad()
        scores = Scorer(model, tokenizer, each).scores(DECISIONS)  # type: ignore[arg-type]
        assert largest_difference(scores, model, tokenizer) <= 1e-5
        scores.token_log_probs.sum().backward()
        gradients[each] = torch.cat([p.grad.flatten() for p in model.parameters()])
    difference = (gradients[path] - gradients["padded"]).norm() / gradients["padded"].norm()
    assert difference <= 1e-5


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_scores_are_bitwise_independent_of_batch_mates_order_and_budget(dtype: torch.dtype) -> None:
    """Published trap 3: there, padding by batch mates made ratios differ from 1 with nothing changed."""
    model, tokenizer = build_model("llama").to(dtype), byte_level(bos=False)
    together = Scorer(model, tokenizer, "packed").scores(DECISIONS)
    for budget in (1, 60, 10_000):
        scorer = Scorer(model, tokenizer, "packed", token_budget=budget)
        backwards = scorer.scores(DECISIONS[::-1])
        for row, decision in enumerate(DECISIONS):
            alone = scorer.scores([decision])
            width = alone.token_log_probs.shape[1:]
            expected = together.token_log_probs[row, : width[0], : width[1]]
            assert torch.equal(alone.token_log_probs[0], expected)
            assert torch.equal(backwards.token_log_probs[len(DECISIONS) - 1 - row], together.token_log_probs[row])


def random_decisions(count: int) -> list[Decision]:
    """Decisions of words in any order, of very different length."""
    chosen, words = random.Random(0), " ".join(TEXT).replace(",", "").split()

    def phrase(least: int, most: int) -> str:
        return " ".join(chosen.choices(words, k=chosen.randint(least, most)))

    return [
        Decision(phrase(4, 40), tuple({phrase(1, 5): None for _ in range(chosen.randint(2, 7))})) for _ in range(count)
    ]


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_which_readings_have_the_same_bits_whatever_they_are_read_with(architecture: str) -> None:
    """Packs have, but for experts; masked and padded rows round with their width, and that is all they do."""
    scorer = Scorer(build_model(architecture), byte_level(bos=False))
    if isinstance(scorer.reader, PaddedReader):  # a running state carries rounding on, far with weights this large
        scorer = Scorer(build_model(architecture).apply(_smaller), byte_level(bos=False))
    decisions = random_decisions(24)
    with torch.no_grad():
        together = scorer.scores(decisions).token_log_probs
        for row, decision in enumerate(decisions):
            alone = scorer.scores([decision]).token_log_probs[0]
            found = together[row, : alone.shape[0], : alone.shape[1]]
            if isinstance(scorer.reader, PackedReader) and architecture != "gpt_oss":
                assert torch.equal(found, alone)
            torch.testing.assert_close(found, alone, atol=2e-6, rtol=0)


def _smaller(layer: torch.nn.Module) -> None:
    for parameter in layer.parameters(recurse=False):
        if parameter.ndim > 1:
            parameter.data.div_(3.0)


def test_scores_with_and_without_gradient_are_the_same() -> None:
    model, tokenizer = build_model("llama").requires_grad_(True), byte_level(bos=False)
    with_gradient = score(model, tokenizer, DECISIONS).token_log_probs
    with torch.no_grad():
        assert torch.equal(score(model, tokenizer, DECISIONS).token_log_probs, with_gradient)
    assert with_gradient.requires_grad


def test_repeated_decisions_are_computed_once() -> None:
    model, tokenizer = build_model("llama"), byte_level(bos=False)
    fed = []
    model.model.embed_tokens.register_forward_hook(lambda module, inputs, output: fed.append(inputs[0].numel()))
    scorer = Scorer(model, tokenizer, "packed")
    fed.clear()
    once = scorer.scores(DECISIONS[:1])
    count = sum(fed)
    fed.clear()
    twice = scorer.scores(DECISIONS[:1] * 5)
    assert sum(fed) == count
    assert torch.equal(twice.token_log_probs, once.token_log_probs.expand_as(twice.token_log_probs))


def test_sums_are_taken_in_float32_whatever_the_model() -> None:
    """Published trap 3: sums in float16 are spaced by 0.004 to 0.008 nats."""
    model = build_model("llama").to(torch.bfloat16)
    assert score(model, byte_level(bos=False), DECISIONS).token_log_probs.dtype == torch.float32


def test_the_users_model_is_left_as_it_was() -> None:
    model = build_model("llama")
    before = model.config._attn_implementation
    score(model, byte_level(bos=False), DECISIONS)
    assert model.config._attn_implementation == before


def test_one_action_of_one_token() -> None:
    model, tokenizer = build_model("llama"), byte_level(bos=False)
    decision = Decision("You should", ("now",))
    assert largest_difference(score(model, tokenizer, [decision]), model, tokenizer) <= 1e-5


def test_features_depend_on_the_prompt_alone() -> None:
    """Published trap 7: there, the critic read a padding position for all but the longest prompt of a batch."""
    model, tokenizer = build_model("llama"), byte_level(bos=False)
    scorer = Scorer(model, tokenizer, "packed")
    prompts = [decision.prompt for decision in DECISIONS]
    together = scorer.features(prompts)
    for row, prompt in enumerate(prompts):
        assert torch.equal(scorer.features([prompt])[0], together[row])
        ids = torch.tensor([tokenizer(prompt)["input_ids"]])
        expected = model(ids, output_hidden_states=True).hidden_states[-1][0, -1]
        torch.testing.assert_close(together[row], expected, atol=1e-5, rtol=1e-5)


def test_states_of_every_token_are_those_of_plain_reading(architecture: str) -> None:
    """What a fit keeps as it was; prompts that begin alike share rows, and the last layer is asked for all of them."""
    model, tokenizer = build_model(architecture), byte_level(bos=True)
    scorer = Scorer(model, tokenizer)
    prompts = [scorer.encode(decision).prompt_ids for decision in DECISIONS]
    found = scorer.reader.token_states(prompts)
    for prompt, states in zip(prompts, found, strict=True):
        hidden = model(torch.tensor([prompt]), output_hidden_states=True).hidden_states[-1][0]
        torch.testing.assert_close(states, hidden.float(), atol=2e-5, rtol=1e-4)


@pytest.mark.parametrize("frozen_layers", [0, 1])
def test_states_of_every_token_have_their_gradient_above_what_is_remembered(frozen_layers: int) -> None:
    model, tokenizer = build_model("llama"), byte_level(bos=False)
    for parameter in model.model.layers[-1].parameters():
        parameter.requires_grad_(True)
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    gradients = []
    for reader in (Scorer(model, tokenizer, "packed", frozen_layers=frozen_layers).reader, PaddedReader(model, 100)):
        prompts = [tuple(tokenizer(decision.prompt)["input_ids"]) for decision in DECISIONS]
        total = sum((states**3).sum() for states in reader.token_states(prompts))
        gradients.append(torch.cat([each.flatten() for each in torch.autograd.grad(total, trained)]))
    assert (gradients[0] - gradients[1]).norm() <= 1e-5 * gradients[1].norm()
