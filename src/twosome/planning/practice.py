"""What a run of ``algorithm: fitted`` reads: each distinct decision once in practice, and then what it is fitted to.

Uniform play of the whole run says what is met, and how often. A policy that learns comes to others, and
may come to more of them (on food preparation uniform play met 9 decisions, Gemma 12): an estimate, no bound.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Sequence
from itertools import islice

import torch

from twosome.algorithms.actor import chunks
from twosome.decision import Decision
from twosome.planning.skeleton import Skeleton
from twosome.planning.workload import (
    Practice,
    Size,
    Workload,
    encoder_of,
    in_passes,
    length_of,
    size_of,
    uniform_play,
)
from twosome.settings.config import RunConfig
from twosome.tokens.blocks import Block, build_blocks
from twosome.tokens.encoding import EncodedDecision, Tokenizer
from twosome.types import Rollout


def practice(run: RunConfig, skeleton: Skeleton, tokenizer: Tokenizer) -> Workload:
    """What a run reads, if play is uniform.

    Raises:
        ConfigError: If there is no such task.
        TokenizationError: If its words do not fit the model.
    """
    met = _Met(run, skeleton, tokenizer)
    steps = uniform_play(run)
    for update in range(run.updates):
        rollouts = list(islice(steps, run.rollout_steps))
        met.collect(rollouts)
        every = run.fitted.fit_every
        if update + 1 == run.updates or (every is not None and (update + 1) % every == 0):
            met.fit(last=update + 1 == run.updates)
        met.learn(rollouts)
    return met.workload()


class _Met:
    """What was met so far, in which passes it was read, and what it was fitted to."""

    def __init__(self, run: RunConfig, skeleton: Skeleton, tokenizer: Tokenizer) -> None:
        self._run, self._skeleton = run, skeleton
        self._encoder = encoder_of(run, skeleton, tokenizer)
        self._encoded: dict[Decision, EncodedDecision] = {}
        self._taken: deque[tuple[Decision, int]] = deque(maxlen=run.fitted.replay)
        self._readings: list[list[Block]] = []
        self._phrases: list[Size] = []
        self._fitted: list[list[Block]] = []
        self._words: list[Size] = []
        self._steps = self._fits = self._kept = self._padded = self._tried = 0
        self._row: list[Block] = []

    def collect(self, rollouts: Sequence[Rollout]) -> None:
        """Take note of what is read in a rollout, step by step."""
        for each in rollouts:
            row = list(each.decisions[0])
            self._read(row)
            blocks = self._skeleton.reader.packs([self._encoded[decision] for decision in dict.fromkeys(row)])[0]
            self._row = max(self._row, blocks, key=_tokens)

    def learn(self, rollouts: Sequence[Rollout]) -> None:
        """Take note of what was done in a rollout, and of where episodes were cut, whose value counts."""
        for each in rollouts:
            self._taken.extend(zip(each.decisions[0], each.actions[0].tolist(), strict=True))
            ends = zip(each.followed[0], each.terminated[0].tolist(), strict=True)
            self._read([decision for decision, over in ends if not over])
        self._padded += self._widest * len(self._encoded)
        self._tried += len(set(self._taken))

    def fit(self, *, last: bool) -> None:
        """Take note of a fit to what was met often enough before this rollout: all its passes."""
        if not self._taken:
            return
        config, visits = self._run.fitted, Counter(decision for decision, _ in self._taken)
        kept = [each for each, often in visits.items() if often >= config.fit_visits] or list(visits)
        order = torch.randperm(len(kept), generator=torch.Generator().manual_seed(self._run.seed)).tolist()
        steps = list(chunks(order, config.fit_minibatch))
        once = [pack for step in steps for pack in self._packs(kept[number] for number in step)]
        self._fitted += once * config.fit_passes
        if config.fit_keep:
            self._words += [size for step in steps for size in self._prompts(kept[i] for i in step)] * config.fit_passes
        self._steps += len(steps) * config.fit_passes
        self._fits, self._kept = self._fits + 1, len(kept)
        if config.prior == "adapter" and not last:  # which is another one from now on
            self._readings += self._packs(self._encoded)

    def workload(self) -> Workload:
        """All of it."""
        encoded = list(self._encoded.values())
        return Workload(
            decisions=self._run.updates * self._run.decisions_per_update,
            distinct=len(encoded),
            words=len({token for each in encoded for ids in (each.prompt_ids, *each.action_ids) for token in ids}),
            collecting=tuple(map(size_of, self._readings)),
            critic=(),
            actor=(*_sizes(self._fitted), *self._words),
            steps=self._steps,
            largest=max(self._fitted or self._readings, key=_tokens),
            one=self._skeleton.reader.packs([max(encoded, key=length_of)])[0],
            row=self._row,
            practice=Practice(
                updates=self._run.updates,
                phrases=tuple(self._phrases),
                actions=sum(len(each.action_ids) for each in encoded),
                padded=self._widest * len(encoded),
                tried=len(set(self._taken)),
                padded_updates=self._padded,
                tried_updates=self._tried,
                fits=self._fits,
                kept=self._kept,
                reading=max(self._readings, key=_tokens),
            ),
        )

    @property
    def _widest(self) -> int:
        return max(len(each.action_ids) for each in self._encoded.values())

    def _read(self, decisions: Iterable[Decision]) -> None:
        """Read what is new of these: its probabilities, and the features of its phrases."""
        new = [decision for decision in dict.fromkeys(decisions) if decision not in self._encoded]
        if not new:
            return
        self._encoded |= {decision: self._encoder.encode(decision) for decision in new}
        self._readings += self._packs(new)
        sentences = [(*self._encoded[each].prompt_ids, *ids) for each in new for ids in self._encoded[each].action_ids]
        blocks = [block for ids in sentences for block in build_blocks(EncodedDecision(ids, ()))]
        self._phrases += in_passes(blocks, self._skeleton.budget)

    def _prompts(self, decisions: Iterable[Decision]) -> tuple[Size, ...]:
        """The passes in which their prompts are read, for what is made of each word."""
        prompts = dict.fromkeys(self._encoded[decision].prompt_ids for decision in decisions)
        blocks = [block for ids in prompts for block in build_blocks(EncodedDecision(ids, ()))]
        return in_passes(blocks, self._skeleton.budget)

    def _packs(self, decisions: Iterable[Decision]) -> list[list[Block]]:
        return self._skeleton.reader.packs([self._encoded[decision] for decision in decisions])


def _sizes(packs: Sequence[list[Block]]) -> tuple[Size, ...]:
    """Their sizes; those of a pass that comes again are worked out once."""
    known = {id(pack): size_of(pack) for pack in {id(pack): pack for pack in packs}.values()}
    return tuple(known[id(pack)] for pack in packs)


def _tokens(blocks: Sequence[Block]) -> int:
    return sum(map(len, blocks))
