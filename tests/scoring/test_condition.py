"""A model is scored in eval mode, off is its base or refused, and nothing but the sentence counts."""

from __future__ import annotations

import copy
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model

from tests import adapter_kinds
from tests.scoring.oracle import DECISIONS, largest_difference
from tests.tiny import build_model, byte_level
from twosome import Decision, score
from twosome.bench.plain import PlainPolicy
from twosome.errors import ModelError, TokenizationError
from twosome.judging.probes import alone
from twosome.language.change import read_passages
from twosome.language.passages import Passage
from twosome.models.loading import add_adapter
from twosome.models.policy import Critic, LanguageModelPolicy
from twosome.scorer import Scorer, context_length
from twosome.scoring.condition import adapter_off, virtual_tokens
from twosome.tokens.encoding import Encoder

TOKENIZER = byte_level(bos=False)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("part", ["", "model.layers.1.mlp"])
def test_a_model_in_train_mode_is_refused_at_every_call(dtype: torch.dtype, part: str) -> None:
    """Dropout made noise of 0.3 nats; in bfloat16 that passed the probe, and a reader once chosen asked no more."""
    model = build_model("llama", attention_dropout=0.5).to(dtype)
    before = score(model, TOKENIZER, DECISIONS).token_log_probs
    for _ in range(2):
        model.get_submodule(part).train()
        with pytest.raises(ModelError, match=r"in eval mode, but \d+ of the \d+ parts .*: call model.eval\(\) first"):
            score(model, TOKENIZER, DECISIONS)
        model.eval()
        assert torch.equal(score(model, TOKENIZER, DECISIONS).token_log_probs, before)


def test_a_model_in_train_mode_is_refused_before_it_is_tried() -> None:
    with pytest.raises(ModelError, match="eval mode"):
        Scorer(build_model("llama").train(), TOKENIZER)


def test_an_adapter_that_came_later_in_train_mode_is_noticed() -> None:
    model = add_adapter(build_model("llama"), rank=2, alpha=4, targets="all-linear")
    scorer = Scorer(model, TOKENIZER)
    scorer.scores(DECISIONS)
    model.add_adapter("second", LoraConfig(r=2, target_modules=["q_proj"], lora_dropout=0.5))
    model.set_adapter("second")
    with pytest.raises(ModelError, match="eval mode"):
        scorer.scores(DECISIONS)


def test_a_policy_in_train_mode_neither_acts_nor_values() -> None:
    model = add_adapter(build_model("llama"), rank=2, alpha=4, targets="all-linear")
    policy = LanguageModelPolicy(model, TOKENIZER, Critic(32, [8]))
    model.base_model.model.model.layers[0].train()
    for ask in (policy.action_log_probs, policy.reference_action_log_probs, policy.values):
        with pytest.raises(ModelError, match="eval mode"):
            ask(DECISIONS)
    with pytest.raises(ModelError, match="eval mode"):
        read_passages(model, [Passage((5, 6, 7), 1, 0)])


def adapted(architecture: str = "qwen2", **settings: Any) -> Any:
    return get_peft_model(
        build_model(architecture),
        LoraConfig(task_type="CAUSAL_LM", **{"r": 2, "target_modules": ["q_proj"], **settings}),
    ).eval()


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"bias": "all"}, "bias='all' trains the base's own biases"),
        ({"bias": "lora_only"}, "bias='lora_only'"),
        ({"init_lora_weights": "pissa"}, "init_lora_weights='pissa'"),
        ({"init_lora_weights": "olora"}, "init_lora_weights='olora'"),
    ],
    ids=str,
)
def test_adapter_off_is_refused_where_it_is_not_the_base(settings: dict[str, str], why: str) -> None:
    """With bias=all the loss of the "base" was 6.061 where that of the base is 5.946."""
    model = adapted(**settings)
    policy = LanguageModelPolicy(model, TOKENIZER, Critic(32, [8]))
    policy.action_log_probs(DECISIONS)  # acting is exact all the same
    for ask in (policy.reference_action_log_probs, policy.values):
        with pytest.raises(ModelError, match=why):
            ask(DECISIONS)
    with pytest.raises(ModelError, match=why):
        read_passages(model, [Passage((5, 6, 7), 1, 0)])


@pytest.mark.parametrize("settings", [{}, {"modules_to_save": ["lm_head", "embed_tokens", "norm"]}, {"use_dora": True}])
def test_adapter_off_is_the_base_where_it_is_taken(settings: dict[str, Any]) -> None:
    model, ids = adapted(**settings), torch.tensor([[5, 6, 7, 8]])
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.add_(torch.randn_like(parameter))
        with adapter_off(model):
            assert torch.equal(model(ids).logits, build_model("qwen2")(ids).logits)


def test_biases_that_the_base_does_not_have_are_not_trained() -> None:
    with adapter_off(adapted("llama", bias="all")):
        pass


def test_an_adapter_is_off_only_where_it_is_not_merged() -> None:
    model = adapted()
    model.merge_adapter()
    with pytest.raises(ModelError, match="merged into the base"), adapter_off(model):
        pass
    model.unmerge_adapter()
    with adapter_off(model):
        pass


def test_an_adapter_put_into_the_model_itself_has_no_base_to_go_back_to() -> None:
    model = build_model("llama")
    model.add_adapter(LoraConfig(r=2, target_modules=["q_proj"], init_lora_weights=False))
    with pytest.raises(ModelError, match="without PeftModel"), adapter_off(model.eval()):
        pass


EXACT = ["CPT", "IA3", "LORA", "PREFIX_TUNING", "PROMPT_TUNING", "P_TUNING", "VBLORA", "LORA, modules_to_save=lm_head"]


@pytest.mark.parametrize("kind", EXACT)
def test_adapters_are_exact(kind: str) -> None:
    """With virtual tokens, log-probabilities were read that many positions too early, and another action won."""
    result = adapter_kinds.examine(kind)
    assert not result.wrong
    assert result.log_probs is not None
    assert isinstance(result.off, float)


@pytest.mark.parametrize(
    ("kind", "why"),
    [
        ("LILY", "an adapter of kind LILY cannot be scored exactly"),
        ("MULTITASK_PROMPT_TUNING", "MULTITASK_PROMPT_TUNING want the number of a task"),
        ("POLY", "POLY want the number of a task"),
        ("SHADOW", "an adapter of kind SHADOW cannot be scored"),
    ],
)
def test_adapters_that_cannot_be_scored_are_refused_by_name(kind: str, why: str) -> None:
    result = adapter_kinds.examine(kind)
    assert result.log_probs is None
    assert why in result.way


def test_off_is_refused_for_an_adapter_read_back_that_changes_the_base() -> None:
    result = adapter_kinds.examine("LORA, bias=all")
    assert result.off == "refused"
    assert not result.wrong


def prompted(architecture: str = "llama") -> Any:
    """A model with four virtual tokens before every sentence."""
    from peft import PromptTuningConfig

    torch.manual_seed(0)
    config = PromptTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=4)
    return get_peft_model(build_model(architecture), config).eval()


@pytest.mark.parametrize("architecture", ["llama", "gpt2", "mistral"])
def test_virtual_tokens_shift_nothing(architecture: str) -> None:
    model = prompted(architecture)
    scores = score(model, TOKENIZER, DECISIONS)
    assert largest_difference(scores, model, TOKENIZER) < 1e-5
    plain = PlainPolicy(model, Encoder(TOKENIZER), Critic(32, [8]), "word").scores(DECISIONS)
    torch.testing.assert_close(plain.token_log_probs, scores.token_log_probs, rtol=0, atol=1e-5)
    encoded = [Encoder(TOKENIZER).encode(decision) for decision in DECISIONS]
    found = torch.cat([row[mask] for row, mask in zip(scores.token_log_probs, scores.token_mask, strict=True)])
    torch.testing.assert_close(alone(model, encoded).float(), found, rtol=0, atol=1e-5)


@pytest.mark.parametrize("path", ["packed", "masked", "cached"])
def test_ways_that_do_not_see_virtual_tokens_are_not_taken(path: Any) -> None:
    """They would pass the probe where the virtual tokens do little."""
    model = prompted()
    with torch.no_grad():
        next(parameter for parameter in model.parameters() if parameter.requires_grad).mul_(1e-8)
    with pytest.raises(ModelError, match="cannot be scored exactly"):
        Scorer(model, TOKENIZER, path)


def test_virtual_tokens_take_their_part_of_the_context() -> None:
    model = prompted("gpt2")
    assert virtual_tokens(model) == 4
    assert context_length(model) == 252
    assert context_length(build_model("gpt2")) == 256
    word = TOKENIZER(" salad")["input_ids"]
    longest = Decision("You" + " salad" * ((252 - 1) // len(word) - 1), ("salad",))
    score(model, TOKENIZER, [longest])
    with pytest.raises(TokenizationError):
        score(model, TOKENIZER, [Decision(longest.prompt + " salad" * 2, ("salad",))])


def test_the_language_measures_see_through_virtual_tokens() -> None:
    model, ids = prompted(), (5, 9, 13, 17, 40)
    sums = read_passages(model, [Passage(ids, 2, 0)])[0]
    losses = []
    for switched in (model.base_model, model):
        with torch.no_grad():
            log_probs = switched(input_ids=torch.tensor([ids]), use_cache=False).logits[0, -len(ids) :].log_softmax(-1)
        losses.append(-sum(float(log_probs[place - 1, ids[place]]) for place in range(2, len(ids))))
    assert sums[1:3].tolist() == pytest.approx(losses, abs=1e-5)


def test_outlier_columns_of_8_bit_layers_are_refused() -> None:
    """bitsandbytes chooses them over the whole batch: a token moved by 0.58 nats with its neighbours."""
    model = build_model("llama")
    layer = model.model.layers[0].mlp
    layer.state = SimpleNamespace(threshold=6.0)
    with pytest.raises(ModelError, match=r"llm_int8_threshold=6.0"):
        score(model, TOKENIZER, DECISIONS)
    layer.state.threshold = 0.0
    score(model, TOKENIZER, DECISIONS)


def test_a_copy_of_a_model_is_looked_at_by_itself() -> None:
    model = build_model("llama")
    score(model, TOKENIZER, DECISIONS)
    other = copy.deepcopy(model)
    other.model.train()
    with pytest.raises(ModelError, match="eval mode"):
        score(other, TOKENIZER, DECISIONS)
    score(model, TOKENIZER, DECISIONS)
