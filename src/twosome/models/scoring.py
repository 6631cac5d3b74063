"""Decisions to :class:`~twosome.types.ActionScores`, exactly, for any Hugging Face causal language model.

Two ways lead there. *Packed* reads every distinct decision once (:mod:`twosome.models.packing`) and needs a model that
uses transformers' attention interface in all of its layers. *Padded* reads one right-padded row per prompt and action
and works for every causal model. Which one a model takes is found out by a numerical probe, never from its name.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterator, Sequence
from typing import Any, Literal

import torch
from torch import Tensor

from twosome.decision import Decision
from twosome.errors import ModelError
from twosome.models.attention import use_block_attention
from twosome.models.encoding import EncodedDecision, Encoder, LongPrompts, Tokenizer
from twosome.models.packing import MULTIPLE, Block, Pack, build_block, build_pack, split_by_budget
from twosome.types import ActionScores

Path = Literal["packed", "padded"]

PROBE_TOLERANCE = {torch.float32: 1e-3, torch.float64: 1e-3, torch.bfloat16: 0.3, torch.float16: 0.1}
"""Nats by which a path may differ from reading one sequence at a time; generous in low precision."""

_CACHED_BLOCKS = 20_000
_CPU_BUDGET = 640  # more leaves the cache and is slower
_GPU_BUDGET = 4096


def score(model: Any, tokenizer: Tokenizer, decisions: Sequence[Decision]) -> ActionScores:
    """Log-probability of every token of every admissible action.

    Differentiable in the model's parameters. Sums are taken in float32 whatever the model's dtype; a decision's scores
    do not depend on the batch, its order, or the tokenizer's padding side.

    Args:
        model: Any Hugging Face causal language model, with or without a PEFT adapter, in eval mode.
        tokenizer: The tokenizer that goes with it.
        decisions: What to score; repeated decisions are computed once.

    Raises:
        TokenizationError: If the tokenizer merges a prompt with an action, or a sentence is too long for the model.
        ModelError: If the model cannot be scored exactly.
    """
    return Scorer(model, tokenizer, _known_path(model)).scores(decisions)


class Scorer:
    """Scores decisions with one model and tokenizer.

    Args:
        model: Any Hugging Face causal language model.
        tokenizer: Its tokenizer.
        path: ``"packed"``, ``"padded"``, or None to find out by :func:`choose_path`.
        token_budget: Most tokens in one forward pass, a single longer decision goes alone; None for what suits the
            device.
        long_prompts: What becomes of a prompt that does not fit into the model's context.
    """

    def __init__(
        self,
        model: Any,
        tokenizer: Tokenizer,
        path: Path | None = None,
        token_budget: int | None = None,
        long_prompts: LongPrompts = "refuse",
    ) -> None:
        self.model = model
        self.encoder = Encoder(tokenizer, context_length(model), long_prompts=long_prompts)
        self.path: Path = path or choose_path(model)
        self.token_budget = token_budget or (_CPU_BUDGET if model.device.type == "cpu" else _GPU_BUDGET)
        self._blocks: dict[Decision, Block] = {}

    def scores(self, decisions: Sequence[Decision]) -> ActionScores:
        """Score decisions; see :func:`score`."""
        distinct = list(dict.fromkeys(decisions))
        encoded = [self.encoder.encode(decision) for decision in distinct]
        blocks = [self._block(decision, ids) for decision, ids in zip(distinct, encoded, strict=True)]
        if self.path == "packed":
            log_probs = _packed_log_probs(self.model, blocks, self.token_budget)
        else:
            log_probs = _padded_log_probs(self.model, encoded, self.token_budget)
        scattered, mask = _scatter(blocks, log_probs)
        if len(distinct) < len(decisions):
            row_of = {decision: row for row, decision in enumerate(distinct)}
            rows = torch.tensor([row_of[decision] for decision in decisions], device=scattered.device)
            scattered, mask = scattered[rows], mask[rows]
        return ActionScores(tuple(decisions), scattered, mask)

    def features(self, prompts: Sequence[str]) -> Tensor:
        """Final hidden state at each prompt's last token: float32 [B, H], without gradient.

        The prompt is read alone, so a feature depends on nothing but the prompt and the model.
        """
        blocks = [build_block(EncodedDecision(self.encoder.encode_prompt(prompt), ())) for prompt in prompts]
        with torch.no_grad():
            if self.path == "packed":
                return _packed_features(self.model, blocks, self.token_budget)
            return torch.cat([_lone_feature(self.model, block) for block in blocks])

    def _block(self, decision: Decision, encoded: EncodedDecision) -> Block:
        block = self._blocks.get(decision)
        if block is None:
            if len(self._blocks) >= _CACHED_BLOCKS:
                self._blocks.clear()
            block = self._blocks[decision] = build_block(encoded)
        return block


def context_length(model: Any) -> int | None:
    """The most positions the model was made for, or None if its configuration names no limit."""
    config = model.config.get_text_config()
    limit = getattr(config, "max_position_embeddings", None)
    return int(limit) if isinstance(limit, int) and limit > 0 else None


def choose_path(model: Any) -> Path:
    """The fastest path that agrees with reading one sequence at a time, found by trying.

    Raises:
        ModelError: If no path agrees.
    """
    encoded = _probe_decisions(model)
    blocks = [build_block(ids) for ids in encoded]
    tolerance = PROBE_TOLERANCE.get(model.dtype, 1e-3)
    with torch.no_grad():
        oracle = _one_at_a_time(model, encoded)
        for path in ("packed", "padded"):
            try:
                if path == "packed":
                    found = _packed_log_probs(model, blocks, budget=1_000)
                else:
                    found = _padded_log_probs(model, encoded, budget=1_000)
            except Exception:  # the model does not support the mechanism: any error means "not this path"
                continue
            if torch.isfinite(found).all() and (found - oracle).abs().max() <= tolerance:
                return path
    raise ModelError(
        f"{type(model).__name__} cannot be scored exactly: neither packed nor padded rows agree with reading one "
        f"sequence at a time to {tolerance} nats; is it a causal language model?"
    )


def _probe_decisions(model: Any) -> list[EncodedDecision]:
    """Two made-up decisions of different length whose actions share prefixes."""
    vocabulary = model.config.get_text_config().vocab_size
    ids = [5 + (7919 * i) % max(1, vocabulary - 6) for i in range(40)]
    return [
        EncodedDecision(tuple(ids[:9]), (tuple(ids[9:12]), (ids[9], ids[13]), (ids[14],))),
        EncodedDecision(tuple(ids[15:20]), ((ids[20], ids[21]), (ids[20], ids[21], ids[22], ids[23]))),
    ]


def _one_at_a_time(model: Any, encoded: Sequence[EncodedDecision]) -> Tensor:
    """Scored tokens' log-probabilities [M], one unpadded sequence per prompt and action: slow and beyond doubt."""
    found = []
    for decision in encoded:
        for action in decision.action_ids:
            ids = torch.tensor([decision.prompt_ids + action], device=model.device)
            logits = model(input_ids=ids, use_cache=False).logits[0, len(decision.prompt_ids) - 1 : -1]
            found.append(_target_log_probs(logits, ids[0, len(decision.prompt_ids) :]))
    return torch.cat(found)


def _packed_log_probs(model: Any, blocks: Sequence[Block], budget: int) -> Tensor:
    """Log-probability of every scored token of every block, in order: float32 [M]."""
    found = []
    for members, pack in _packs(model, blocks, budget):
        contexts = [block.context + start for block, (start, _) in zip(members, pack.bounds, strict=False)]
        rows, row_of = torch.unique(torch.cat(contexts), return_inverse=True)
        rows = torch.cat([rows, rows[:1].expand(-len(rows) % MULTIPLE)])
        logits = _read_pack(model, pack, logits_to_keep=rows.to(model.device)).logits[0]
        if len(logits) != len(rows):
            raise ModelError(f"{type(model).__name__} does not select rows by logits_to_keep")
        targets = torch.cat([block.targets for block in members])
        found.append(_target_log_probs(logits, targets.to(logits.device), row_of.to(logits.device)))
    return torch.cat(found)


def _packed_features(model: Any, blocks: Sequence[Block], budget: int) -> Tensor:
    """Final hidden state at the last token of every block: float32 [B, H]."""
    found = []
    for members, pack in _packs(model, blocks, budget):
        lasts = torch.tensor([start + block.last for block, (start, _) in zip(members, pack.bounds, strict=False)])
        hidden = _read_pack(model, pack, logits_to_keep=1, output_hidden_states=True).hidden_states[-1]
        found.append(hidden[0, lasts.to(hidden.device)].float())
    return torch.cat(found)


def _packs(model: Any, blocks: Sequence[Block], budget: int) -> Iterator[tuple[list[Block], Pack]]:
    """The blocks in packs within the budget. A pack may end in a filler that is not among its members."""
    for group in split_by_budget([len(block) for block in blocks], budget):
        members = [blocks[i] for i in group]
        yield members, build_pack(members, model.device)


def _read_pack(model: Any, pack: Pack, **arguments: Any) -> Any:
    """The model's output for a packed row, every layer's attention confined to its blocks.

    Raises:
        ModelError: If some layer read across block bounds: the numbers would be silently wrong.
    """
    with use_block_attention(model):
        output = model(input_ids=pack.ids, position_ids=pack.positions, pack=pack, use_cache=False, **arguments)
    layers = model.config.get_text_config().num_hidden_layers
    if len(pack.readers) != layers:
        raise ModelError(
            f"{type(model).__name__} has {layers} layers, but only {len(pack.readers)} of them let attention be "
            "confined to blocks; score it by padded rows"
        )
    return output


def _padded_log_probs(model: Any, encoded: Sequence[EncodedDecision], budget: int) -> Tensor:
    """The same as :func:`_packed_log_probs` from one right-padded row per prompt and action."""
    pairs = [(decision.prompt_ids, action) for decision in encoded for action in decision.action_ids]
    longest = max(len(prompt) + len(action) for prompt, action in pairs)
    found = []
    for group in split_by_budget([longest] * len(pairs), budget):
        members = [pairs[i] for i in group]
        rows = [prompt + action[:-1] for prompt, action in members]
        width = max(map(len, rows))
        ids = torch.tensor([row + (row[0],) * (width - len(row)) for row in rows], device=model.device)
        lengths = torch.tensor([len(row) for row in rows], device=model.device)
        mask = (torch.arange(width, device=model.device) < lengths[:, None]).long()
        logits = model(input_ids=ids, attention_mask=mask, use_cache=False).logits
        for row, (prompt, action) in enumerate(members):
            span = logits[row, len(prompt) - 1 : len(prompt) - 1 + len(action)]
            found.append(_target_log_probs(span, torch.tensor(action, device=logits.device)))
    return torch.cat(found)


def _lone_feature(model: Any, block: Block) -> Tensor:
    """Final hidden state at the last token of one unpadded prompt: float32 [1, H]."""
    ids = block.ids.unsqueeze(0).to(model.device)
    hidden: Tensor = model(input_ids=ids, use_cache=False, output_hidden_states=True).hidden_states[-1]
    return hidden[:, -1].float()


def _target_log_probs(logits: Tensor, targets: Tensor, row_of: Tensor | None = None) -> Tensor:
    """Log-softmax of ``logits[row_of]`` at ``targets``, in float32: [M]."""
    if row_of is None:
        row_of = torch.arange(len(targets), device=logits.device)
    return torch.log_softmax(logits.float(), dim=-1)[row_of, targets]


def _scatter(blocks: Sequence[Block], log_probs: Tensor) -> tuple[Tensor, Tensor]:
    """Scored tokens [M] to a padded float32 [B, A, K] and its mask."""
    shape = (len(blocks), max(block.shape[0] for block in blocks), max(block.shape[1] for block in blocks))
    rows = torch.cat([torch.full_like(block.action, row) for row, block in enumerate(blocks)])
    actions = torch.cat([block.action for block in blocks])
    offsets = torch.cat([block.offset for block in blocks])
    index = (rows.to(log_probs.device), actions.to(log_probs.device), offsets.to(log_probs.device))
    padded = torch.zeros(shape, device=log_probs.device).index_put(index, log_probs)
    mask = torch.zeros(shape, dtype=torch.bool, device=log_probs.device)
    mask[index] = True
    return padded, mask


_PATHS: weakref.WeakKeyDictionary[Any, Path] = weakref.WeakKeyDictionary()


def _known_path(model: Any) -> Path:
    """The path of a model, remembered from the last call so that the probe runs once."""
    if model not in _PATHS:
        _PATHS[model] = choose_path(model)
    return _PATHS[model]
