"""What acting read serves the first step of an update, as long as the weights are what they were."""

from __future__ import annotations

import torch
from torch import Tensor

from tests.models.test_policy import disturb, fed_tokens, make_policy
from tests.scoring.oracle import DECISIONS
from twosome import Decision
from twosome.models.policy import LanguageModelPolicy
from twosome.scoring.kept import Visited


def gradient(policy: LanguageModelPolicy, decisions: list[Decision]) -> tuple[list[Tensor], list[Tensor]]:
    """Log-probabilities and the gradient of some sum of them, group by group, as an update asks for it."""
    found = {}
    for group in policy.batches(decisions):
        log_probs = policy.action_log_probs(group)
        found |= {decision: row[: len(decision.actions)] for decision, row in zip(group, log_probs, strict=True)}
    total = torch.stack([found[decision].square().sum() for decision in decisions]).sum()
    total.backward()
    gradients = [p.grad.clone() for p in policy.actor_parameters() if p.grad is not None]
    for parameter in policy.actor_parameters():
        parameter.grad = None
    return [found[decision].detach() for decision in decisions], gradients


def acting(policy: LanguageModelPolicy) -> None:
    """Decisions met one after the other, some together."""
    with torch.no_grad():
        policy.action_log_probs(DECISIONS[:1])
        policy.action_log_probs(DECISIONS)


def test_the_first_step_reads_nothing_and_has_the_same_numbers() -> None:
    torch.set_num_threads(1)
    policy, plain = make_policy(keep_readings=True), make_policy()
    for each in (policy, plain):
        torch.manual_seed(1)
        disturb(each)
    fed = fed_tokens(policy)
    acting(policy)
    read = len(fed)
    decisions = list(dict.fromkeys(DECISIONS))
    found, gradients = gradient(policy, decisions)
    assert len(fed) == read
    expected, expected_gradients = gradient(plain, decisions)
    assert all(map(torch.equal, found, expected))
    for ours, theirs in zip(gradients, expected_gradients, strict=True):
        assert (ours - theirs).norm() <= 1e-5 * theirs.norm()


def test_what_was_kept_serves_once_and_never_other_weights() -> None:
    policy = make_policy(keep_readings=True)
    decisions = list(dict.fromkeys(DECISIONS))
    acting(policy)
    fed = fed_tokens(policy)
    before, _ = gradient(policy, decisions)
    assert not fed
    again, _ = gradient(policy, decisions)
    assert fed
    assert all(map(torch.equal, before, again))
    acting(policy)
    disturb(policy)
    changed, _ = gradient(policy, decisions)
    with torch.no_grad():
        now = policy.action_log_probs(decisions)
    for row, expected in zip(changed, now, strict=True):
        assert torch.equal(row, expected[: len(row)])
    assert not all(map(torch.equal, before, changed))


def test_a_fused_optimizer_is_noticed_between_the_parts_of_a_step() -> None:
    """It changes weights without a trace in their counters."""
    policy = make_policy(keep_readings=True)
    optimizer = torch.optim.AdamW(policy.actor_parameters(), lr=0.1, fused=True)
    with torch.no_grad():
        policy.action_log_probs(DECISIONS[:1])
        policy.action_log_probs(DECISIONS[1:2])
    policy.action_log_probs(DECISIONS[:1])[:, 0].sum().backward()
    optimizer.step()
    stepped = policy.action_log_probs(DECISIONS[1:2]).detach()
    with torch.no_grad():
        assert torch.equal(stepped, policy.action_log_probs(DECISIONS[1:2]))


def test_no_more_is_kept_than_there_is_room_for() -> None:
    policy = make_policy(keep_readings=True, memory_limit=1)
    acting(policy)
    fed = fed_tokens(policy)
    gradient(policy, list(dict.fromkeys(DECISIONS)))
    assert fed  # the first reading filled it, the others were not kept


def test_what_is_likely_to_come_survives_being_written_down() -> None:
    a, b, c = (Decision(name, ("left", "right")) for name in "abc")
    visited, again = Visited(10_000), Visited(10_000)
    visited.add([a, b])
    visited.turn()
    visited.add([b, a, c])
    again.load_state_dict(visited.state_dict())
    assert visited.turn() == again.turn() == [b, a, c]


def test_after_the_first_rollout_there_is_only_hope() -> None:
    a, b = (Decision(name, ("left", "right")) for name in "ab")
    for hopeful, expected in ((False, []), (True, [a])):
        visited = Visited(10_000)
        visited.add([a])
        assert visited.turn(hopeful) == expected
        visited.add([b])
        assert visited.turn(hopeful) == []  # it did not come again
