"""Worlds that nobody here made, by name: what they are called and which extra brings them; the worlds are elsewhere."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Family:
    """Tasks of a world that nobody here made; what follows the colon of their names says which.

    Attributes:
        env_id: The registered text environment; its argument ``game`` is that part of the name.
        title: What the world is called.
        examples: Names.
        extra: Of twosome, with which the world is installed.
        gamma: Discount per primitive step under which returns are reported.
    """

    env_id: str
    title: str
    examples: tuple[str, ...]
    extra: str
    gamma: float = 0.99


FAMILIES: dict[str, Family] = {
    "babyai": Family(
        "twosome/BabyAI-v0",
        "BabyAI and Minigrid",
        ("babyai:GoToRedBall", "babyai:GoToLocal", "BabyAI-PickupLoc-v0", "MiniGrid-Empty-5x5-v0"),
        "babyai",
    ),
    "textworld": Family(
        "twosome/TextWorld-v0",
        "TextWorld",
        ("textworld:custom/2-3-4/0-99", "textworld:cooking/recipe1-go6-open-cook/train/7", "textworld:GAME.z8"),
        "textworld",
    ),
    "scienceworld": Family(
        "twosome/ScienceWorld-v0",
        "ScienceWorld",
        ("scienceworld:find-living-thing/0", "scienceworld:boil/train"),
        "scienceworld",
    ),
    "alfworld": Family("twosome/ALFWorld-v0", "ALFWorld", ("alfworld:own/heat/0", "alfworld:GAME.tw-pddl"), "alfworld"),
}
"""By the part of a name before its colon."""
