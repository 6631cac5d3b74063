"""Parts of a memory, and those that were measured of the program itself; nothing heavy is imported for them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Term:
    """A part of the memory.

    Attributes:
        name: What it is.
        nbytes: How much.
        reason: Where the number comes from.
    """

    name: str
    nbytes: int
    reason: str


@dataclass(frozen=True)
class Program:
    """What was measured in this very process, which is made of the same parts as a training.

    Attributes:
        imported: Resident after everything was imported.
        tokenizer: What the tokenizer added.
        running: What the first readings and gradients of any model add: code that is read in when it is needed.
        drawing: What drawing the curve adds at the end.
    """

    imported: int
    tokenizer: int
    running: int
    drawing: int

    def terms(self) -> list[Term]:
        """As parts of the memory."""
        return [
            Term("interpreter and libraries", self.imported, "measured here, after importing what a training imports"),
            Term("tokenizer", self.tokenizer, "measured here, by reading it"),
            Term("code as it is first run", self.running, "measured here, on a toy model of two layers"),
        ]
