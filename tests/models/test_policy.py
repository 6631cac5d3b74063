"""LoRA actor and critic head on one frozen base."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from tests.scoring.oracle import DECISIONS, action_token_log_probs
from tests.tiny import build_model, byte_level
from twosome import Decision
from twosome.errors import ConfigError, ModelError, RunError
from twosome.models.loading import add_adapter
from twosome.models.policy import Critic, LanguageModelPolicy
from twosome.types import Place


def make_policy(dtype: torch.dtype = torch.float32, **settings: Any) -> LanguageModelPolicy:
    torch.manual_seed(0)
    base = build_model("llama").to(dtype)
    model = add_adapter(base, rank=2, alpha=4, targets="all-linear")
    return LanguageModelPolicy(model, byte_level(bos=False), Critic(32, [8]), **settings)


def disturb(policy: LanguageModelPolicy) -> None:
    """Change the adapter, as a training step would."""
    with torch.no_grad():
        for parameter in policy.actor_parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))


@pytest.mark.parametrize("settings", [{"foreach": False}, {"foreach": True}, {"fused": True}], ids=str)
def test_no_probability_outlives_a_step_of_any_optimizer(settings: dict[str, bool]) -> None:
    """Fused optimizers change weights without a trace in the counters that autograd keeps."""
    policy = make_policy()
    optimizer = torch.optim.AdamW(policy.actor_parameters(), lr=0.1, **settings)
    with torch.no_grad():
        before = policy.action_log_probs(DECISIONS)
    policy.action_log_probs(DECISIONS)[:, 0].sum().backward()
    optimizer.step()
    with torch.no_grad():
        after = policy.action_log_probs(DECISIONS)
    assert not torch.equal(before, after)
    assert torch.equal(after, policy.action_log_probs(DECISIONS).detach())


def fed_tokens(policy: LanguageModelPolicy) -> list[int]:
    """A list that grows by the number of tokens of every forward pass."""
    fed: list[int] = []
    embedding = policy.model.get_input_embeddings()
    embedding.register_forward_hook(lambda module, inputs, output: fed.append(inputs[0].numel()))
    return fed


def test_probabilities_are_the_softmax_of_the_normalised_joint_log_probability() -> None:
    """TWOSOME, equations 1, 2 and 4, against the naive oracle."""
    policy = make_policy()
    disturb(policy)
    log_probs = policy.action_log_probs(DECISIONS)
    for row, decision in enumerate(DECISIONS):
        joint = [
            sum(action_token_log_probs(policy.model, policy.scorer.encoder.tokenizer, decision.prompt, action))
            / len(action.split())
            for action in decision.actions
        ]
        expected = torch.tensor(joint).log_softmax(-1)
        torch.testing.assert_close(log_probs[row, : len(joint)].detach(), expected, atol=1e-5, rtol=0)
        assert (log_probs[row, len(joint) :] == -torch.inf).all()


def test_only_adapter_and_critic_train_and_the_adapter_is_float32() -> None:
    """Published trap 11: a float16 adapter under Adam hardly moves, or moves far too much."""
    policy = make_policy(torch.bfloat16)
    trained = {id(p) for p in (*policy.actor_parameters(), *policy.critic_parameters())}
    assert trained
    for name, parameter in policy.model.named_parameters():
        assert parameter.requires_grad == ("lora_" in name)
        assert (id(parameter) in trained) == ("lora_" in name)
        if "lora_" in name:
            assert parameter.dtype == torch.float32
    assert {p.dtype for p in policy.critic_parameters()} == {torch.float32}


def test_a_fresh_adapter_changes_nothing() -> None:
    policy = make_policy()
    assert torch.equal(policy.action_log_probs(DECISIONS).detach(), policy.reference_action_log_probs(DECISIONS))


def test_the_critic_reads_the_frozen_base_at_the_last_real_token() -> None:
    """Published traps 7 and 10, and the critic bug of September 2023: features neither move nor depend on the batch."""
    policy = make_policy()
    prompts = [decision.prompt for decision in DECISIONS]
    before = policy.features(prompts)
    disturb(policy)
    policy._features.clear()
    assert torch.equal(policy.features(prompts), before)
    base = build_model("llama")
    for prompt, feature in zip(prompts, before, strict=True):
        ids = torch.tensor([byte_level(bos=False)(prompt)["input_ids"]])
        expected = base(ids, output_hidden_states=True).hidden_states[-1][0, -1]
        torch.testing.assert_close(feature, expected, atol=1e-5, rtol=1e-5)


def test_values_are_the_same_whatever_the_batch() -> None:
    policy = make_policy()
    together = policy.values(DECISIONS)
    for row, decision in enumerate(DECISIONS):
        torch.testing.assert_close(policy.values([decision])[0], together[row])


def test_the_adapter_is_on_for_acting_and_off_for_the_reference() -> None:
    policy = make_policy()
    before = policy.action_log_probs(DECISIONS).detach()
    disturb(policy)
    assert not torch.allclose(policy.action_log_probs(DECISIONS).detach(), before)
    assert torch.equal(policy.reference_action_log_probs(DECISIONS), before)
    assert not torch.allclose(policy.action_log_probs(DECISIONS).detach(), before)
    assert all(parameter.requires_grad for parameter in policy.actor_parameters())


def test_a_repeated_decision_costs_nothing_until_a_weight_changes() -> None:
    policy = make_policy()
    fed = fed_tokens(policy)
    with torch.no_grad():
        first = policy.action_log_probs(DECISIONS)
        count = len(fed)
        assert torch.equal(policy.action_log_probs([*DECISIONS, *DECISIONS])[: len(DECISIONS)], first)
        assert len(fed) == count
        policy.values(DECISIONS)
        count = len(fed)
        policy.values(DECISIONS[::-1])
        assert len(fed) == count
        disturb(policy)
        assert not torch.allclose(policy.action_log_probs(DECISIONS), first)
        assert len(fed) > count


@pytest.mark.parametrize("path", ["packed", "masked", "cached", "padded"])
def test_its_effort_is_what_went_through_the_model(path: str) -> None:
    policy = make_policy(path=path)
    fed, before = fed_tokens(policy), policy.effort()
    policy.action_log_probs(DECISIONS).sum().backward()
    with torch.no_grad():
        for _ in range(2):
            policy.action_log_probs(DECISIONS)
            policy.values(DECISIONS)
    effort = {name: count - before[name] for name, count in policy.effort().items()}
    count, prompts = len(DECISIONS), len({decision.prompt for decision in DECISIONS})
    asked = {"decisions": 3 * count, "scored": 2 * count, "prompts": 2 * count, "read": prompts}
    assert effort == {"tokens": sum(fed), **asked}


def test_remembered_and_fresh_probabilities_are_the_same_to_the_last_bit() -> None:
    policy = make_policy()
    disturb(policy)
    with torch.no_grad():
        acted = policy.action_log_probs(DECISIONS)
    for row, decision in enumerate(DECISIONS):
        fresh = policy.action_log_probs([decision])[0]
        assert torch.equal(fresh.detach(), acted[row, : len(decision.actions)])


def test_memory_is_bounded() -> None:
    policy = make_policy(memory_limit=600)
    with torch.no_grad():
        for decision in (*DECISIONS, *DECISIONS):
            policy.action_log_probs([decision])
            policy.values([decision])
            assert 1 <= len(policy._acting) <= 2
            assert 1 <= len(policy._features) <= 2


def test_state_goes_out_and_comes_back() -> None:
    policy, other = make_policy(), make_policy()
    disturb(policy)
    state = policy.state_dict()
    assert all("lora_" in name or name.startswith("critic.") for name in state)
    other.load_state_dict(state)
    assert torch.equal(policy.action_log_probs(DECISIONS), other.action_log_probs(DECISIONS))
    assert torch.equal(policy.values(DECISIONS), other.values(DECISIONS))


@pytest.mark.parametrize("damage", ["missing", "unexpected", "misshapen", "critic"])
def test_a_state_that_is_not_whole_is_refused(damage: str) -> None:
    """PEFT drops what it has no place for, and leaves what is missing as it was, without a word."""
    policy, state = make_policy(), make_policy().state_dict()
    name = next(name for name in state if name.startswith("critic." if damage == "critic" else "adapter."))
    weight = state.pop(name)
    if damage == "unexpected":
        state |= {name: weight, name.replace("layers.0", "layers.7"): weight}
    elif damage == "misshapen":
        state[name] = weight[:1]
    with pytest.raises(RunError, match="the weights of actor and critic are not those of this run: 1 "):
        policy.load_state_dict(state)


def test_the_critic_has_the_published_shape_by_default() -> None:
    shapes = [tuple(parameter.shape) for parameter in Critic(4096).parameters()]
    assert shapes == [(1024, 4096), (512, 1024), (1, 512)]  # no biases


def test_a_policy_without_a_critic_acts_but_does_not_value() -> None:
    policy = LanguageModelPolicy(build_model("llama"), byte_level(bos=False))
    assert policy.action_log_probs(DECISIONS).exp().sum(-1).tolist() == pytest.approx([1] * len(DECISIONS))
    with pytest.raises(ModelError, match="without a critic"):
        policy.values(DECISIONS)


def test_a_damaged_critic_is_refused(tmp_path: Path) -> None:
    policy = make_policy()
    policy.save(tmp_path)
    file = tmp_path / "critic.safetensors"
    file.write_bytes(file.read_bytes()[:40])
    with pytest.raises(RunError, match="cannot read the critic"):
        policy.load_critic(file)


def test_dropout_in_the_adapter_is_refused() -> None:
    with pytest.raises(ConfigError, match="dropout must be 0"):
        add_adapter(build_model("llama"), rank=2, alpha=4, targets=None, dropout=0.1)


def test_layers_that_do_not_exist_are_refused() -> None:
    with pytest.raises(ModelError, match="cannot adapt"):
        add_adapter(build_model("llama"), rank=2, alpha=4, targets=["no_such_layer"])


@pytest.mark.parametrize("normalization", ["sum", "token", "word", "byte"])
def test_every_normalization_gives_a_distribution_with_gradients(normalization: str) -> None:
    policy = make_policy(normalization=normalization)
    log_probs = policy.action_log_probs(DECISIONS)
    assert log_probs.exp().sum(-1).tolist() == pytest.approx([1] * len(DECISIONS))
    log_probs[:, 0].sum().backward()
    gradients = [parameter.grad for parameter in policy.actor_parameters() if parameter.grad is not None]
    assert gradients
    assert all(torch.isfinite(gradient).all() for gradient in gradients)


def test_a_normalization_is_chosen_once() -> None:
    """Set later, it was taken without a word, and nothing was normalised by it."""
    policy = make_policy(normalization="sum")
    with pytest.raises(AttributeError):
        policy.normalization = "word"  # type: ignore[misc]
    assert policy.normalization == "sum"


def test_nothing_that_is_remembered_outlives_another_temperature() -> None:
    """Set between two questions, it counted for decisions alone that had not been asked before."""
    policy, other = make_policy(), make_policy()
    with torch.no_grad():
        plain = policy.action_log_probs(DECISIONS), policy.reference_action_log_probs(DECISIONS)
        policy.temperature = other.temperature = 2.0
        warm = policy.action_log_probs(DECISIONS), policy.reference_action_log_probs(DECISIONS)
        assert torch.equal(warm[0], other.action_log_probs(DECISIONS))
        assert torch.equal(warm[1], other.reference_action_log_probs(DECISIONS))
        for cold, flat in zip(plain, warm, strict=True):
            assert not torch.equal(cold, flat)


def test_hundreds_of_actions() -> None:
    policy = make_policy()
    decision = Decision("You should now", tuple(f"take bowl {number}" for number in range(300)))
    assert policy.action_log_probs([decision]).exp().sum().item() == pytest.approx(1, abs=1e-5)


def test_what_came_again_is_read_together_after_the_weights_changed() -> None:
    policy, plain = make_policy(), make_policy()
    fed = fed_tokens(policy)
    with torch.no_grad():
        for _ in range(2):
            for decision in DECISIONS:
                policy.action_log_probs([decision])
            for other in (policy, plain):
                torch.manual_seed(1)
                disturb(other)
        fed.clear()
        first = policy.action_log_probs(DECISIONS[:1])
        assert first.shape == plain.action_log_probs(DECISIONS[:1]).shape
        passes = len(fed)
        for decision in DECISIONS:
            assert torch.equal(policy.action_log_probs([decision]), plain.action_log_probs([decision]))
        assert len(fed) == passes  # all were read with the first


def test_what_hardly_ever_comes_again_is_not_read_ahead() -> None:
    policy = make_policy()
    fed = fed_tokens(policy)
    with torch.no_grad():
        for decision in DECISIONS[:3]:
            policy.action_log_probs([decision])
            disturb(policy)
        fed.clear()
        policy.action_log_probs(DECISIONS[3:4])
        alone = sum(fed)
        fed.clear()
        policy._acting.clear()
        policy.action_log_probs(DECISIONS[3:4])
        assert sum(fed) == alone


def test_phrases_are_read_by_the_frozen_base_at_their_last_token() -> None:
    policy = make_policy()
    before = policy.action_features(DECISIONS)
    disturb(policy)
    policy._phrases.clear()
    assert torch.equal(policy.action_features(DECISIONS), before)
    assert before.shape[2] == policy.feature_size
    base, tokenizer = build_model("llama"), byte_level(bos=False)
    for row, decision in enumerate(DECISIONS):
        for column, action in enumerate(decision.actions):
            ids = torch.tensor([tokenizer(f"{decision.prompt} {action}")["input_ids"]])
            expected = base(ids, output_hidden_states=True).hidden_states[-1][0, -1]
            torch.testing.assert_close(before[row, column], expected, atol=1e-5, rtol=1e-5)
        assert not before[row, len(decision.actions) :].any()


def test_tokens_are_those_the_probabilities_of_phrases_are_made_of() -> None:
    policy = make_policy(normalization="sum")
    disturb(policy)
    with torch.no_grad():
        log_probs, scores = policy.action_scores(DECISIONS)
        assert torch.equal(log_probs, policy.action_log_probs(DECISIONS))
    phrases = scores.token_log_probs.sum(-1).masked_fill(~scores.action_mask, -torch.inf)
    torch.testing.assert_close(log_probs, torch.log_softmax(phrases, -1))
    first = DECISIONS[0]
    naive = action_token_log_probs(policy.model, byte_level(bos=False), first.prompt, first.actions[0])
    assert scores.token_log_probs[0, 0, : len(naive)].tolist() == pytest.approx(naive, abs=1e-4)


def test_a_step_on_tokens_outdates_what_is_remembered_of_phrases() -> None:
    policy = make_policy()
    optimizer = torch.optim.AdamW(policy.actor_parameters(), lr=0.1, fused=True)
    with torch.no_grad():
        before = policy.action_log_probs(DECISIONS)
    policy.action_scores(DECISIONS)[1].token_log_probs.sum().backward()
    optimizer.step()
    with torch.no_grad():
        assert not torch.equal(before, policy.action_log_probs(DECISIONS))


def test_what_has_begun_is_valued_by_the_frozen_base_at_its_last_token() -> None:
    policy = make_policy()
    decision = DECISIONS[0]
    places = [Place(decision, 1, tokens) for tokens in range(3)]
    with torch.no_grad():
        values = policy.token_values(places)
        assert torch.equal(values[:1], policy.values([decision]))
        disturb(policy)
        assert torch.equal(values, policy.token_values(places))
        encoded, fed = policy.scorer.encode(decision), fed_tokens(policy)
        assert torch.equal(values[2:], policy.token_values(places[2:]))
        assert fed == []  # remembered
        ids = torch.tensor([[*encoded.prompt_ids, *encoded.action_ids[1][:2]]])
        with policy.model.disable_adapter():
            hidden = policy.model.get_base_model().model(ids).last_hidden_state[0, -1]
        assert policy.critic is not None
        torch.testing.assert_close(values[2], policy.critic(hidden), rtol=1e-4, atol=1e-5)
