"""Decisions as conversations: the prompt is the user's turn and the phrase begins the reply, as the template has it.

A template is a program that comes with a tokenizer. What it does is found out by having transformers run it, in its
sandbox, on a few conversations, and by comparing what comes out; never from a model's name. What would not be the same
text every day, or is no place for a reply, is mended or refused by name.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from twosome.errors import ConfigError, TokenizationError, first_line

Message = dict[str, Any]

DAY = datetime(2024, 7, 26)
"""The date that templates are told which write the date; a template of Llama has it where it is told none."""
_OTHER_DAY = datetime(2031, 11, 9, 13, 5, 7)
_FORMATS = ("%-d", "%-m", *(f"%{letter}" for letter in "dejmUyYbBhaAHIMSpFDTxXcfZzuwGgVW"))
_ASKS_DATE = "strftime_now"
_USER, _REPLY, _SYSTEM = "twosomeuserprobe", "twosomereplyprobe", "twosomesystemprobe"
_TIMES = 5
_MARK = re.compile(r"<\|?/?[^<>\s]{1,40}>|\[/?[A-Z_]{2,24}\]")
_THOUGHT = r"[\w:]*(?:think|thought|reason|reflect|analysis)\w*"
_OPENS = re.compile(rf"[<\[]\|?(?!/|END_)({_THOUGHT})\|?[>\]]", re.IGNORECASE)
_CLOSES = re.compile(rf"[<\[](?:\|?/|\|?END_){_THOUGHT}\|?[>\]]", re.IGNORECASE)


class ChatTemplate:
    """The frame that a tokenizer's chat template puts around a prompt, up to where the reply begins.

    Args:
        tokenizer: A Hugging Face tokenizer with a chat template.
        system: The system text; None for none of ours, ``""`` for none even where the template has its own.

    Raises:
        ConfigError: If there is no template, it cannot be used in this way, or it has no place for the system text.
    """

    begins = False
    advice = "the template lets a reply begin in the middle of a token; use prompting.template none with this model"

    def __init__(self, tokenizer: Any, system: str | None = None) -> None:
        self._tokenizer = tokenizer
        self._system: list[Message] = []
        written = _template_of(tokenizer)
        self._source = _told_date(written, DAY)
        self._parts = self._takes_parts()
        if len({self._render([self._said("user", _USER)]) for _ in range(_TIMES)}) > 1:
            raise ConfigError(
                "the chat template writes something else each time, so no probability would be the same again; use "
                "prompting.template none"
            )
        own = self._own_system_text()
        self._choose_system(system, own)
        self.gap, self._behind = self._place_of_reply()
        self.marks = self._marks()
        self._tell(system, own, written)

    def framed(self, prompt: str) -> str:
        """The conversation up to the reply, without the white space that belongs to a phrase.

        Raises:
            TokenizationError: If the template changes the prompt.
        """
        text = self._render([self._said("user", prompt)])
        if prompt.strip() not in text:
            raise TokenizationError(
                f"the chat template changes the prompt that begins {prompt[:60]!r}: what the model would read ends in "
                f"{text[-60:]!r}; word it otherwise, or use prompting.template none"
            )
        return (text + self._behind).rstrip(" ")

    def _takes_parts(self) -> bool:
        """Whether the template wants what is said as a list of parts, rather than as a text.

        Raises:
            ConfigError: If it takes neither.
        """
        refused: ConfigError | None = None
        for self._parts in (False, True):
            try:
                if _USER in self._render([self._said("user", _USER)]):
                    return self._parts
            except _Unwilling as error:
                refused = refused or error
        raise refused or ConfigError("the chat template leaves out what the user says; use prompting.template none")

    def _said(self, role: str, text: str) -> Message:
        return _message(role, [{"type": "text", "text": text}] if self._parts else text)

    def _render(
        self, messages: Sequence[Message], *, generation: bool = True, system: bool = True, reasoning: bool = False
    ) -> str:
        """What the template makes of messages, behind the system text, without any reasoning it can leave out."""
        try:
            text = self._tokenizer.apply_chat_template(
                [*(self._system if system else ()), *messages],
                chat_template=self._source,
                add_generation_prompt=generation,
                tokenize=False,
                enable_thinking=reasoning,
                thinking=reasoning,
            )
        except Exception as error:  # it is a program, and may raise anything
            raise _Unwilling(error) from None
        return str(text)

    def _own_system_text(self) -> str:
        """What the template writes where a system text would stand; empty if that is nothing."""
        user = self._said("user", _USER)
        without = self._render([user], system=False).partition(_USER)[0]
        try:
            before, found, after = self._render([self._said("system", _SYSTEM), user]).partition(_SYSTEM)
        except _Unwilling:
            return ""
        after = after.partition(_USER)[0]
        if not found or not without.startswith(before) or not without.endswith(after):
            return ""
        return without[len(before) : len(without) - len(after)].strip()

    def _choose_system(self, system: str | None, own: str) -> None:
        """Put the system text in front of every conversation, if there is to be one.

        Raises:
            ConfigError: If the template has no place for it.
        """
        if system is None or (not system and not own):
            return
        self._system = [self._said("system", system)]
        try:
            text = self._render([self._said("user", _USER)])
        except _Unwilling as error:
            raise ConfigError(
                f"prompting.system is {system[:60]!r}, but the chat template takes no system text ({error.said}); "
                "leave it out, or say it in the prompts"
            ) from None
        if not system and own in text:
            raise ConfigError(
                f'prompting.system is "", but the chat template writes its own text all the same: {own[:80]!r}; give '
                "it another text, or null to keep its own"
            )
        if system.strip() not in text:
            raise ConfigError(
                f"prompting.system is {system[:60]!r}, but the chat template leaves it out; do so, too, or say it in "
                "the prompts"
            )

    def _place_of_reply(self) -> tuple[str, str]:
        """What stands between the generation prompt and a phrase, and what else the template writes before a reply.

        Raises:
            ConfigError: If the generation prompt is no place for a reply.
        """
        asked = self._said("user", _USER)
        head = self._render([asked])
        generation = head.rpartition(_USER)[2]
        behind = self._between(head, self._answered(asked), generation)
        if _still_open(generation):
            raise _reasons(generation)
        visible = behind.rstrip(" ")
        space = len(head + behind) - len((head + behind).rstrip(" "))
        return " " * space, visible

    def _between(self, head: str, answered: str | None, generation: str) -> str:
        """What a template writes between its generation prompt and a reply.

        Raises:
            ConfigError: If its own replies do not follow on the generation prompt, and no reasoning was left out.
        """
        if answered is None:
            return ""
        if answered.startswith(head):
            between = answered[len(head) :]
            closed = [name for name in re.findall(r"</([\w:]+)>", between) if f"<{name}>" not in between]
            if any(f"<{name}>" in generation for name in closed):
                raise _reasons(generation)
            return between
        beyond = head[shared_beginning([head, answered]) :].strip()
        if beyond and not re.search(rf"(?:{_CLOSES.pattern})$", beyond, re.IGNORECASE) and not self._can_reason(head):
            raise _reasons(generation)
        return ""

    def _can_reason(self, head: str) -> bool:
        """Whether the template asks for reasoning or leaves it out as it is told."""
        try:
            return self._render([self._said("user", _USER)], reasoning=True) != head
        except _Unwilling:
            return False

    def _answered(self, asked: Message) -> str | None:
        """The conversation with a reply, up to that; None if the template has none."""
        try:
            text = self._render([asked, self._said("assistant", _REPLY)], generation=False)
        except _Unwilling:
            return None
        before, found, _ = text.partition(_REPLY)
        return before if found else None

    def _marks(self) -> frozenset[str]:
        """What marks the turns: added tokens, and what looks like a mark, around what is said."""
        head = self._render([self._said("user", _USER)]).replace(_USER, "\0")
        for message in self._system:
            head = head.replace(_text_of(message), "\0", 1) if _text_of(message) else head
        known = getattr(self._tokenizer, "added_tokens_encoder", {})
        found = {*_MARK.findall(head), *(token for token in known if token.strip() and token in head)}
        # Some mark turns with plain words: "### Response:".
        before, _, behind = head.rpartition("\0")
        lines = [line.strip() for line in [*before.splitlines()[-1:], *behind.splitlines()]]
        return frozenset(
            found | {line for line in lines if len(line) > 2 and not any(mark in line for mark in (*found, "\0"))}
        )

    def _tell(self, system: str | None, own: str, written: str) -> None:
        """Say what the user may not know: a date, a system text, marks in the user's, a beginning that is missing."""
        today = self.framed(_USER)
        self._source = _told_date(written, _OTHER_DAY)
        another = self.framed(_USER)
        self._source = _told_date(written, DAY)
        if today != another:
            warnings.warn(
                "the chat template writes the date, with which every prompt would be another each day; it is told "
                f"{DAY:%d %B %Y} on every day",
                stacklevel=5,
            )
        if own and system is None:
            warnings.warn(
                f"the chat template adds a system text of its own, {own[:120]!r}; prompting.system says another, or "
                '"" for none',
                stacklevel=5,
            )
        for mark in sorted(mark for mark in self.marks if mark in (system or "")):
            warnings.warn(
                f"{mark!r} in prompting.system is what the chat template marks turns with, so it may end its turn; "
                "leave it out unless that is meant",
                stacklevel=5,
            )
        tokens = self._tokenizer("a", add_special_tokens=True)["input_ids"]
        bare = self._tokenizer("a", add_special_tokens=False)["input_ids"]
        front = tokens[: len(tokens) - len(bare)] if list(tokens[len(tokens) - len(bare) :]) == list(bare) else []
        head = self._tokenizer(today, add_special_tokens=False)["input_ids"]
        if front and list(head[: len(front)]) != list(front):
            warnings.warn(
                f"the tokenizer puts {self._tokenizer.decode(front)!r} in front of a text, but its chat template does "
                "not; the template is followed, as transformers does",
                stacklevel=5,
            )


class _Unwilling(ConfigError):
    """The template raised an error of its own."""

    def __init__(self, error: Exception) -> None:
        self.said = first_line(error).rstrip(".")
        super().__init__(
            f"the chat template cannot take a prompt as the user's turn: {self.said}; use prompting.template none"
        )


def shared_beginning(sequences: Sequence[Sequence[Any]]) -> int:
    """How many items all sequences begin with alike."""
    shortest = min(map(len, sequences))
    return next((i for i, items in enumerate(zip(*sequences, strict=False)) if len(set(items)) > 1), shortest)


def has_template(tokenizer: Any) -> bool:
    """Whether a tokenizer has a chat template."""
    return bool(getattr(tokenizer, "chat_template", None))


def _template_of(tokenizer: Any) -> str:
    if not has_template(tokenizer):
        raise ConfigError(
            "prompting.template is chat, but the tokenizer has no chat template; take an instruct model, or set "
            "prompting.template to none"
        )
    try:
        return str(tokenizer.get_chat_template())
    except ValueError as error:  # several, and none of them the default
        raise _Unwilling(error) from None


def _message(role: str, content: Any) -> Message:
    return {"role": role, "content": content}


def _text_of(message: Mapping[str, Any]) -> str:
    content = message["content"]
    return content if isinstance(content, str) else str(content[0]["text"])


def _told_date(source: str, day: datetime) -> str:
    """The template with a date of its own, in place of the clock that transformers gives it.

    A macro of that name, in a line before it, is all that takes.
    """
    if _ASKS_DATE not in source:
        return source
    written = "".join(f" | replace({name!r}, {_written(day, name)!r})" for name in _FORMATS)
    return f"{{%- macro {_ASKS_DATE}(format) -%}}{{{{ format{written} }}}}{{%- endmacro %}}\n{source}"


def _written(day: datetime, name: str) -> str:
    plain = day.strftime(name.replace("-", ""))
    return plain.lstrip("0") if "-" in name else plain


def _still_open(text: str) -> bool:
    """Whether a block of reasoning begins in a text and does not end there."""
    last = [*_OPENS.finditer(text)][-1:]
    return bool(last) and not _CLOSES.search(text, last[0].end())


def _reasons(generation: str) -> ConfigError:
    return ConfigError(
        f"the chat template's generation prompt {generation[-60:]!r} is no place for a reply: it opens a block of "
        "reasoning, or something else comes first, and enable_thinking=False does not change that; take a model that "
        "answers at once, or set prompting.template to none"
    )
