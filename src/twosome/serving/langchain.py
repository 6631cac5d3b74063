"""An agent as a decision model of LangChain, in process: ``DecisionModel.load("runs/salad").invoke(...)``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from langchain_core.decisions import BaseDecisionModel, ClassifierResponse
from langchain_core.messages import BaseMessage
from pydantic import ConfigDict, Field

from twosome.deciding.agent import Agent
from twosome.errors import InvalidDecision
from twosome.formats import systemone
from twosome.formats.refusals import Refusal


class DecisionModel(BaseDecisionModel):  # type: ignore[misc]  # of a library that need not be there
    """Answers typed questions as an agent decides, with the probabilities that ``twosome serve`` would send.

    A question is read as the server reads it: the prompt is the state, a space and the instructions, the options of a
    choice are the phrases, and their descriptions are not shown. A message is its text, several are joined by newlines.
    Takes part in whatever LangChain does with a ``Runnable``: ``invoke``, ``ainvoke``, ``batch``, ``|``.

    Attributes:
        agent: Who answers.
        model: What the answers call it.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True)

    agent: Agent = Field(exclude=True, repr=False)
    model: str = "twosome"

    @classmethod
    def load(cls, source: Any = None, *, name: str = "twosome", **settings: Any) -> DecisionModel:
        """The decision model of a run, an adapter or an untrained model.

        Args:
            source: What :meth:`twosome.Agent.load` takes.
            name: What the answers call it.
            settings: The other arguments of :meth:`twosome.Agent.load`.
        """
        return cls(agent=Agent.load(source, **settings), model=name)

    @property
    def _provider(self) -> str:
        return "twosome"

    def _classify(self, state: Any, questions: dict[str, Any]) -> Any:
        """The answers, as LangChain's own type.

        Raises:
            InvalidDecision: If a question breaks a rule of the format, or is about an image.
            TokenizationError: If a prompt is too long, or the tokenizer merges it with a phrase.
        """
        asked = {
            name: dict(each) if isinstance(each, Mapping) else each.model_dump() for name, each in questions.items()
        }
        try:
            read = systemone.read({"state": plain(state), "questions": asked})
        except Refusal as refusal:
            raise InvalidDecision(refusal.message) from None
        judgements = self.agent.judge([question.decision for question in read])
        return ClassifierResponse.model_validate(systemone.write(read, judgements, self.model, self.agent.trained))


def plain(state: Any) -> Any:
    """A state without message objects: text, or what JSON knows.

    A message is its text, and so are several in a row, joined by newlines. Within an object, where it has a name of its
    own, a message is its role and text.

    Raises:
        InvalidDecision: If a message holds anything but text.
    """
    if isinstance(state, BaseMessage):
        return _text(state)
    if _several(state) and state and all(isinstance(entry, BaseMessage) for entry in state):
        return "\n".join(map(_text, state))
    return _within(state)


def _within(value: Any) -> Any:
    if isinstance(value, BaseMessage):
        return {"role": value.type, "content": _text(value)}
    if isinstance(value, Mapping):
        return {name: _within(entry) for name, entry in value.items()}
    return [_within(entry) for entry in value] if _several(value) else value


def _several(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str | bytes)


def _text(message: Any) -> str:
    parts = [message.content] if isinstance(message.content, str) else message.content
    for part in parts:
        if not isinstance(part, str) and part.get("type") != "text":
            raise InvalidDecision(
                f"a message holds a part of type {str(part.get('type'))[:40]!r}; this model reads text only"
            )
    return "\n".join(part if isinstance(part, str) else str(part["text"]) for part in parts)
