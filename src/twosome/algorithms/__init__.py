"""Algorithms that improve a policy from a rollout."""
