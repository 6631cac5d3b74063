"""How far an adapter moves what a model makes of the words of prompts."""

from __future__ import annotations

import torch

from tests.models.test_policy import disturb, make_policy
from tests.scoring.oracle import DECISIONS
from tests.tiny import build_model, byte_level
from twosome import Decision
from twosome.models.policy import LanguageModelPolicy
from twosome.scoring.condition import adapter_off


def test_it_is_the_squared_change_of_all_tokens_but_the_last_relative_to_the_base() -> None:
    policy = make_policy()
    assert policy.prompt_change(DECISIONS).tolist() == [0.0] * len(DECISIONS)
    disturb(policy)
    found = policy.prompt_change(DECISIONS)
    for decision, change in zip(DECISIONS, found, strict=True):
        ids = torch.tensor([policy.scorer.encode(decision).prompt_ids])
        now = policy.model(ids, output_hidden_states=True).hidden_states[-1][0, :-1]
        with adapter_off(policy.model):
            base = policy.model(ids, output_hidden_states=True).hidden_states[-1][0, :-1]
        expected = ((now - base).square().sum(-1) / base.square().sum(-1)).mean()
        torch.testing.assert_close(change, expected, atol=1e-6, rtol=1e-3)
    assert float(found.detach().min()) > 0


def test_its_gradient_lowers_it_and_is_the_adapters_alone() -> None:
    policy = make_policy()
    disturb(policy)
    before = policy.prompt_change(DECISIONS).mean()
    before.backward()
    assert all(parameter.grad is None for parameter in policy.critic_parameters())
    with torch.no_grad():
        for parameter in policy.actor_parameters():
            parameter.sub_(1e-2 * parameter.grad)
    assert float(policy.prompt_change(DECISIONS).mean().detach()) < float(before.detach())


def test_what_the_base_makes_of_a_prompt_is_read_once() -> None:
    policy = make_policy()
    policy.prompt_change(DECISIONS)
    read = policy.effort()["tokens"]
    policy.prompt_change(DECISIONS)
    again = policy.effort()["tokens"] - read
    assert 0 < again < read


def test_a_prompt_of_one_token_has_no_words_before_the_last() -> None:
    policy = make_policy()
    disturb(policy)
    change = policy.prompt_change([Decision("x", ("a", "b"))])
    assert len(policy.scorer.encode(Decision("x", ("a", "b"))).prompt_ids) == 1
    assert change.tolist() == [0.0]


def test_where_all_weights_train_the_frozen_copy_is_the_base() -> None:
    torch.manual_seed(0)
    model, frozen = build_model("llama"), build_model("llama")
    frozen.load_state_dict(model.state_dict())
    model.requires_grad_(True)
    frozen.requires_grad_(False)
    policy = LanguageModelPolicy(model, byte_level(bos=False), frozen=frozen)
    assert policy.prompt_change(DECISIONS).tolist() == [0.0] * len(DECISIONS)
    disturb(policy)
    assert float(policy.prompt_change(DECISIONS).detach().min()) > 0
