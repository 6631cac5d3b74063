"""The macro-action Overcooked kitchen."""

from twosome.envs.overcooked.environment import OvercookedEnv

__all__ = ["OvercookedEnv"]
