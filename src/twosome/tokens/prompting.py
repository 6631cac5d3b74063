"""How a decision becomes the text that a model reads: as it is, or as a turn of a conversation.

Nothing here imports torch, so that a mistyped setting answers at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

from twosome.errors import ConfigError

Joiner = Literal["space", "none"]
Template = Literal["none", "chat"]
JOINERS: dict[Joiner, str] = {"space": " ", "none": ""}
"""What stands between a prompt and a phrase, by the name of the setting."""


@dataclass(frozen=True)
class Prompting:
    """How prompts and phrases are put to the model."""

    template: Template = "none"
    """none: the phrase reads on from the prompt. chat: the prompt is the user's turn of the tokenizer's chat template,
    the phrase the beginning of the reply."""
    system: str | None = None
    """With template chat: the system text; null for what the template writes of itself, "" for no text at all."""
    joiner: Joiner = "space"
    """With template none, what stands between prompt and phrase: space, or none for languages without spaces."""

    def __post_init__(self) -> None:
        if self.system is not None and self.template == "none":
            raise ConfigError(
                f"prompting.system is {self.system[:60]!r}, but prompting.template is none, which has no place for it; "
                "set prompting.template to chat, or leave the system text out"
            )


class Frame(Protocol):
    """What stands around a prompt and in front of a phrase.

    Attributes:
        gap: What stands between a framed prompt and a phrase; white space or nothing.
        begins: Whether the tokenizer is to put its special tokens in front. A chat template writes them itself.
        marks: Texts by which the frame marks whose turn it is; whoever types one of them may end a turn.
        advice: What to do where a tokenizer merges a prompt with a phrase.
    """

    gap: str
    begins: bool
    marks: frozenset[str]
    advice: str

    def framed(self, prompt: str) -> str:
        """All that the model reads before the gap and a phrase."""
        ...


class Plain:
    """The prompt as it is, and the phrase after a space or nothing."""

    begins = True
    marks: frozenset[str] = frozenset()

    def __init__(self, joiner: Joiner = "space") -> None:
        self.gap = JOINERS[joiner]
        self.advice = (
            "end the prompt with a whole word, or use a tokenizer that keeps a space with the word after it"
            if self.gap
            else "end the prompt with another word or a comma, begin the action otherwise, or set prompting.joiner to "
            "space"
        )

    def framed(self, prompt: str) -> str:
        """The prompt."""
        return prompt


PLAIN = Plain()
