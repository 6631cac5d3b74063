"""Passages: what a model reads, and which of its tokens are measured."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from twosome.decision import Decision
from twosome.errors import ConfigError, InvalidDecision
from twosome.principles.walking import walk
from twosome.text.guard import GuardedEnv
from twosome.text.tasks import make_task
from twosome.tokens.encoding import Encoder, Tokenizer

LONGEST = 1024
"""Most tokens of a passage, where the model's context allows them."""


@dataclass(frozen=True)
class Passage:
    """Tokens that are read together.

    Attributes:
        ids: Token ids, special ones in front included.
        first: Index of the first token whose prediction is measured, at least 1; so are all that follow.
        unit: Which document or decision it belongs to; units are what intervals are made of.
    """

    ids: tuple[int, ...]
    first: int
    unit: int


def read_documents(file: Path) -> list[str]:
    """The documents of a text file: its lines, without the empty ones.

    Raises:
        ConfigError: If it cannot be read, or has none.
    """
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot read the text {str(file)!r}: {error}; expected UTF-8, a document a line") from None
    documents = [line.strip() for line in lines if line.strip()]
    if not documents:
        raise ConfigError(f"the text {str(file)!r} is empty; expected a document a line")
    return documents


def text_passages(documents: Iterable[str], tokenizer: Tokenizer, context: int | None) -> list[Passage]:
    """Passages in which every token of every document is predicted once, if anything stands before it.

    A document longer than the context, or than :data:`LONGEST`, is cut. Each piece begins with the special tokens that
    the tokenizer puts in front of a text, or with the last token of the piece before it where there are none.
    """
    encoder, longest = Encoder(tokenizer), min(context or LONGEST, LONGEST)
    special = set(tokenizer.all_special_ids)
    passages = []
    for unit, document in enumerate(documents):
        ids = encoder.encode_prompt(document)
        front = next((index for index, token in enumerate(ids) if token not in special), len(ids))
        passages += [Passage(piece, first, unit) for piece, first in _pieces(ids, front, longest) if len(piece) > first]
    return passages


def _pieces(ids: tuple[int, ...], front: int, longest: int) -> Iterator[tuple[tuple[int, ...], int]]:
    """Pieces of at most ``longest`` tokens, each with the index of its first predicted token."""
    if front:
        for start in range(front, len(ids), longest - front):
            yield ids[:front] + ids[start : start + longest - front], front
        return
    for start in range(0, max(1, len(ids) - 1), longest - 1):
        yield ids[start : start + longest], 1


def task_decisions(task: str, environment: Mapping[str, Any], count: int, seed: int = 0) -> list[Decision]:
    """Different decisions of a task, drawn from all that can be reached, or from those of random play.

    Raises:
        ConfigError: If there is no such task.
    """
    with closing(GuardedEnv(make_task(task, **environment), f"the environment of {task}")) as env:
        seen = walk(env, seed=seed).seen
    found: dict[Decision, None] = {}
    for item in seen:
        try:
            found[Decision(item.prompt, item.actions)] = None
        except InvalidDecision:
            continue  # `check-env` tells about those
    decisions = list(found)
    return random.Random(seed).sample(decisions, min(count, len(decisions)))


def prompt_passages(decisions: Iterable[Decision], encoder: Encoder) -> list[Passage]:
    """The prompts of decisions, all tokens after the first."""
    encoded = [encoder.encode(decision).prompt_ids for decision in decisions]
    return [Passage(ids, 1, unit) for unit, ids in enumerate(encoded) if len(ids) > 1]


def action_passages(decisions: Iterable[Decision], encoder: Encoder) -> list[Passage]:
    """Every prompt with each of its actions; only the action's tokens are measured."""
    passages = []
    for unit, decision in enumerate(decisions):
        encoded = encoder.encode(decision)
        passages += [
            Passage(encoded.prompt_ids + action, len(encoded.prompt_ids), unit) for action in encoded.action_ids
        ]
    return passages
