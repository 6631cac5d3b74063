"""The fastest way to read decisions with a causal language model: packed rows, every token once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from functools import partial
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from twosome.errors import ModelError
from twosome.scoring.adapters import Adapters
from twosome.scoring.attention import Attention, reading
from twosome.scoring.condition import base_of
from twosome.scoring.economies import Economies
from twosome.scoring.layers import Layers, Stop, recomputed
from twosome.scoring.memory import LIMIT, Memory, recall
from twosome.scoring.reader import PromptIds
from twosome.scoring.tape import Tape
from twosome.scoring.vocabulary import target_log_probs
from twosome.tokens.blocks import Block, Integers, build_blocks
from twosome.tokens.encoding import EncodedDecision
from twosome.tokens.packing import Known, Pack, build_pack
from twosome.tokens.splitting import savings, split_by_budget


class PackedReader:
    """Every token once: prompts and the tries of their actions in packed rows (:mod:`twosome.tokens.packing`).

    Args:
        model: A model all of whose layers use transformers' attention interface.
        token_budget: Most tokens in one pass.
        economies: What may be left out.
        frozen_layers: How many layers, from the bottom, no adapter changes: what they make of a decision is remembered.
        lean: Whether layers keep only their inputs for the backward pass and work out the rest again, and readings of
            several packs, and of large decisions, not even these: then the memory of one pack is enough.
        memory_limit: Bytes that plans, and activations of frozen layers, may each take.
        attention: How a pack attends; ``"sparse"`` has no backward pass on a CPU.
    """

    def __init__(
        self,
        model: Any,
        token_budget: int,
        economies: Economies,
        *,
        frozen_layers: int = 0,
        lean: bool = False,
        memory_limit: int = LIMIT,
        attention: Attention = "segments",
    ) -> None:
        self.model = model
        self.token_budget = token_budget
        self.economies = economies
        self.attention = attention
        self.frozen_layers = frozen_layers
        self.lean = lean
        self._tapes: list[Tape] | None = None
        self.tokens = 0
        self.unheeding: Callable[[], AbstractContextManager[Any]] = torch.inference_mode  # where no gradient is wanted
        self.beginnings: Known | None = None  # what need not be read again, while no weight changes
        self._base = base_of(model)
        self._decoder = self._base.get_decoder()
        self._depth = model.config.get_text_config().num_hidden_layers
        self._layers: Layers | None = None
        self._adapters = Adapters(model)
        self._plans: Memory[EncodedDecision, tuple[Block, ...]] = Memory(memory_limit)
        self._lower: Memory[Block, Tensor] = Memory(memory_limit)

    def keep_products(self) -> None:
        """Let layers keep their inputs and what their matrix products gave, and work out the rest again.

        That holds a third of what autograd would, for a fifth of the time of a backward pass.
        """
        self._tapes = []

    @property
    def held_bytes(self) -> int:
        """What the last reading with a gradient holds for its backward pass, about."""
        return sum(tape.nbytes for tape in self._tapes or ())

    def log_probs(self, encoded: Sequence[EncodedDecision]) -> Tensor:
        """Log-probability of every action token: float32 [M]."""
        if self._tapes:
            self._tapes.clear()
        if torch.is_grad_enabled() or self.frozen_layers:  # what is remembered of frozen layers meets gradients later
            return self._log_probs(encoded)
        with self.unheeding():
            found = self._log_probs(encoded)
        return found.clone()  # a tensor that may meet gradients

    def _log_probs(self, encoded: Sequence[EncodedDecision]) -> Tensor:
        blocks, places = self._blocks(encoded)
        groups = self._groups(blocks)
        lean = self.lean and len(groups) > 1
        reads = [partial(self._pack_log_probs, members) for members, _ in groups]
        found = [recomputed(read) if lean else read() for read in reads]
        order = np.concatenate([places[number] for _, numbers in groups for number in numbers])
        inverse = torch.from_numpy(np.argsort(order)).to(self.model.device)
        return torch.cat(found).index_select(0, inverse)

    def features(self, prompts: Sequence[PromptIds]) -> Tensor:
        """Final hidden state at every prompt's last token: float32 [B, H]."""
        blocks = [block for prompt in prompts for block in build_blocks(EncodedDecision(prompt, ()))]
        found: dict[int, Tensor] = {}
        with self.unheeding():
            for members, numbers in self._groups(blocks):
                pack = self._pack(members)
                hidden = self._hidden(pack)
                found.update(zip(numbers, hidden[pack.lasts].float(), strict=True))
        return torch.stack([found[number] for number in range(len(prompts))]).clone()

    def token_states(self, prompts: Sequence[PromptIds]) -> list[Tensor]:
        """Final hidden state at every token of every prompt: float32 [L, H] each, differentiable."""
        blocks = [block for prompt in prompts for block in self._plan(EncodedDecision(prompt, ()))]
        found: dict[int, Tensor] = {}
        for members, numbers in self._groups(blocks):
            pack = self._pack(members).whole()
            hidden = self._hidden(pack, members)
            for number, rows in zip(numbers, pack.members, strict=True):
                found[number] = hidden[torch.from_numpy(rows).to(hidden.device)].float()
        return [found[number] for number in range(len(blocks))]

    def batches(self, encoded: Sequence[EncodedDecision]) -> list[list[int]]:
        """The decisions, by number, in groups that are best read together."""
        blocks, _ = self._blocks(encoded)
        owner = [number for number, item in enumerate(encoded) for _ in self._plan(item)]
        placed: set[int] = set()
        batches = []
        for _, numbers in self._groups(blocks):
            # A decision of several blocks comes once, with its first.
            members = [each for each in dict.fromkeys(owner[number] for number in numbers) if each not in placed]
            placed.update(members)
            batches += [members] if members else []
        return batches

    def passes(self, encoded: Sequence[EncodedDecision]) -> int:
        """How often the layers are gone through to read these."""
        return len(self._groups(self._blocks(encoded)[0]))

    @property
    def layers(self) -> list[nn.Module]:
        """The model's decoder layers, in order."""
        return self._known_layers.layers

    def describe(self) -> str:
        """The way in a few words."""
        words = ["packed rows"]
        words += ["sparse attention"] if self.attention == "sparse" else []
        words += ["shared prefixes"] if self.economies.share else []
        words += ["wanted rows of the last layer"] if self.economies.trim else []
        words += ["fused vocabulary"] if self.economies.fuse else []
        words += ["distinct tokens of the first layer"] if self.economies.once else []
        words += ["joined adapters"] if self.economies.join and len(self._adapters) else []
        words += [f"{self.frozen_layers} remembered layers"] if self.frozen_layers else []
        return ", ".join(words)

    def watch(self, encoded: Sequence[EncodedDecision]) -> dict[int, int | None]:
        """Read once to learn the model's layers; returns the sliding window of each.

        Raises:
            ModelError: If the model cannot be read in packs, or not with these economies.
        """
        pack = self._pack([block for item in encoded for block in self._plan(item)])
        hidden: list[Tensor] = []
        watching = self._decoder.register_forward_hook(lambda _, __, output: hidden.append(output.last_hidden_state))
        with torch.no_grad(), self._attending(pack), watching:
            reading = self.model if self.economies.fuse else self._decoder
            output = reading(input_ids=pack.ids, position_ids=pack.positions, use_cache=False)
            self._check(pack, self._depth)
            if self.economies.fuse:
                found = self._base.get_output_embeddings()(hidden[0])
                # To the last bits: a soft cap or a scale hardly shows in the probabilities of an untrained model.
                torch.testing.assert_close(found, output.logits, rtol=1e-6, atol=1e-7)
        self.know_layers(pack)
        if self.economies.once:
            self._check_once(pack)
        return dict(pack.readers)

    def know_layers(self, pack: Pack) -> None:
        """Learn the model's layers from a pack that was read."""
        self._layers = Layers(self.model, pack.readers)

    def packs(self, encoded: Sequence[EncodedDecision]) -> list[list[Block]]:
        """What is read of the decisions in each pass."""
        return [members for members, _ in self._groups(self._blocks(encoded)[0])]

    def _check_once(self, pack: Pack) -> None:
        """Refuse to compute the first layer's projections by token if it is given more than that."""
        found: list[Tensor] = []
        with ExitStack() as stack:
            stack.enter_context(torch.no_grad())
            stack.enter_context(self._attending(pack))
            stack.enter_context(self._known_layers.first_inputs(found))
            if self._depth > 1:
                stack.enter_context(suppress(Stop))
                stack.enter_context(self._known_layers.stopping_before(1, []))
            self._decoder(input_ids=pack.ids, position_ids=pack.positions, use_cache=False)
        alike = [
            torch.equal(rows[0].index_select(0, pack.distinct).index_select(0, pack.kind), rows[0]) for rows in found
        ]
        if not alike or not all(alike):
            raise ModelError(f"the first layer of {type(self._base).__name__} is given more than a token's embedding")

    def _plan(self, encoded: EncodedDecision) -> tuple[Block, ...]:
        blocks = self._plans.get(encoded)
        if blocks is None:
            blocks = build_blocks(encoded, self.token_budget)
            self._plans.put(encoded, blocks, sum(block.nbytes for block in blocks))
        return blocks

    def _blocks(self, encoded: Sequence[EncodedDecision]) -> tuple[list[Block], list[Integers]]:
        """The blocks of the decisions, and for each the place of its scored tokens among all."""
        blocks, places, base = [], [], 0
        for item in encoded:
            starts = base + np.cumsum([0, *map(len, item.action_ids)])
            for block in self._plan(item):
                blocks.append(block)
                places.append(starts[block.action] + block.offset)
            base = int(starts[-1])
        return blocks, places

    def _groups(self, blocks: Sequence[Block]) -> list[tuple[list[Block], list[int]]]:
        """The blocks of each pass, and their numbers; prompts that begin alike are neighbours."""
        order = sorted(range(len(blocks)), key=lambda number: blocks[number].prompt_ids)
        ordered = [blocks[number] for number in order]
        saved = savings(ordered) if self.economies.share else None
        return [
            ([ordered[i] for i in group], [order[i] for i in group])
            for group in split_by_budget(list(map(len, ordered)), self.token_budget, saved)
        ]

    def _pack(self, blocks: Sequence[Block]) -> Pack:
        pack = build_pack(blocks, self.model.device, share=self.economies.share, known=self.beginnings)
        self.tokens += pack.ids.numel()
        return pack

    def _pack_log_probs(self, blocks: Sequence[Block]) -> Tensor:
        pack = self._pack(blocks)
        head = self._base.get_output_embeddings() if self.economies.fuse else None
        if type(head) is nn.Linear and not head.weight.requires_grad:
            return target_log_probs(head, self._hidden(pack, blocks), pack.row_of, pack.targets)
        return torch.log_softmax(self._logits(pack).float(), dim=-1)[pack.row_of, pack.targets]

    def _hidden(self, pack: Pack, blocks: Sequence[Block] = ()) -> Tensor:
        """Final hidden states of the wanted rows [R, H]; those of frozen layers are remembered for ``blocks``."""
        # May read other packs, so not while this one is read.
        below = self._below(pack, blocks) if self.frozen_layers and blocks else None
        return self.states(pack, below)

    def states(self, pack: Pack, below: Tensor | None = None) -> Tensor:
        """Final hidden states of a pack's wanted rows [R, H]; from what frozen layers made of it, if that is known."""
        with self._reading(pack) as stack:
            if below is not None:
                stack.enter_context(self._known_layers.starting_at(self.frozen_layers, below))
            hidden = self._decoder(input_ids=pack.ids, position_ids=pack.positions, use_cache=False).last_hidden_state
        self._check(pack, self._depth - (0 if below is None else self.frozen_layers))
        return cast(Tensor, hidden[0].index_select(0, pack.rows))

    def _logits(self, pack: Pack) -> Tensor:
        """Logits of the wanted rows [R, V]."""
        with self._reading(pack):
            output = self.model(
                input_ids=pack.ids, position_ids=pack.positions, use_cache=False, logits_to_keep=pack.rows
            )
        self._check(pack, self._depth)
        if output.logits.shape[1] != len(pack.rows):
            raise ModelError(f"{type(self._base).__name__} does not select rows by logits_to_keep")
        return cast(Tensor, output.logits[0])

    def _below(self, pack: Pack, blocks: Sequence[Block]) -> Tensor:
        """What the frozen layers make of the pack's tokens [1, T, H]."""
        activations = torch.cat(recall(self._lower, blocks, self._read_below))
        places = np.zeros(pack.ids.shape[1], dtype=np.int64)
        start = 0
        for rows in pack.members:
            places[rows] = np.arange(start, start + len(rows))
            start += len(rows)
        return activations.index_select(0, torch.from_numpy(places).to(activations.device)).unsqueeze(0)

    def _read_below(self, blocks: Sequence[Block]) -> list[Tensor]:
        """What the frozen layers make of each block's tokens [L, H]."""
        found: dict[int, Tensor] = {}
        with torch.no_grad():
            for members, numbers in self._groups(blocks):
                pack = self._pack(members)
                inputs: list[Tensor] = []
                with (
                    self._attending(pack),
                    self._known_layers.stopping_before(self.frozen_layers, inputs),
                    suppress(Stop),
                ):
                    self._decoder(input_ids=pack.ids, position_ids=pack.positions, use_cache=False)
                self._check(pack, self.frozen_layers)
                for number, rows in zip(numbers, pack.members, strict=True):
                    found[number] = inputs[0][0][torch.from_numpy(rows).to(self.model.device)]
        return [found[number] for number in range(len(blocks))]

    @contextmanager
    def _reading(self, pack: Pack) -> Iterator[ExitStack]:
        """As :meth:`_confined`; with ``lean``, layers keep only their inputs for the backward pass."""
        with self._confined(pack) as stack:
            if (self.lean or self._tapes is not None) and torch.is_grad_enabled():
                stack.enter_context(self._known_layers.checkpointed(partial(self._confined, pack), self._tapes))
            yield stack

    @contextmanager
    def _confined(self, pack: Pack) -> Iterator[ExitStack]:
        """The model confined to the pack's segments, and its last layer to the wanted rows."""
        with ExitStack() as stack:
            if self.economies.trim:
                stack.enter_context(self._known_layers.last_restricted(pack.rows))
                stack.enter_context(self._attending(pack, self._known_layers.last_attention))
            else:
                stack.enter_context(self._attending(pack))
            if self.economies.join:
                stack.enter_context(self._adapters.joined())
            if self.economies.once:
                stack.enter_context(self._known_layers.first_once(pack.distinct, pack.kind))
            yield stack

    def _attending(self, pack: Pack, last_layer: int | None = None) -> AbstractContextManager[None]:
        """The model confined to the pack's segments."""
        return reading(self._base, pack, last_layer, self.attention)

    @property
    def _known_layers(self) -> Layers:
        if self._layers is None:
            raise ModelError("the model's layers are not known yet; watch() finds them")
        return self._layers

    def _check(self, pack: Pack, layers: int) -> None:
        """Refuse numbers of a reading in which some layer looked across segments."""
        if len(pack.readers) != layers:
            raise ModelError(
                f"{type(self._base).__name__} has {layers} layers to read with, but {len(pack.readers)} of them let "
                "attention be confined to segments"
            )
        pack.remember()
