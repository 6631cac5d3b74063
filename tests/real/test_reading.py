"""A pretrained model is read as plain transformers reads it, in every precision that it can stand."""

from __future__ import annotations

import random
from itertools import islice
from typing import Any

import pytest
import torch

from twosome.bench.play import play
from twosome.bench.precision import Comparison
from twosome.decision import Decision
from twosome.errors import ModelError
from twosome.models.loading import load_model
from twosome.models.policy import LanguageModelPolicy
from twosome.scorer import Scorer

pytestmark = pytest.mark.real

EXACT = 1e-4
"""Nats in float32, in which no two orders of summing agree: of log-probabilities, which are 20 and more."""
FLOOR = {torch.float32: 1e-6, torch.bfloat16: 1e-3}
MEAN_FACTOR, LARGEST_FACTOR = 1.2, 2.0
"""Ours may err so many times as much as reading alone, and a floor more. Both err by rounding, so the mean is the
measure; which of two hundred errors is the largest is luck, and differs by a third between equals."""


def test_it_is_read_in_packs(scorer: Scorer) -> None:
    assert scorer.reader.describe().startswith("packed rows, shared prefixes, wanted rows of the last layer")


def test_decisions_of_every_task_have_the_scores_of_plain_transformers(
    scorer: Scorer, decisions: list[Decision]
) -> None:
    of_every_task = decisions[::2]
    with torch.no_grad():
        ours = scorer.scores(of_every_task)
        for row, decision in enumerate(of_every_task):
            action = random.Random(row).randrange(len(decision.actions))
            found = ours.token_log_probs[row, action][ours.token_mask[row, action]].double()
            expected = plain(scorer, decision.prompt, decision.sentence(action))
            torch.testing.assert_close(found, expected, rtol=0, atol=EXACT)


def plain(scorer: Scorer, prompt: str, sentence: str) -> torch.Tensor:
    """Log-probabilities of a sentence's tokens after its prompt, by nothing but tokenizer and model."""
    tokenizer = scorer.encoder.tokenizer
    ids = torch.tensor([tokenizer(sentence)["input_ids"]])
    begins = len(tokenizer(prompt)["input_ids"])
    logits = scorer.model(input_ids=ids, use_cache=False, logits_to_keep=ids.shape[1] - begins + 1).logits[0, :-1]
    return torch.log_softmax(logits.double(), -1).gather(-1, ids[0, begins:, None]).squeeze(-1)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_ours_errs_as_little_as_reading_alone(
    dtype: Any, model_path: str, scorer: Scorer, decisions: list[Decision]
) -> None:
    if dtype == "bfloat16":
        scorer = Scorer(*load_model(model_path, dtype=dtype))
        assert scorer.reader.describe().startswith("packed rows")
    comparison = Comparison(scorer, decisions, actions=2 if dtype == "bfloat16" else 1)
    errors, floor = comparison.errors(), FLOOR[scorer.model.dtype]
    assert errors.tokens > 100
    assert errors.ours.mean <= MEAN_FACTOR * errors.alone.mean + floor, str(errors)
    assert errors.ours.largest <= LARGEST_FACTOR * errors.alone.largest + floor, str(errors)
    assert comparison.ratio() == 0  # the same bits in other company


def test_a_precision_that_it_does_not_stand_is_refused(model_path: str) -> None:
    with pytest.raises(ModelError, match=r"gives no numbers in float16: .*loading\.dtype to bfloat16 or float32"):
        Scorer(*load_model(model_path, dtype="float16"))


def test_scores_have_the_same_bits_in_every_pack(base: tuple[Any, Any], decisions: list[Decision]) -> None:
    few = decisions[::8]
    with torch.no_grad():
        together = Scorer(*base).scores(few).token_log_probs
        small = Scorer(*base, token_budget=150).scores(few[::-1]).token_log_probs.flip(0)
        assert torch.equal(together, small)
        for row, decision in enumerate(few):
            found = Scorer(*base).scores([decision]).token_log_probs[0]
            assert torch.equal(found, together[row][: found.shape[0], : found.shape[1]])


def test_adapter_off_is_the_base(scorer: Scorer, decisions: list[Decision], request: pytest.FixtureRequest) -> None:
    few = decisions[::10]
    prompts = [decision.prompt for decision in few]
    with torch.no_grad():
        bare, features = LanguageModelPolicy(*base_of(scorer)).action_log_probs(few), scorer.features(prompts)
        policy: LanguageModelPolicy = request.getfixturevalue("policy")
        assert torch.equal(policy.reference_action_log_probs(few), bare)
        assert torch.equal(policy.features(prompts), features)
        assert not torch.equal(policy.action_log_probs(few), bare)


def base_of(scorer: Scorer) -> tuple[Any, Any]:
    return scorer.model, scorer.encoder.tokenizer


def test_untrained_play_knows_more_than_nothing(scorer: Scorer) -> None:
    """A model of language finds some phrases of a kitchen likelier than others; one of noise would not."""
    decision = next(islice(play("tomato-salad", 1, 0), 1))[0]
    with torch.no_grad():
        log_probs = LanguageModelPolicy(*base_of(scorer)).action_log_probs([decision])[0]
    entropy = float(-(log_probs.exp() * log_probs).sum())
    assert entropy < 0.95 * float(torch.tensor(float(len(decision.actions))).log())
