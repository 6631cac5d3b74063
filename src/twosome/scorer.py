"""Decisions to :class:`~twosome.types.ActionScores`, exactly, for any Hugging Face causal language model.

Encode (:mod:`~twosome.tokens.encoding`), plan (:mod:`~twosome.tokens.packing`), read (:mod:`~twosome.scoring.readers`),
and put the numbers where they belong. How a model is read is found out by trying (:mod:`~twosome.judging.probing`).
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from twosome.decision import Decision
from twosome.errors import NumericalError
from twosome.judging.probing import Path, Reading, choose_reader
from twosome.scoring.attention import Attention
from twosome.scoring.condition import check_eval, virtual_tokens
from twosome.scoring.memory import LIMIT, Memory
from twosome.scoring.reader import Reader
from twosome.tokens.encoding import EncodedDecision, Encoder, LongPrompts, Tokenizer, scatter
from twosome.tokens.prompting import Prompting
from twosome.types import ActionScores


def score(
    model: Any, tokenizer: Tokenizer, decisions: Sequence[Decision], *, prompting: Prompting | None = None
) -> ActionScores:
    """Log-probability of every token of every admissible action.

    Differentiable in the model's parameters. Sums are taken in float32 whatever the model's dtype; a decision's scores
    do not depend on the tokenizer's padding side, nor on the batch and its order: to the last bit where a model is read
    in packs on one CPU thread, to rounding where it is a mixture of experts or is read in masked or padded rows.

    Args:
        model: Any Hugging Face causal language model, with or without a PEFT adapter, in eval mode.
        tokenizer: The tokenizer that goes with it.
        decisions: What to score; repeated decisions are computed once.
        prompting: How prompts and phrases are put to the model; None for joined by a space, without a template.

    Raises:
        ConfigError: If the tokenizer's chat template is to be used and cannot be.
        TokenizationError: If the tokenizer merges a prompt with an action, or a sentence is too long for the model.
        ModelError: If the model cannot be scored exactly.
        NumericalError: If what it gives are no numbers.
    """
    return Scorer(model, tokenizer, reader=_known_reader(model, tokenizer), prompting=prompting).scores(decisions)


class Scorer:
    """Scores decisions with one model and tokenizer.

    Args:
        model: Any Hugging Face causal language model.
        tokenizer: Its tokenizer.
        path: ``"packed"``, ``"masked"``, ``"cached"``, ``"padded"``, or None for the fastest that agrees.
        token_budget: Most tokens in one forward pass, a single longer decision goes alone; None for what suits the
            device.
        frozen_layers: How many layers, from the bottom, no adapter changes; what they make of a decision is remembered.
        lean: Save memory in the backward pass by reading again; see :class:`~twosome.scoring.readers.PackedReader`.
        memory_limit: Bytes that each of the memories may take.
        long_prompts: What becomes of a prompt that does not fit into the model's context.
        attention: ``"segments"``, or ``"sparse"`` for a block-sparse kernel on a GPU.
        again: Try how the model is read again, rather than believe what was found out before.
        reader: A reader that was chosen before, in place of all the options.
        prompting: How prompts and phrases are put to the model.
    """

    def __init__(
        self,
        model: Any,
        tokenizer: Tokenizer,
        path: Path | None = None,
        token_budget: int | None = None,
        *,
        frozen_layers: int = 0,
        lean: bool = False,
        memory_limit: int = LIMIT,
        long_prompts: LongPrompts = "refuse",
        attention: Attention = "segments",
        again: bool = False,
        reader: Reader | None = None,
        prompting: Prompting | None = None,
    ) -> None:
        self.model = model
        limit, rows = context_length(model), _rows(model)
        self.encoder = Encoder(tokenizer, limit, long_prompts, context_reason(model), prompting, rows)
        self.reader = reader or choose_reader(
            model,
            self.encoder if prompting is None else Encoder(tokenizer, limit, rows=rows),  # one verdict for all
            Reading(path, token_budget, frozen_layers, lean, memory_limit, attention, again),
        )
        self._encoded: Memory[Decision, EncodedDecision] = Memory(memory_limit)
        self._encoding = threading.Lock()  # a tokenizer refuses a second thread while it is asked

    def scores(self, decisions: Sequence[Decision]) -> ActionScores:
        """Score decisions; see :func:`score`."""
        check_eval(self.model)
        distinct = list(dict.fromkeys(decisions))
        encoded = [self.encode(decision) for decision in distinct]
        found = self.reader.log_probs(encoded)
        if not found.requires_grad:  # a training step looks at its loss
            _check_numbers(found)
        scattered, mask = scatter(encoded, found)
        if len(distinct) < len(decisions):
            row_of = {decision: row for row, decision in enumerate(distinct)}
            rows = torch.tensor([row_of[decision] for decision in decisions], device=scattered.device)
            scattered, mask = scattered[rows], mask[rows]
        return ActionScores(tuple(decisions), scattered, mask)

    def features(self, prompts: Sequence[str]) -> Tensor:
        """Final hidden state at each prompt's last token: float32 [B, H], without gradient; nothing else decides it."""
        check_eval(self.model)
        with self._encoding:
            encoded = [self.encoder.encode_prompt(prompt) for prompt in prompts]
        return self.reader.features(encoded)

    def phrase_features(self, decisions: Sequence[Decision]) -> list[Tensor]:
        """Final hidden state at the last token of each phrase: float32 [A, H] a decision, without gradient."""
        check_eval(self.model)
        encoded = [self.encode(decision) for decision in decisions]
        found = self.reader.features([(*each.prompt_ids, *ids) for each in encoded for ids in each.action_ids])
        return list(torch.split(found, [len(each.action_ids) for each in encoded]))

    def batches(self, decisions: Sequence[Decision]) -> list[list[Decision]]:
        """The decisions in groups that are best scored together: one pass each, as far as that is possible."""
        groups = self.reader.batches([self.encode(decision) for decision in decisions])
        return [[decisions[number] for number in group] for group in groups]

    def encode(self, decision: Decision) -> EncodedDecision:
        """Token ids of a decision, from memory where it was seen before. Any thread may ask."""
        with self._encoding:
            encoded = self._encoded.get(decision)
            if encoded is None:
                encoded = self.encoder.encode(decision)
                tokens = len(encoded.prompt_ids) + sum(map(len, encoded.action_ids))
                size = 8 * tokens + len(decision.prompt) + sum(map(len, decision.actions))
                self._encoded.put(decision, encoded, size)
        return encoded


def context_length(model: Any) -> int | None:
    """The most positions the model was made for, or None if its configuration names no limit.

    A model that stretches its rotary embedding when a sentence grows longer reads up to where that begins: beyond, a
    token's numbers would depend on what else is read with it.
    """
    longest = min((limit for limit, _ in _limits(model)), default=None)
    return None if longest is None else max(1, longest - virtual_tokens(model))


def context_reason(model: Any) -> str:
    """Where the number of :func:`context_length` stands in the model's configuration, and why it counts."""
    return min(reversed(_limits(model)), key=lambda limit: limit[0], default=(0, ""))[1]


def _limits(model: Any) -> list[tuple[int, str]]:
    """Every limit on the length of a sentence that a configuration names, with its reason."""
    config = model.config.get_text_config()
    longest = getattr(config, "max_position_embeddings", None)
    found = [(longest, "max_position_embeddings of its configuration")]
    ropes = getattr(config, "rope_parameters", None) or getattr(config, "rope_scaling", None)
    # Of one kind for all layers, or by the kind of layer.
    for rope in (ropes, *ropes.values()) if isinstance(ropes, dict) else ():
        if not isinstance(rope, dict):
            continue
        kind = rope.get("rope_type", rope.get("type"))
        if kind == "longrope":
            name = "original_max_position_embeddings"
            before = rope.get(name) or getattr(config, name, None) or longest
            reason = (
                f"{name} of its configuration, beyond which longrope turns all positions, the earlier ones too, by "
            )
            found.append((before, f"{reason}other factors (max_position_embeddings is {longest})"))
        elif kind == "dynamic":
            reason = "max_position_embeddings of its configuration, beyond which dynamic rotary embeddings stretch"
            found.append((longest, reason))
    return [(limit, reason) for limit, reason in found if isinstance(limit, int) and limit > 0]


def _check_numbers(log_probs: Tensor) -> None:
    """Refuse scores that are none."""
    if log_probs.isnan().any():
        raise NumericalError(
            "the model's log-probabilities are not numbers: its weights, or its adapter's, have grown beyond bounds or "
            "were damaged; get them again, or train again with a lower ppo.policy_learning_rate"
        )


def _rows(model: Any) -> int | None:
    """How many tokens a model has embeddings for; None if it does not say."""
    return getattr(model.get_input_embeddings(), "num_embeddings", None)


_READERS: weakref.WeakKeyDictionary[Any, Reader] = weakref.WeakKeyDictionary()


def _known_reader(model: Any, tokenizer: Tokenizer) -> Reader:
    """The reader of a model, remembered from the last call so that the probe runs once."""
    if model not in _READERS:
        _READERS[model] = choose_reader(model, Encoder(tokenizer, context_length(model), rows=_rows(model)))
    return _READERS[model]
