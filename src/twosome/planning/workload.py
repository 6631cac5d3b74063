"""What one update reads: the decisions that play meets, in the passes that they are read in."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice

import torch

from twosome.algorithms.actor import chunks
from twosome.decision import Decision
from twosome.planning.skeleton import Skeleton
from twosome.scorer import context_length
from twosome.settings.config import RunConfig
from twosome.text.tasks import make_vector_task
from twosome.tokens.blocks import Block, build_blocks
from twosome.tokens.encoding import EncodedDecision, Encoder, Tokenizer
from twosome.tokens.packing import build_pack
from twosome.types import Rollout


@dataclass(frozen=True)
class Size:
    """A pass.

    Attributes:
        tokens: Its rows.
        rows: Those whose next token is asked for.
    """

    tokens: int
    rows: int


@dataclass(frozen=True)
class Practice:
    """What a run of ``algorithm: fitted`` does beside reading decisions.

    Attributes:
        updates: Of the run: all of them are in its workload.
        phrases: The passes in which the phrases of new decisions are read.
        actions: Phrases of all decisions met.
        padded: Numbers of phrases, were every decision to have as many as the one with most.
        tried: Phrases that were tried.
        padded_updates: ``padded``, summed over the updates.
        tried_updates: ``tried``, likewise.
        fits: How often the adapter is fitted.
        kept: Decisions of the last fit.
        reading: The blocks of the largest pass without gradient.
    """

    updates: int
    phrases: tuple[Size, ...]
    actions: int
    padded: int
    tried: int
    padded_updates: int
    tried_updates: int
    fits: int
    kept: int
    reading: list[Block] = field(repr=False)


@dataclass(frozen=True)
class Workload:
    """One update, as uniform play has it; all of a run that practises without gradients and is fitted then.

    Attributes:
        decisions: In a rollout, or in the run.
        distinct: Of them.
        words: Distinct tokens in them.
        collecting: The passes in which the distinct decisions are read once.
        critic: Those in which their prompts are read for the critic; none once they are known.
        actor: Those of all actor steps of all epochs, each with its gradient.
        steps: Of the actor's optimizer.
        largest: The blocks of the largest pass with a gradient.
        one: The blocks of one decision.
        row: The blocks of one decision of each environment.
        practice: What a run of ``algorithm: fitted`` does beside; None for others.
    """

    decisions: int
    distinct: int
    words: int
    collecting: tuple[Size, ...]
    critic: tuple[Size, ...]
    actor: tuple[Size, ...]
    steps: int
    largest: list[Block] = field(repr=False)
    one: list[Block] = field(repr=False)
    row: list[Block] = field(repr=False)
    practice: Practice | None = None

    @property
    def updates(self) -> int:
        """How many updates it is of."""
        return 1 if self.practice is None else self.practice.updates

    @property
    def tokens(self) -> int:
        """Rows through the model."""
        phrases = () if self.practice is None else self.practice.phrases
        return sum(size.tokens for size in (*self.collecting, *phrases, *self.critic, *self.actor))


def workload(run: RunConfig, skeleton: Skeleton, tokenizer: Tokenizer) -> Workload:
    """What an update of a run reads, if play is uniform.

    Raises:
        ConfigError: If there is no such task.
        TokenizationError: If its words do not fit the model.
    """
    rows = [list(each.decisions[0]) for each in islice(uniform_play(run), run.rollout_steps)]
    flat = [decision for row in rows for decision in row]
    encoder = encoder_of(run, skeleton, tokenizer)
    encoded = {decision: encoder.encode(decision) for decision in dict.fromkeys(flat)}

    def passes(chosen: Sequence[Decision]) -> list[list[Block]]:
        return skeleton.reader.packs([encoded[decision] for decision in dict.fromkeys(chosen)])

    whole = passes(flat)
    prompts = [block for prompt in encoded.values() for block in build_blocks(EncodedDecision(prompt.prompt_ids, ()))]
    steps = list(_actor_steps(run, len(flat)))
    of_steps = [blocks for chosen in steps for blocks in passes([flat[number] for number in chosen])]
    sizes = [size_of(blocks) for blocks in of_steps]
    largest = of_steps[max(range(len(sizes)), key=lambda number: sizes[number].tokens)]
    critic = in_passes(prompts, skeleton.budget)
    return Workload(
        decisions=len(flat),
        distinct=len(encoded),
        words=len({token for each in encoded.values() for ids in (each.prompt_ids, *each.action_ids) for token in ids}),
        collecting=tuple(map(size_of, whole)),
        critic=critic,
        actor=tuple(sizes * run.ppo.epochs),
        steps=len(steps) * run.ppo.epochs,
        largest=largest,
        one=skeleton.reader.packs([max(encoded.values(), key=length_of)])[0],
        row=max((blocks for row in rows for blocks in passes(row)), key=lambda blocks: sum(map(len, blocks))),
    )


def encoder_of(run: RunConfig, skeleton: Skeleton, tokenizer: Tokenizer) -> Encoder:
    """What puts a run's words into tokens."""
    return Encoder(tokenizer, context_length(skeleton.model), run.long_prompts, "", run.prompting)


def uniform_play(run: RunConfig) -> Iterator[Rollout]:
    """What the environments of a run are at and come to, step by step."""
    from contextlib import closing

    from twosome.baselines.uniform import UniformPolicy
    from twosome.rollout import Collector

    with closing(make_vector_task(run.task, run.num_envs, arguments=run.environment)) as worlds:
        collector = Collector(worlds, run.seed, torch.Generator().manual_seed(run.seed), values=False)
        while True:
            yield collector.collect(UniformPolicy(), 1)[0]


def _actor_steps(run: RunConfig, decisions: int) -> Iterator[list[int]]:
    """The samples of the actor's steps in one epoch."""
    order = torch.randperm(decisions, generator=torch.Generator().manual_seed(run.seed)).tolist()
    return chunks(order, run.ppo.policy_minibatch * run.ppo.accumulation_steps)


def size_of(blocks: Sequence[Block]) -> Size:
    """How large a pass over these blocks is."""
    pack = build_pack(blocks, torch.device("cpu"))
    return Size(pack.ids.numel(), len(pack.rows))


def in_passes(prompts: Sequence[Block], budget: int) -> tuple[Size, ...]:
    """The passes in which prompts are read for their features: no row asks the vocabulary."""
    from twosome.tokens.splitting import savings, split_by_budget

    ordered = sorted(prompts, key=lambda block: block.prompt_ids)
    return tuple(
        Size(size_of([ordered[number] for number in group]).tokens, 0)
        for group in split_by_budget(list(map(len, ordered)), budget, savings(ordered))
    )


def length_of(encoded: EncodedDecision) -> int:
    """Tokens of a decision, were each phrase read by itself."""
    return len(encoded.prompt_ids) + sum(map(len, encoded.action_ids))
