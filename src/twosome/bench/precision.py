"""How far readings of a model are from the truth on decisions of tasks: ours, and reading one sequence at a time.

The truth is a reading, one sequence at a time, in a higher precision (:mod:`twosome.judging.precision`): between two
readings in one precision nobody can say whose the difference is.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from twosome.bench.play import some
from twosome.decision import Decision
from twosome.errors import ConfigError
from twosome.judging.judging import ROUNDING, SENTENCES_FACTOR, Error
from twosome.judging.precision import HIGHER, raised
from twosome.judging.probes import alone
from twosome.scorer import Scorer
from twosome.tokens.encoding import EncodedDecision

Progress = Callable[[str], None]

_TOGETHER = 16
"""Sequences of the truth that are read before the next word of progress; those of one length are read at once."""


@dataclass(frozen=True)
class Errors:
    """How far two readings in one precision are from the truth, in nats per token.

    Attributes:
        decisions: How many decisions ours read, whole.
        actions: How many of their actions were read alone, too.
        tokens: Tokens of those actions, which the errors are of.
        alone: Of reading one sequence at a time.
        ours: Of ours.
        apart: Largest difference between the two.
    """

    decisions: int
    actions: int
    tokens: int
    alone: Error
    ours: Error
    apart: float

    @property
    def ratios(self) -> tuple[float, float]:
        """Ours by alone's: of the largest errors, and of the means."""
        return self.ours.largest / self.alone.largest, self.ours.mean / self.alone.mean

    def problem(self, dtype: torch.dtype) -> str:
        """What is wrong with ours, in words; empty if it errs no more than a way of reading may."""
        floor = ROUNDING.get(dtype, 0.0)
        for its, best in ((self.ours.largest, self.alone.largest), (self.ours.mean, self.alone.mean)):
            if not its <= SENTENCES_FACTOR * best + floor:
                return f"log-probabilities err by {self.ours} nats, read alone by {self.alone}"
        return ""

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        largest, mean = self.ratios
        return {**asdict(self), "ratio": {"largest": largest, "mean": mean}}


class Comparison:
    """Three readings of sampled actions of decisions: the truth, one at a time, and ours.

    Args:
        scorer: Ours.
        decisions: Distinct decisions.
        actions: Actions that are sampled of each.
        seed: Of the sample.
        on_progress: Told how far it is.

    Raises:
        ConfigError: If the model's precision has no higher one.
    """

    def __init__(
        self,
        scorer: Scorer,
        decisions: Sequence[Decision],
        actions: int,
        seed: int = 0,
        on_progress: Progress = lambda words: None,
    ) -> None:
        if scorer.model.dtype not in HIGHER:
            raise ConfigError(f"the model is in {scorer.model.dtype}, above which no precision is known")
        rng = random.Random(seed)
        self.decisions = decisions
        self._scorer, self._on_progress = scorer, on_progress
        self._encoded = [scorer.encode(decision) for decision in decisions]
        self._chosen = [
            sorted(rng.sample(range(len(item.action_ids)), min(actions, len(item.action_ids))))
            for item in self._encoded
        ]
        self._numbers = [number for number, chosen in enumerate(self._chosen) for _ in chosen]
        self._alone = [
            EncodedDecision(item.prompt_ids, (item.action_ids[action],))
            for item, chosen in zip(self._encoded, self._chosen, strict=True)
            for action in chosen
        ]
        self._read()

    def _read(self) -> None:
        with torch.no_grad():
            self.ours = self._ours()
            self.single = self._by_length("alone", side_by_side=False)
            model = self._scorer.model
            with raised(model, HIGHER[model.dtype]):
                self.truth = self._by_length("the truth", side_by_side=True)

    def errors(self, decisions: Sequence[Decision] | None = None) -> Errors:
        """Of all, or of those decisions."""
        wanted = None if decisions is None else set(decisions)
        chosen = [n for n, number in enumerate(self._numbers) if wanted is None or self.decisions[number] in wanted]
        truth, single, ours = (torch.cat([found[n] for n in chosen]) for found in (self.truth, self.single, self.ours))
        return Errors(
            decisions=len({self._numbers[n] for n in chosen}),
            actions=len(chosen),
            tokens=len(truth),
            alone=_error(single - truth),
            ours=_error(ours - truth),
            apart=float((ours - single).abs().max()),
        )

    def ratio(self) -> float:
        """How far log-probabilities move when the same decisions come in other company: 0 where ratios are 1."""
        order = list(range(len(self._encoded)))
        random.Random(1).shuffle(order)
        with torch.no_grad():
            here = self._scorer.reader.log_probs(self._encoded)
            there = self._scorer.reader.log_probs([self._encoded[number] for number in order])
        parts = dict(zip(order, _parted(there, [_tokens(self._encoded[number]) for number in order]), strict=True))
        return float((here - torch.cat([parts[number] for number in range(len(parts))])).abs().max())

    def _ours(self) -> list[Tensor]:
        """Decisions read whole, as they are while acting; of each sampled action its tokens."""
        self._on_progress(f"ours: {len(self._encoded)} decisions")
        found = self._scorer.reader.log_probs(self._encoded).cpu().double()
        parts = []
        whole = _parted(found, [_tokens(item) for item in self._encoded])
        for item, chosen, its in zip(self._encoded, self._chosen, whole, strict=True):
            actions = _parted(its, [len(action) for action in item.action_ids])
            parts += [actions[action] for action in chosen]
        return parts

    def _by_length(self, what: str, *, side_by_side: bool) -> list[Tensor]:
        """Every sampled action read without company of its decision's others."""
        order = sorted(range(len(self._alone)), key=lambda n: _length(self._alone[n]))
        found: dict[int, Tensor] = {}
        for start in range(0, len(order), _TOGETHER):
            self._on_progress(f"{what}: sequence {start + 1} of {len(order)}")
            numbers = order[start : start + _TOGETHER]
            items = [self._alone[number] for number in numbers]
            read = alone(self._scorer.model, items, side_by_side=side_by_side)
            found.update(zip(numbers, _parted(read, [_tokens(item) for item in items]), strict=True))
        return [found[number] for number in range(len(order))]


def decisions_of(tasks: Sequence[str], count: int, seed: int) -> dict[str, list[Decision]]:
    """About ``count`` decisions, as many of each task, that uniform play meets."""
    shares = [count // len(tasks) + (number < count % len(tasks)) for number in range(len(tasks))]
    return {task: some(task, share, seed) for task, share in zip(tasks, shares, strict=True) if share}


def by_task(comparison: Comparison, decisions: Mapping[str, Sequence[Decision]]) -> dict[str, Errors]:
    """The errors on each task's decisions, and on all of them as ``all``."""
    each = {task: comparison.errors(its) for task, its in decisions.items()}
    return each if len(each) == 1 else {**each, "all": comparison.errors()}


def _error(difference: Tensor) -> Error:
    return Error(float(difference.abs().max()), float(difference.abs().mean()))


def _parted(tokens: Tensor, lengths: Sequence[int]) -> tuple[Tensor, ...]:
    """Parts of those lengths, in order."""
    return torch.split(tokens, list(lengths))


def _tokens(item: EncodedDecision) -> int:
    return sum(map(len, item.action_ids))


def _length(item: EncodedDecision) -> int:
    return len(item.prompt_ids) + _tokens(item)
