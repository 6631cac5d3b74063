"""Aligns a language model with an environment by practice: PPO over the joint probability of admissible phrases.

    from twosome import Decision, score

Importing it registers the environments (``twosome/Overcooked-v0``...) with Gymnasium. What needs torch is imported when
it is first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from twosome.decision import Decision
from twosome.envs import register_environments
from twosome.errors import TwosomeError

if TYPE_CHECKING:
    from twosome.scorer import score
    from twosome.text.environment import Narrator, Option, TextEnv
    from twosome.types import ActionScores

__all__ = ["ActionScores", "Decision", "Narrator", "Option", "TextEnv", "TwosomeError", "score"]

_LAZY = {
    "ActionScores": "twosome.types",
    "Narrator": "twosome.text.environment",
    "Option": "twosome.text.environment",
    "TextEnv": "twosome.text.environment",
    "score": "twosome.scorer",
}


register_environments()


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'twosome' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_LAZY[name]), name)
