"""What a check of a text environment can find."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, NamedTuple

Severity = Literal["error", "warning", "note"]
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "note")

CHECKS = {
    "reads-on": "an action reads on from its prompt",
    "articles": "nouns in actions keep their articles",
    "named": "what an action speaks of is named in its prompt",
    "distinct": "the actions of a decision differ",
    "offered": "a best action is among those offered",
    "told-apart": "situations with different best actions read differently",
    "valid": "every prompt with its actions can be scored",
    "world": "the states that the world shows are those that are played",
    "success": "the world says what success is",
    "repeats": "a seeded episode is the same again, also in another process",
    "api": "Gymnasium's own checks of the environment",
    "tokens": "prompt and actions have tokens of their own",
    "context": "a prompt with its action fits into the model",
    "likely": "the model would say a phrase where it is best",
}
"""Everything that is checked, by name; tokens and context need a tokenizer, likely the model itself."""


class Fault(NamedTuple):
    """One place where something is not as it should be.

    Attributes:
        check: A name of :data:`CHECKS`.
        severity: "error" is against a principle, "warning" deserves a look, "note" is a fact to know.
        message: What is wrong and what to do; the same for all faults of one kind.
        example: The place.
    """

    check: str
    severity: Severity
    message: str
    example: str


@dataclass(frozen=True)
class Finding:
    """All faults of one kind; attributes as in :class:`Fault`, the example being the first place of ``count``."""

    check: str
    severity: Severity
    message: str
    count: int
    example: str


_WORDING = ("reads-on", "articles", "named")


def of_the_world(fault: Fault, *, quotes: str | None, replays: bool) -> Fault:
    """A fault that no adapter can repair as a note: the world's own wording, or its own chance.

    Args:
        fault: Of any kind.
        quotes: Whose words prompts and phrases are, where they are not the narrator's.
        replays: Whether the world says that its episodes follow from seed and actions.
    """
    if quotes is not None and fault.check in _WORDING:
        return fault._replace(
            severity="note", message=f"in the words of {quotes}, which are shown as they are: {fault.message}"
        )
    if not replays and fault.check == "repeats":
        message = f"the world says so itself (replays = False), and runs begin open episodes anew: {fault.message}"
        return fault._replace(severity="note", message=message)
    return fault


def collect(faults: Iterable[Fault]) -> tuple[Finding, ...]:
    """Return one finding for every kind of fault, errors first."""
    kinds: dict[tuple[str, Severity, str], list[str]] = defaultdict(list)
    for fault in faults:
        kinds[fault.check, fault.severity, fault.message].append(fault.example)
    findings = [Finding(*kind, len(examples), examples[0]) for kind, examples in kinds.items()]
    return tuple(sorted(findings, key=lambda finding: SEVERITIES.index(finding.severity)))
