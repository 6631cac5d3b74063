"""A decision server as a policy that is not trained: what its probabilities are worth in an environment."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor

from twosome.baselines.untrained import Untrained
from twosome.decision import Decision
from twosome.errors import ConfigError, RemoteError
from twosome.remote.answers import FEWEST_DECIMALS, Answer
from twosome.remote.asking import ask_all
from twosome.remote.settings import ServerSettings
from twosome.remote.store import AnswerStore
from twosome.remote.transport import Transport

PROBE = "A word is drawn from a list, and nobody says how."
PROBE_WORDS = ("river", "lamp", "seven", "green", "window", "north", "paper", "spoon")
"""What is asked to see how many decimals a server shows, before anything depends on it."""


class RemotePolicy(Untrained):
    """Acts by the probabilities that a decision server gives, normalised; its values are zero.

    Every distinct decision is asked once, in this process or an earlier one; a decision of a single option never. A
    probability that the server rounded to zero becomes half its last digit: an action it may still take, but hardly
    ever. How many decimals a server rounds to is a property of the server, not of one answer (1.0 and 0.0 show one
    decimal, and may be .9996 and .0004), so one question more, always the same, is asked about it.

    Args:
        settings: Which server, and how it is asked.
    """

    def __init__(self, settings: ServerSettings) -> None:
        self.settings = settings
        self._probe = Decision(PROBE, PROBE_WORDS[: settings.options])
        self._store = AnswerStore(settings)
        self._transport = Transport(settings)
        self._answers: dict[Decision, Answer] = {}
        self._recalled = 0

    def action_log_probs(self, decisions: Sequence[Decision]) -> Tensor:
        """Float32 [B, A] log-probabilities, ``-inf`` where padded, without gradient.

        Raises:
            ConfigError: If a decision has more options than the server takes.
            RemoteError: If the server cannot be asked, or an answer cannot be used.
        """
        self.foresee(decisions)
        asked = [decision for decision in dict.fromkeys(decisions) if len(decision.actions) > 1]
        if asked and self.settings.decimals is None:
            asked.insert(0, self._probe)
        self._answer(asked)
        table = torch.full((len(decisions), max(len(decision.actions) for decision in decisions)), -torch.inf)
        for row, decision in enumerate(decisions):
            table[row, : len(decision.actions)] = torch.tensor(self._log_probs(decision))
        return table

    def foresee(self, decisions: Iterable[Decision]) -> None:
        """Look at decisions that will be asked, before any is.

        Raises:
            ConfigError: If one has more options than the server takes.
        """
        limit = self.settings.options
        widest = max(decisions, key=lambda decision: len(decision.actions), default=None)
        if widest is not None and len(widest.actions) > limit:
            raise ConfigError(
                f"a decision of this task has {len(widest.actions)} options, and the server takes {limit} "
                f"(--server-options): {widest.prompt[:200]!r}"
            )

    def facts(self) -> dict[str, Any]:
        """What a result must say of it: who answered, to which framing, how exactly, after how many requests."""
        known = [self._answers[decision] for decision in self._answers if decision != self._probe]
        totals = [answer.total for answer in known]
        return {
            **self.settings.framing,
            "answered_by": sorted(self._models()),
            "answers": len(known),
            "from_disk": self._recalled,
            "requests": self._transport.requests,
            "sum": [min(totals), max(totals)] if totals else None,
            "decimals": max((self._decimals(answer) for answer in known), default=None),
            "options": sum(len(answer.probabilities) for answer in known),
            "rounded_to_zero": sum(answer.zeros for answer in known),
            "kept_in": str(self._store.folder),
        }

    def _answer(self, decisions: Sequence[Decision]) -> None:
        """Have the answers to these decisions at hand: those from before, those on the disk, and the others asked."""
        missing = []
        for decision in decisions:
            if decision in self._answers:
                continue
            kept = self._store.recall(decision)
            if kept is None:
                missing.append(decision)
            else:
                self._remember({decision: kept})
                self._recalled += decision != self._probe
        if missing:
            self._remember(ask_all(self._transport, self.settings, self._store, missing))

    def _remember(self, answers: dict[Decision, Answer]) -> None:
        self._answers |= answers
        models = self._models()
        if len(models) > 1:
            raise RemoteError(
                f"answers of several models would be mixed, as the server calls itself {' and '.join(sorted(models))}; "
                f"delete {str(self._store.folder)!r} to ask everything anew"
            )

    def _models(self) -> Counter[str]:
        return Counter(answer.model for answer in self._answers.values() if answer.model is not None)

    def _log_probs(self, decision: Decision) -> list[float]:
        if len(decision.actions) == 1:
            return [0.0]
        answer = self._answers[decision]
        floor = math.log(0.5) - self._decimals(answer) * math.log(10)  # in logarithms, as it may be too small a number
        logs = [math.log(probability) if probability > 0 else floor for probability in answer.probabilities]
        highest = max(logs)
        total = highest + math.log(math.fsum(math.exp(log - highest) for log in logs))
        return [log - total for log in logs]

    def _decimals(self, answer: Answer) -> int:
        """Decimals that an answer was rounded to."""
        if self.settings.decimals is not None:
            return max(self.settings.decimals, answer.decimals)
        probe = self._answers.get(self._probe)
        return max(FEWEST_DECIMALS, answer.decimals, 0 if probe is None else probe.decimals)


def server_policy(server: ServerSettings, *, source: Any, normalization: Any, prompting: Any) -> RemotePolicy:
    """The policy of a decision server.

    Raises:
        ConfigError: If something was said that is the server's own: a source of weights, a normalization, a prompting.
    """
    if source is not None:
        raise ConfigError(f"{str(source)!r} has weights for a model of its own; leave it out, or the decision server")
    if normalization is not None:
        raise ConfigError("a decision server normalises its probabilities itself; leave out --normalization")
    if prompting is not None:
        raise ConfigError(
            "a decision server puts a prompt to its model itself; leave out --template, --system and --joiner "
            "(--server-instruction says what is asked)"
        )
    return RemotePolicy(server)
