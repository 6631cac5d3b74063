"""The lines of a journal: a decision that was answered, and the outcome that was told later.

Each line is a JSON object. ``record`` says what it is:

decision    ``id``, ``time`` (seconds since 1970), ``agent`` (its name), ``model``, ``adapter`` (SHA-256 of its weights,
            or null), ``normalization``, ``temperature``, ``prompt``, ``actions``, ``log_probs`` (of each action under
            the policy that answered, temperature included; null for the probability 0), ``best`` (index of the most
            probable action, which is the ``choice`` of an answer), ``sampled`` (index that the server drew, or null)
outcome     ``decision`` (an id), ``time``, ``action`` (index that was done), ``chosen`` (who chose it: sampled, drawn,
            best or client), ``reward``
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

from twosome.decision import Decision
from twosome.errors import TwosomeError

VERSION = 1
Chosen = Literal["sampled", "drawn", "best", "client"]
"""Who chose what was done: the server drew it, the client drew it from the probabilities, it was the most probable
one, or the client had reasons of its own."""
EXPLORED = ("sampled", "drawn")
"""Those whose probability is the recorded one."""


class NotARecord(TwosomeError, ValueError):
    """A line of a journal that is not what this version writes."""


@dataclass(frozen=True)
class Identity:
    """Which policy answers.

    Attributes:
        model: The base model, by name.
        adapter: SHA-256 of the trained weights, None for an untrained model.
        normalization: How phrases are scored.
        temperature: What logits are divided by.
    """

    model: str
    adapter: str | None
    normalization: str
    temperature: float


@dataclass(frozen=True)
class Recorded:
    """A decision that was answered.

    Attributes:
        id: Its name: that of the request, a colon, and the number of the question.
        time: Seconds since 1970.
        agent: Name of the agent.
        identity: Which policy answered.
        decision: What the model saw.
        log_probs: Of each action, in nats, under the policy that answered; ``-inf`` for the probability 0.
        best: The most probable action.
        sampled: The action that the server drew, None if it drew none.
    """

    id: str
    time: float
    agent: str
    identity: Identity
    decision: Decision
    log_probs: tuple[float, ...]
    best: int
    sampled: int | None = None


@dataclass(frozen=True)
class Outcome:
    """What was done, and what it was worth.

    Attributes:
        decision: Name of the decision.
        time: Seconds since 1970.
        action: What was done.
        chosen: Who chose it.
        reward: What it was worth.
    """

    decision: str
    time: float
    action: int
    chosen: Chosen
    reward: float

    def same(self, other: Outcome) -> bool:
        """Whether both say the same, whenever they were told."""
        return (self.action, self.reward) == (other.action, other.reward)


def adapter_digest(weights: Mapping[str, str]) -> str | None:
    """One SHA-256 for the files of weights whose digests are given by name; None for none."""
    if not weights:
        return None
    lines = "".join(f"{name} {digest}\n" for name, digest in sorted(weights.items()))
    return hashlib.sha256(lines.encode()).hexdigest()


def to_line(record: Recorded | Outcome) -> dict[str, Any]:
    """What a record is written as."""
    if isinstance(record, Outcome):
        return {"record": "outcome", "version": VERSION, **asdict(record)}
    return {
        "record": "decision",
        "version": VERSION,
        "id": record.id,
        "time": record.time,
        "agent": record.agent,
        **asdict(record.identity),
        "prompt": record.decision.prompt,
        "actions": list(record.decision.actions),
        "log_probs": [log_prob if math.isfinite(log_prob) else None for log_prob in record.log_probs],
        "best": record.best,
        "sampled": record.sampled,
    }


def from_line(line: Any) -> Recorded | Outcome:
    """The record that a line holds.

    Raises:
        NotARecord: If it holds none of this version.
    """
    if not isinstance(line, dict) or line.get("record") not in ("decision", "outcome"):
        raise NotARecord("it is neither a decision nor an outcome")
    if line.get("version") != VERSION:
        raise NotARecord(f"its version is {line.get('version')!r}, and this twosome reads {VERSION}")
    try:
        return _outcome(line) if line["record"] == "outcome" else _decision(line)
    except (KeyError, TypeError, ValueError) as error:  # an InvalidDecision is a ValueError
        raise NotARecord(f"{type(error).__name__}: {str(error)[:200]}") from None


def _decision(line: Mapping[str, Any]) -> Recorded:
    decision = Decision(line["prompt"], tuple(line["actions"]))
    log_probs = tuple(-math.inf if number is None else float(number) for number in line["log_probs"])
    total = math.fsum(map(math.exp, log_probs))
    if len(log_probs) != len(decision.actions) or not abs(total - 1) < 1e-6:
        raise ValueError(f"log_probs must be one for each action and sum to 1 as probabilities, not to {total}")
    adapter, sampled = line["adapter"], line["sampled"]
    return Recorded(
        id=_text(line["id"]),
        time=float(line["time"]),
        agent=_text(line["agent"]),
        identity=Identity(
            _text(line["model"]),
            None if adapter is None else _text(adapter),
            _text(line["normalization"]),
            float(line["temperature"]),
        ),
        decision=decision,
        log_probs=log_probs,
        best=_index(line["best"], len(log_probs)),
        sampled=None if sampled is None else _index(sampled, len(log_probs)),
    )


def _outcome(line: Mapping[str, Any]) -> Outcome:
    chosen, reward = line["chosen"], float(line["reward"])
    if chosen not in get_args(Chosen) or not math.isfinite(reward):
        raise ValueError(f"chosen is {chosen!r} and reward {reward}")
    return Outcome(_text(line["decision"]), float(line["time"]), _index(line["action"], None), chosen, reward)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"expected a text, got {value!r}")
    return value


def _index(value: Any, count: int | None) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0 or (count is not None and value >= count):
        raise ValueError(f"expected the number of an action, got {value!r}")
    return value
