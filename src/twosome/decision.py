"""The one thing environments and models have in common: a prompt and its admissible action prompts."""

from __future__ import annotations

from dataclasses import dataclass

from twosome.errors import InvalidDecision


@dataclass(frozen=True, slots=True)
class Decision:
    """A moment of choice: a text prompt and the admissible action prompts that may follow it.

    Prompt and action read as one sentence when joined by a single space (:meth:`sentence`). Hashable, so that it can
    key a cache or a lookup-table policy.

    Attributes:
        prompt: What the policy sees; not empty, does not end in white space.
        actions: Admissible action prompts; at least one, no two alike, none empty or padded with white space.

    Raises:
        InvalidDecision: If prompt or actions break these rules.
    """

    prompt: str
    actions: tuple[str, ...]

    def __post_init__(self) -> None:
        if not isinstance(self.prompt, str) or not self.prompt.strip():
            raise InvalidDecision(f"a prompt must be a non-empty text, got {self.prompt!r}")
        if self.prompt != self.prompt.rstrip():
            raise InvalidDecision(
                "a prompt must not end in white space, because the space before the action belongs to the action's "
                f"first token; strip the end of {self.prompt[-30:]!r}"
            )
        if isinstance(self.actions, str) or not isinstance(self.actions, tuple):
            raise InvalidDecision(f"actions must be a tuple of texts, got {type(self.actions).__name__}")
        if not self.actions:
            raise InvalidDecision(f"the action list is empty; give at least one action for {self.prompt[-60:]!r}")
        for action in self.actions:
            if not isinstance(action, str) or not action or action != action.strip():
                raise InvalidDecision(
                    f"an action must be a non-empty text without white space around it, got {action!r}"
                )
        for text in (self.prompt, *self.actions):
            if not _is_unicode(text):
                raise InvalidDecision(
                    f"{text[:60]!r} has half a surrogate pair, which no tokenizer can read; remove it"
                )
        if len(set(self.actions)) != len(self.actions):
            twice = next(a for i, a in enumerate(self.actions) if a in self.actions[:i])
            raise InvalidDecision(f"the action {twice!r} is listed twice; admissible actions must differ")

    def sentence(self, index: int, joiner: str = " ") -> str:
        """Prompt and action ``index`` joined, by one space where the language has spaces."""
        return f"{self.prompt}{joiner}{self.actions[index]}"


def _is_unicode(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
