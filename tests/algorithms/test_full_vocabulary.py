"""POAD and NTPO as published, on a policy whose tokens are made up: what is a sample, and what it is credited."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.algorithms.test_ppo import LEARNS, make_rollout
from tests.table_policy import TablePolicy
from twosome import Decision
from twosome.algorithms.config import FullVocabularyConfig, PPOConfig
from twosome.algorithms.full_vocabulary import FullVocabulary, TokenSamples
from twosome.errors import ConfigError
from twosome.functional.advantages import generalized_advantages
from twosome.functional.averages import Averages
from twosome.functional.categorical import masked_log_softmax
from twosome.types import ActionScores, Place

HERE = Decision("Now you", ("go left", "go right now", "stay"))
PLAIN = replace(LEARNS, gae_lambda=1.0, normalize_advantages="none")


class Telling(TablePolicy):
    """Every word is a token; its log-probability is the phrase's logit, before softmax, shared by its words."""

    def action_scores(self, decisions: Sequence[Decision]) -> tuple[Tensor, ActionScores]:
        lengths = [[len(action.split()) for action in decision.actions] for decision in decisions]
        widest, longest = max(map(len, lengths)), max(map(max, lengths))
        mask = torch.zeros(len(decisions), widest, longest, dtype=torch.bool)
        for row, counts in enumerate(lengths):
            for action, count in enumerate(counts):
                mask[row, action, :count] = True
        each = self.logits[self._index(decisions), :widest] - 2
        tokens = (each / mask.sum(-1).clamp_min(1)).unsqueeze(-1) * mask
        logits = tokens.sum(-1).masked_fill(~mask.any(-1), -torch.inf)
        return masked_log_softmax(logits), ActionScores(tuple(decisions), tokens, mask)

    def token_values(self, places: Sequence[Place]) -> Tensor:
        begun = [
            " ".join((place.decision.prompt, *place.decision.actions[place.action].split()[: place.tokens]))
            for place in places
        ]
        return self.table[self._index([Decision(prompt, ("on",)) for prompt in begun])]

    def value_of(self, begun: str, value: float) -> None:
        with torch.no_grad():
            self.table[self._index([Decision(begun, ("on",))])] = value


def make(policy: Any, credit: Any = "bad", ppo: PPOConfig = PLAIN) -> FullVocabulary:
    return FullVocabulary(policy, FullVocabularyConfig(credit), ppo, torch.Generator().manual_seed(0))


def rollout_of(policy: Telling, **changes: Any) -> Any:
    actions = torch.tensor([[0], [1], [2]])
    rewards = (actions == 1).float()
    return make_rollout(policy, 3, decisions=((HERE,),) * 3, actions=actions, rewards=rewards, **changes)


def samples_of(policy: Telling, credit: Any = "bad", ppo: PPOConfig = PLAIN, **changes: Any) -> TokenSamples:
    found = make(policy, credit, ppo)._samples(policy, rollout_of(policy, **changes), Averages())
    assert isinstance(found, TokenSamples)
    return found


def test_every_token_is_a_sample_with_what_was_there_before_it() -> None:
    policy = Telling()
    policy.value_of("Now you", 0.2)
    policy.value_of("Now you go", 0.4)
    policy.value_of("Now you go right", 0.7)
    samples = samples_of(policy)
    assert samples.places == [
        *(Place(HERE, 0, token) for token in range(2)),
        *(Place(HERE, 1, token) for token in range(3)),
        Place(HERE, 2, 0),
    ]
    assert samples.advantages.tolist() == pytest.approx([-0.2, -0.4, 0.8, 0.6, 0.3, -0.2])
    assert samples.returns.tolist() == pytest.approx([0, 0, 1, 1, 1, 0])
    assert samples.token_log_probs.tolist() == pytest.approx([-1, -1, *[-2 / 3] * 3, -2])


def test_naive_credit_discounts_the_tokens_inside() -> None:
    samples = samples_of(Telling(), "ntpo", replace(PLAIN, gamma=0.9))
    assert samples.advantages.tolist() == pytest.approx([0, 0, 0.81, 0.9, 1, 0])


@pytest.mark.parametrize("seed", range(3))
def test_with_lambda_1_errors_inside_a_phrase_add_up_to_that_of_the_phrase(seed: int) -> None:
    """Bellman backup with action decomposition: the first token's advantage is the phrase's, whatever V is inside."""
    policy = Telling()
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        policy.table.copy_(torch.randn(policy.table.shape, generator=generator))
    ends = torch.tensor([[False], [True], [True]])
    first = policy.token_values([Place(HERE, 0, 0)]).item()
    values, following = torch.full((3, 1), first), torch.randn(3, 1, generator=generator)
    changes = {"terminated": ends, "values": values, "next_values": following}
    samples = samples_of(policy, ppo=replace(PLAIN, gamma=0.9), **changes)
    starts = [sample for sample, place in enumerate(samples.places) if place.tokens == 0]
    rewards, discounts = torch.tensor([[0.0], [1.0], [0.0]]), torch.where(ends, 0.0, 0.9)
    phrases = generalized_advantages(rewards, values, following, discounts, ends, 1.0)
    torch.testing.assert_close(samples.advantages[starts], phrases.flatten())
    naive = samples_of(policy, "ntpo", replace(PLAIN, gamma=0.9), **changes)
    assert (naive.advantages[starts[:2]] - phrases.flatten()[:2]).abs().min() > 1e-3


def test_the_first_ratio_is_exactly_1() -> None:
    policy = Telling()
    with torch.no_grad():
        policy.logits.copy_(torch.randn(policy.logits.shape, generator=torch.Generator().manual_seed(0)))
    report = make(policy, ppo=replace(PLAIN, epochs=1)).update(policy, rollout_of(policy), 0)
    assert report.metrics["approximate_kl"] == 0
    assert report.metrics["tokens_per_decision"] == 2


def test_what_is_optimised_are_tokens_and_not_the_policy_that_acts() -> None:
    """All phrases were paid alike: nothing is to be preferred, and yet every token becomes likelier."""
    policy = Telling()
    rollout = replace(rollout_of(policy), rewards=torch.ones(3, 1))
    _, before = policy.action_scores([HERE])
    make(policy, ppo=replace(PLAIN, entropy_coefficient=0.0, epochs=4, target_kl=None)).update(policy, rollout, 0)
    _, after = policy.action_scores([HERE])
    assert (after.token_log_probs > before.token_log_probs)[before.token_mask].all()


def test_it_goes_on_exactly_after_saving_and_loading() -> None:
    ended = []
    for interrupted in (False, True):
        policy = Telling()
        policy._index([HERE])
        algorithm = make(policy)
        for update in range(4):
            algorithm.update(policy, rollout_of(policy), update / 4)
            if interrupted and update == 1:
                state = algorithm.state_dict()
                algorithm = make(policy)
                algorithm.load_state_dict(state)
        ended.append(policy.state_dict())
    assert all(torch.equal(ended[0][name], ended[1][name]) for name in ended[0])


def test_a_policy_that_reads_no_tokens_is_refused() -> None:
    with pytest.raises(ConfigError, match="algorithm=full_vocabulary needs a policy that reads tokens"):
        make(TablePolicy())
