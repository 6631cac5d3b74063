"""Policies to compare with: uniform play, PPO from scratch on the observation vector, SayCan."""

from twosome.baselines.uniform import UniformPolicy
from twosome.baselines.vector import VectorPolicy

__all__ = ["UniformPolicy", "VectorPolicy"]
