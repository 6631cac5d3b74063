"""PPO over words, on a lookup table: where phrases do not part it is PPO, and where they do it learns."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from typing import Any

import pytest
import torch

from tests.algorithms.test_ppo import LEARNS, make_ppo, make_rollout
from tests.table_policy import TablePolicy
from twosome import Decision
from twosome.algorithms.config import PPOConfig, TrieConfig
from twosome.algorithms.trie import Trie
from twosome.evaluation.sampled import evaluate
from twosome.functional.averages import Averages
from twosome.rollout import Collector
from twosome.text.tasks import make_vector_task

NESTED = Decision("Now you", ("go left", "go right", "stay"))


def make_trie(policy: TablePolicy, credit: Any = "bad", ppo: PPOConfig = LEARNS) -> Trie:
    return Trie(policy, TrieConfig(credit), ppo, torch.Generator().manual_seed(0))


def nested(policy: TablePolicy, **changes: Any) -> Any:
    actions = torch.tensor([[0], [1], [2], [1]])
    rewards = (actions == 1).float()
    return make_rollout(policy, 4, decisions=((NESTED,),) * 4, actions=actions, rewards=rewards, **changes)


def test_where_phrases_part_at_once_it_is_ppo() -> None:
    policies = []
    for make in (make_ppo, make_trie):
        policy = TablePolicy()
        algorithm = make(policy)
        for update in range(3):
            algorithm.update(policy, make_rollout(policy), update / 3)
        policies.append(policy)
    torch.testing.assert_close(policies[0].logits, policies[1].logits, rtol=0, atol=1e-5)
    torch.testing.assert_close(policies[0].table, policies[1].table, rtol=0, atol=1e-5)


def test_every_choice_of_a_word_is_a_sample_with_its_own_state_and_value() -> None:
    policy = TablePolicy()
    inner = Decision("Now you go", ("go left", "go right"))
    with torch.no_grad():
        policy.table[policy._index([inner])] = 0.4
    ppo = replace(LEARNS, gae_lambda=1.0, normalize_advantages="none")
    samples = make_trie(policy, ppo=ppo)._samples(policy, nested(policy), Averages())
    assert samples.states == [NESTED, inner, NESTED, inner, NESTED, NESTED, inner]
    assert samples.decisions == [NESTED] * 7
    # Went left: nothing; went right: 1; stayed: nothing. Values are 0 at the prompt and 0.4 after "go".
    assert samples.advantages.tolist() == pytest.approx([0, -0.4, 1, 0.6, 0, 1, 0.6])
    assert samples.returns.tolist() == pytest.approx([0, 0, 1, 1, 0, 1, 1])


def test_naive_credit_discounts_words() -> None:
    policy = TablePolicy()
    ppo = replace(LEARNS, gae_lambda=1.0, gamma=0.9, normalize_advantages="none")
    samples = make_trie(policy, "ntpo", ppo)._samples(policy, nested(policy), Averages())
    assert samples.advantages.tolist() == pytest.approx([0, 0, 0.9, 1, 0, 0.9, 1])


def test_the_first_ratio_is_exactly_1() -> None:
    policy = TablePolicy()
    with torch.no_grad():
        policy.logits.copy_(torch.randn(policy.logits.shape, generator=torch.Generator().manual_seed(0)))
    report = make_trie(policy, ppo=replace(LEARNS, epochs=1)).update(policy, nested(policy), 0)
    assert report.metrics["approximate_kl"] == 0
    assert report.metrics["words"] == 7 / 4


def test_a_word_learns_what_is_known_behind_it() -> None:
    """Right was paid and left was not: "go" is as good as either, and the word after it decides."""
    policy = TablePolicy()
    make_trie(policy, ppo=replace(LEARNS, epochs=6, target_kl=None)).update(policy, nested(policy), 0)
    with torch.no_grad():
        left, right, stay = policy.action_log_probs([NESTED])[0].exp().tolist()
    assert right > 0.4
    assert left < 0.33
    assert stay < 0.33


@pytest.mark.parametrize("credit", ["bad", "ntpo"])
def test_learns_tomato_salad_with_a_lookup_table(credit: Any) -> None:
    policy = TablePolicy()
    updates = 30
    with closing(make_vector_task("tomato-salad", 4)) as envs:
        collector = Collector(envs, seed=0, generator=torch.Generator().manual_seed(0))
        trie = make_trie(policy, credit)
        for update in range(updates):
            rollout, _ = collector.collect(policy, 32)
            trie.update(policy, rollout, update / updates)
    assert evaluate(policy, "tomato-salad", episodes=100).discounted_return.mean > 0.8


def test_it_goes_on_exactly_after_saving_and_loading() -> None:
    def run(interrupted: bool) -> dict[str, torch.Tensor]:
        policy = TablePolicy()
        policy._index([NESTED, Decision("Now you go", ("go left", "go right"))])
        trie = make_trie(policy)
        for update in range(4):
            trie.update(policy, nested(policy), update / 4)
            if interrupted and update == 1:
                state = trie.state_dict()
                trie = make_trie(policy)
                trie.load_state_dict(state)
        return policy.state_dict()

    once, twice = run(interrupted=False), run(interrupted=True)
    assert all(torch.equal(once[name], twice[name]) for name in once)
