"""Values per action, the policy they make, and its fit: on made-up decisions and a policy without a language model."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import replace
from functools import cache
from itertools import pairwise
from typing import Any

import pytest
import torch

from tests.algorithms.test_ppo import make_rollout
from tests.table_policy import TablePolicy
from twosome import Decision
from twosome.algorithms import ALGORITHMS, make_algorithm
from twosome.algorithms.action_values import ActionValues, Heads
from twosome.algorithms.config import FittedConfig, PPOConfig
from twosome.algorithms.experience import Experience
from twosome.algorithms.fitted import Fitted
from twosome.algorithms.fitting import fit
from twosome.baselines.vector import VectorPolicy
from twosome.errors import ConfigError, NumericalError
from twosome.functional.categorical import kl_divergence
from twosome.types import ActingAlgorithm

A, B, C = (Decision(f"state {name}", ("left", "right")) for name in "ABC")
END = Decision("the end", ("rest",))


class Reading(TablePolicy):
    """A table of logits, and features that tell every action of every decision from all others."""

    feature_size = 16

    def action_features(self, decisions: Sequence[Decision]) -> torch.Tensor:
        features = torch.zeros(len(decisions), max(len(each.actions) for each in decisions), self.feature_size)
        for row, decision in enumerate(decisions):
            for column, action in enumerate(decision.actions):
                features[row, column] = _numbers(sum(map(ord, decision.prompt)) * 1000 + sum(map(ord, action)))
        return features

    def prompt_change(self, decisions: Sequence[Decision]) -> torch.Tensor:
        """As if the logits were what is made of the prompts' words."""
        return self.logits[self._index(decisions)].square().sum(-1)


@cache
def _numbers(seed: int) -> torch.Tensor:
    return torch.randn(16, generator=torch.Generator().manual_seed(seed))


def make_fitted(policy: Any, **settings: Any) -> Fitted:
    torch.manual_seed(0)
    ppo = PPOConfig(gamma=settings.pop("gamma", 0.99))
    return Fitted(policy, replace(FittedConfig(exploration=0.0), **settings), ppo, torch.Generator().manual_seed(0))


def episode(*taken: tuple[Decision, int, float], **changes: Any) -> dict[str, Any]:
    """The fields of a rollout that is one episode of one environment."""
    decisions = tuple((decision,) for decision, _, _ in taken)
    terminated = torch.zeros(len(taken), 1, dtype=torch.bool)
    terminated[-1] = True
    fields = {
        "decisions": decisions,
        "followed": (*decisions[1:], (END,)),
        "actions": torch.tensor([[action] for _, action, _ in taken]),
        "rewards": torch.tensor([[reward] for _, _, reward in taken]),
        "terminated": terminated,
        "episodes": torch.zeros(len(taken), 1, dtype=torch.int64),
    }
    return {**fields, **changes}


def alone(*taken: tuple[Decision, int, float]) -> dict[str, Any]:
    """The fields of a rollout in which every decision is an episode."""
    count = len(taken)
    episodes, ends = torch.arange(count).unsqueeze(-1), torch.ones(count, 1, dtype=torch.bool)
    return episode(*taken, episodes=episodes, terminated=ends, followed=((END,),) * count)


def update(fitted: Fitted, policy: Any, **fields: Any) -> dict[str, float]:
    rollout = make_rollout(fitted.acting(policy), len(fields["decisions"]), **fields)
    return fitted.update(policy, rollout, 0.0).metrics


def test_it_is_an_algorithm_by_name_that_acts_with_something_else() -> None:
    made = make_algorithm("fitted", Reading(), [FittedConfig(), PPOConfig()], torch.Generator())
    assert isinstance(made, Fitted)
    assert isinstance(made, ActingAlgorithm)
    assert not isinstance(make_algorithm("ppo", Reading(), [PPOConfig()], torch.Generator()), ActingAlgorithm)
    assert set(ALGORITHMS) >= {"ppo", "fitted"}


def test_before_anything_was_met_it_plays_the_prior_to_the_last_bit() -> None:
    policy = Reading()
    fitted = make_fitted(policy)
    assert torch.equal(fitted.acting(policy).action_log_probs([A, B]), policy.reference_action_log_probs([A, B]))


def test_a_prior_that_is_sure_can_be_flattened() -> None:
    """Untrained Gemma sat down with both hands full at 99.3 %, and got up again, until every episode was over."""

    class Sure(Reading):
        def reference_action_log_probs(self, decisions: Sequence[Decision]) -> torch.Tensor:
            return torch.tensor([[0.999, 0.001]]).log().expand(len(decisions), 2)

    policy = Sure()
    found = make_fitted(policy, prior_temperature=3.0).acting(policy).action_log_probs([A]).exp()
    assert found[0, 1].item() == pytest.approx(0.001 ** (1 / 3) / (0.001 ** (1 / 3) + 0.999 ** (1 / 3)), rel=1e-5)
    with pytest.raises(ConfigError, match="prior_temperature"):
        FittedConfig(prior_temperature=0.0)


def test_it_learns_a_bandit_and_writes_it_into_the_policy() -> None:
    policy = Reading()
    fitted = make_fitted(policy, fit_learning_rate=0.1, fit_passes=200, fit_tolerance=1e-4)
    generator = torch.Generator().manual_seed(1)
    for _ in range(10):
        probabilities = fitted.acting(policy).action_log_probs([A]).exp()
        actions = torch.multinomial(probabilities[0], 16, replacement=True, generator=generator).unsqueeze(-1)
        fields = {"decisions": ((A,),) * 16, "followed": ((END,),) * 16, "actions": actions, "rewards": actions.float()}
        update(fitted, policy, **fields)
    acting = fitted.acting(policy).action_log_probs([A])
    assert acting[0, 1].exp() > 0.99
    assert policy.action_log_probs([A])[0, 1].exp().item() == pytest.approx(0.5)  # nothing was written yet
    assert not fitted.write(policy, 0, last=False)
    assert fitted.write(policy, 0, last=True)
    assert kl_divergence(acting, policy.action_log_probs([A])).item() < 0.01


def test_a_time_limit_is_no_end() -> None:
    """B is worth 1; A leads there. Cut before it, the value of B counts; at an end, nothing does."""
    worth = {}
    for name in ("truncated", "terminated"):
        policy = Reading()
        fitted = make_fitted(policy, gamma=0.5)
        update(fitted, policy, **alone((B, 0, 1.0), (B, 1, 1.0)))
        cut = episode((A, 0, 0.0), followed=((B,),), episodes=torch.tensor([[2]]))
        cut |= {
            "terminated": torch.tensor([[name == "terminated"]]),
            "truncated": torch.tensor([[name == "truncated"]]),
        }
        update(fitted, policy, **cut)
        known = fitted.values.known(A)
        assert known is not None
        worth[name] = float(known[0])
    assert worth["terminated"] == 0.0
    assert worth["truncated"] == pytest.approx(0.5)


def test_a_longer_decision_is_discounted_by_its_duration() -> None:
    policy = Reading()
    fitted = make_fitted(policy, gamma=0.5, temperature=1e-6, lowest_temperature=1e-6)
    fields = episode((A, 0, 0.0), (B, 0, 1.0), durations=torch.tensor([[3], [1]]))
    update(fitted, policy, **fields)
    known = fitted.values.known(A)
    assert known is not None
    assert float(known[0]) == pytest.approx(0.5**3)


def test_a_loop_counts_once_an_episode() -> None:
    """One episode fails after doing the same nine times, one succeeds after once: worth half, not a tenth."""
    policy = Reading()
    fitted = make_fitted(policy, gamma=1.0, half_life=None)
    update(fitted, policy, **episode((END, 0, 1.0)))
    update(fitted, policy, **episode(*[(END, 0, 0.0)] * 9, episodes=torch.ones(9, 1, dtype=torch.int64)))
    known = fitted.values.known(END)
    assert known is not None
    assert float(known[0]) == pytest.approx(0.5)


def test_an_old_episode_counts_less() -> None:
    policy = Reading()
    fitted = make_fitted(policy, half_life=1.0)
    update(fitted, policy, **alone((END, 0, 0.0), (END, 0, 0.0), (END, 0, 7.0)))
    known = fitted.values.known(END)
    assert known is not None
    assert float(known[0]) == pytest.approx(4.0)  # (0/4 + 0/2 + 7/1) / (1/4 + 1/2 + 1)


@pytest.mark.parametrize(("visits", "weight", "worth"), [(1, 0.0, 1.0), (1, 3.0, 1 / 4), (4, 3.0, 4 / 7)])
def test_what_the_networks_say_can_count_as_visits(visits: int, weight: float, worth: float) -> None:
    """Returns of 1 where the networks, which never learn here, say 0."""
    policy = Reading()
    fitted = make_fitted(policy, guess_visits=weight, value_learning_rate=0.0)
    update(fitted, policy, **alone(*[(A, 0, 1.0)] * visits))
    known = fitted.values.known(A)
    assert known is not None
    assert known.tolist() == pytest.approx([worth, 0.0])


def test_of_two_heads_the_smaller_counts() -> None:
    torch.manual_seed(0)
    heads = Heads(4, (8,))
    assert torch.equal(heads(torch.randn(3, 4)), torch.zeros(2, 3))  # nothing is known at first
    with torch.no_grad():
        for bias, head in zip((1.0, 2.0), heads.heads, strict=True):
            head[-1].bias.fill_(bias)
    assert torch.equal(heads.smaller(torch.randn(3, 4)), torch.ones(3))
    assert not torch.equal(heads.heads[0][1].weight, heads.heads[1][1].weight)


def test_a_larger_unit_of_returns_changes_no_value() -> None:
    values = ActionValues(4, FittedConfig())
    features = torch.randn(5, 4)
    values.learn(features, torch.arange(5.0), torch.ones(5), 1.0)
    before = values.guessed(features, 1.0)
    values.scale(8.0)
    assert torch.equal(values.guessed(features, 8.0), before)


@pytest.mark.parametrize("size", [1.0, 64.0])
def test_rewards_of_any_size_bend_the_prior_alike(size: float) -> None:
    policy = Reading()
    fitted = make_fitted(policy)
    for _ in range(3):
        update(fitted, policy, **alone((A, 0, 0.0), (A, 1, 1.9 * size)))
    assert fitted.acting(policy).action_log_probs([A])[0, 1].exp() > 0.99


def test_the_limit_on_the_divergence_holds_for_every_decision() -> None:
    policy = Reading()
    fitted = make_fitted(policy, kl_limit=0.05, temperature=0.01)
    update(fitted, policy, **alone((A, 1, 1.0), (B, 0, 1.0), (C, 1, -1.0)))
    found = fitted.acting(policy).action_log_probs([A, B, C])
    divergence = kl_divergence(found, policy.reference_action_log_probs([A, B, C]))
    assert (divergence < 0.05 + 1e-5).all()
    assert divergence.max() > 0.04


def test_what_was_seldom_tried_is_tried_more_with_a_bonus() -> None:
    policy = Reading()
    fitted = make_fitted(policy, bonus=1.0)
    update(fitted, policy, **alone(*[(A, 0, 0.0)] * 8))
    assert fitted.acting(policy).action_log_probs([A])[0, 1].exp() > 0.7
    plain = fitted.policy_of(policy, [A], collecting=False)
    assert plain[0, 1].exp() < 0.7


def test_old_episodes_go_and_so_do_decisions_that_nothing_leads_to() -> None:
    policy = Reading()
    experience = Experience(0.9, limit=10)
    for number, state in enumerate((A, B, C, C, C)):
        fields = episode(*[(state, 0, 0.0)] * 3, episodes=torch.full((3, 1), number))
        experience.add(make_rollout(policy, 3, **fields))
    assert len(experience) == 9
    assert experience.decisions == [C]
    assert experience.number(A) is None
    assert experience.number(C) == 0
    assert experience.counts(2).tolist() == [[9.0, 0.0]]
    kept = experience.episodes()
    assert kept.real.shape == (3, 3)
    assert kept.real.all()


def test_it_goes_on_from_its_state_to_the_same_bits() -> None:
    policy = Reading()
    first, second = make_fitted(policy), make_fitted(policy)
    rounds = [episode((A, 0, 0.0), (B, 1, 1.0)), episode((A, 1, 0.5), (C, 0, 0.25), episodes=torch.ones(2, 1).long())]
    update(first, policy, **rounds[0])
    second.load_state_dict(deepcopy(first.state_dict()))
    for each in (first, second):
        update(each, policy, **rounds[1])
    ask = [A, B, C, END]
    assert torch.equal(*(each.acting(policy).action_log_probs(ask) for each in (first, second)))


def test_a_fit_can_take_smaller_and_smaller_steps() -> None:
    """On a pretrained model 25 passes at one rate left a mean divergence of 0.07 to 0.17 nats, mostly noise."""
    moved: dict[bool, list[float]] = {}
    for anneal in (False, True):
        policy, seen = Reading(), []
        config = FittedConfig(fit_anneal=anneal, fit_learning_rate=0.05, fit_passes=10, fit_tolerance=1e-9)
        targets = {A: torch.tensor([1e-6, 1 - 1e-6]).log()}

        def look(stage: str, policy: Reading = policy, seen: list[float] = seen) -> None:
            seen.append(float(policy.action_log_probs([A])[0, 1]))

        fit(policy, targets, config, PPOConfig(), torch.Generator(), look)
        look("the end")
        moved[anneal] = [later - earlier for earlier, later in pairwise(seen)]
    assert moved[True][0] == pytest.approx(moved[False][0])
    assert moved[True][-1] < 0.2 * moved[False][-1]


def test_a_fit_weighs_what_it_was_asked_for_against_what_it_moves_besides() -> None:
    """It ends where the gradient of the divergence is that of ``fit_keep`` times the change, the other way round."""
    targets = {A: torch.tensor([0.9, 0.1]).log()}
    for keep in (0.0, 0.1, 1.0):
        policy = Reading()
        config = FittedConfig(
            fit_keep=keep, fit_learning_rate=0.01, fit_anneal=True, fit_passes=2000, fit_tolerance=1e-9
        )
        found = fit(policy, targets, config, PPOConfig(max_gradient_norm=10.0), torch.Generator(), lambda _: None)
        odds = policy.logits[0, :2].detach().softmax(-1)
        balance = odds - torch.tensor([0.9, 0.1]) + keep * 2 * policy.logits[0, :2].detach()
        assert balance.abs().max() < 1e-3
        assert found.change == (None if not keep else pytest.approx(float(policy.prompt_change([A])[0]), abs=1e-3))


def test_what_is_kept_has_to_be_told_by_the_policy() -> None:
    class Silent(Reading):
        prompt_change = None

    make_fitted(Silent())
    with pytest.raises(ConfigError, match=r"fitted.fit_keep needs .* Silent does not; .* or fitted.fit_keep to 0"):
        make_fitted(Silent(), fit_keep=1.0)


def test_a_divergence_that_is_no_number_stops_the_fit() -> None:
    policy = Reading()
    fitted = make_fitted(policy)
    update(fitted, policy, **episode((A, 0, 1.0)))
    with torch.no_grad():
        policy.logits.fill_(torch.nan)
    with pytest.raises(NumericalError, match="fit_learning_rate"):
        fitted.write(policy, 0, last=True)


def test_a_policy_that_reads_no_phrases_is_refused() -> None:
    with pytest.raises(ConfigError, match="algorithm=fitted needs a policy that reads phrases"):
        make_fitted(VectorPolicy(4, 2, [8]))


def test_a_fit_that_gets_no_nearer_ends() -> None:
    """At learning rate 0 no pass is better than the first: it ends after as many more as there is patience."""
    passes: list[str] = []
    for patience, expected in ((None, 30), (3, 4)):
        policy = Reading()
        fitted = make_fitted(policy, fit_learning_rate=0.0, fit_patience=patience, fit_tolerance=1e-9)
        update(fitted, policy, **episode((A, 1, 1.0)))
        passes.clear()
        assert fitted.write(policy, 0, last=True, on_stage=passes.append)
        assert len(passes) == expected


def test_without_a_schedule_only_the_last_update_is_fitted() -> None:
    policy = Reading()
    fitted = make_fitted(policy, fit_every=None)
    update(fitted, policy, **episode((A, 1, 1.0)))
    assert not any(fitted.write(policy, number, last=False) for number in (0, 127, 1023))
    assert fitted.write(policy, 5, last=True)
    with pytest.raises(ConfigError, match=r"fitted\.fit_every must be positive, or null for none, got 0"):
        FittedConfig(fit_every=0)
