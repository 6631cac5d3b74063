"""What some algorithms ask of a policy beyond probabilities: that a frozen model reads phrases, or their tokens."""

from __future__ import annotations

from twosome.errors import ConfigError
from twosome.types import PhrasePolicy, Policy, PromptPolicy, TokenPolicy


def reading_of(policy: Policy, algorithm: str) -> PhrasePolicy:
    """``policy``, as one that reads phrases.

    Raises:
        ConfigError: If it does not; ``algorithm`` is what asks for it.
    """
    if not isinstance(policy, PhrasePolicy):
        raise ConfigError(
            f"algorithm={algorithm} needs a policy that reads phrases with a frozen model, but {type(policy).__name__} "
            "does not; set policy to language, or algorithm to ppo"
        )
    return policy


def tokens_of(policy: Policy, algorithm: str) -> TokenPolicy:
    """``policy``, as one that knows of tokens.

    Raises:
        ConfigError: If it does not; ``algorithm`` is what asks for it.
    """
    if not isinstance(policy, TokenPolicy):
        raise ConfigError(
            f"algorithm={algorithm} needs a policy that reads tokens, but {type(policy).__name__} does not; set policy "
            "to language, or algorithm to ppo"
        )
    return policy


def prompts_of(policy: Policy) -> PromptPolicy:
    """``policy``, as one that knows what it does to prompts.

    Raises:
        ConfigError: If it does not.
    """
    if not isinstance(policy, PromptPolicy):
        raise ConfigError(
            f"fitted.fit_keep needs a policy that tells what it does to prompts, but {type(policy).__name__} does not; "
            "set policy to language, or fitted.fit_keep to 0"
        )
    return policy
