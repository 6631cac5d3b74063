"""Who acts while an algorithm trains: the policy itself, or what the algorithm makes of it."""

from __future__ import annotations

from twosome.types import ActingAlgorithm, Algorithm, OnStage, Policy


def acting_policy(algorithm: Algorithm, policy: Policy) -> Policy:
    """Who collects the next rollout."""
    return algorithm.acting(policy) if isinstance(algorithm, ActingAlgorithm) else policy


def written(algorithm: Algorithm, policy: Policy, update: int, last: bool, on_stage: OnStage) -> bool:
    """Whether ``policy`` plays as what collected the rollout of ``update``: made to do so where that is due."""
    return not isinstance(algorithm, ActingAlgorithm) or algorithm.write(policy, update, last, on_stage)
