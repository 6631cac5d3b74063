"""The macro-action Overcooked kitchen."""

from twosome.overcooked.environment import OvercookedEnv

__all__ = ["OvercookedEnv"]
