"""Gymnasium worlds: symbols in, symbols out; no English, no torch."""

from __future__ import annotations

import gymnasium

WORLDS = {
    "twosome/Overcooked-v0": "twosome.overcooked.environment:OvercookedEnv",
    "twosome/VirtualHome-v0": "twosome.virtualhome.environment:VirtualHomeEnv",
    "twosome/BabyAI-v0": "twosome.worlds.babyai:make",
    "twosome/TextWorld-v0": "twosome.worlds.textworld:make",
    "twosome/ScienceWorld-v0": "twosome.worlds.scienceworld:make",
    "twosome/ALFWorld-v0": "twosome.worlds.alfworld:make",
    "twosome/Elsewhere-v0": "twosome.elsewhere.client:make",
}
"""Our own two, the text environments around other people's, each of which needs an extra, and those on servers."""


def register_environments() -> None:
    """Make this package's worlds known to :func:`gymnasium.make`; calling it again changes nothing.

    Importing twosome calls it. The worlds check order and actions themselves, so Gymnasium's wrappers that
    do so are left out: they cost more than a step. :func:`gymnasium.utils.env_checker.check_env` passes on each world.
    """
    for env_id, entry_point in WORLDS.items():
        if env_id not in gymnasium.registry:
            gymnasium.register(env_id, entry_point, order_enforce=False, disable_env_checker=True)
