"""What ways of reading are tried on: decisions of made-up tokens and of plain sentences, and reading them alone."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn

from twosome.decision import Decision
from twosome.errors import TokenizationError
from twosome.scoring.condition import base_of
from twosome.tokens.encoding import EncodedDecision, Encoder

SENTENCES = (
    Decision("To make some tea, you should first", ("boil the water", "paint the wall")),
    Decision("The cup is empty, so you should", ("fill it again",)),
)
"""Plain English of no task, with likely and unlikely phrases; as many words in each, so that few readings do."""


def made_up(model: Any) -> list[EncodedDecision]:
    """Decisions of different length, with prompts that begin alike and actions that branch at every depth.

    A way that ignores positions, or looks from one branch into another, must not get by. Every prompt with its action
    has 12 tokens, so that all can be read at once.
    """
    vocabulary = model.config.get_text_config().vocab_size
    ids = [5 + (7919 * i) % max(1, vocabulary - 6) for i in range(90)]
    a, b, c, d, e, f, g, h = ids[:8]
    return [
        EncodedDecision(tuple(ids[10:19]), ((a, b, c), (a, b, d), (e, f, g))),
        EncodedDecision((*ids[10:18], *ids[60:62]), ((h, a),)),
        EncodedDecision(tuple(ids[40:51]), ((d,),)),
    ]


def repeating(model: Any) -> list[EncodedDecision]:
    """A small decision in which tokens come again, to watch a model's layers with."""
    a, b = made_up(model)[0].prompt_ids[:2]
    return [EncodedDecision((a, b, a), ((b, a), (a,)))]


def sentences(encoder: Encoder) -> list[EncodedDecision]:
    """Plain sentences in the tokens of a model; none if its tokenizer cannot tell a phrase from its prompt."""
    try:
        return [encoder.encode(decision) for decision in SENTENCES]
    except TokenizationError:
        return []


def alone(model: Any, encoded: Sequence[EncodedDecision], *, side_by_side: bool = False) -> Tensor:
    """Log-probability of every action token, each sequence read whole, decision by decision: float64 [M].

    Beyond doubt: nothing padded, nothing shared, and the sum over the vocabulary taken in double precision, because
    torch's float32 one is off by 2e-5 over 262,144 tokens.

    Args:
        model: Any causal language model.
        encoded: What to read.
        side_by_side: Read sequences of the same length at once, which is cheaper, rather than one at a time.
    """
    keeps = _keeps_logits(model)
    sequences = [(decision.prompt_ids, action) for decision in encoded for action in decision.action_ids]
    groups: dict[int, list[int]] = {}
    for number, (prompt, action) in enumerate(sequences):
        groups.setdefault(len(prompt + action) if side_by_side else number, []).append(number)
    found: dict[int, Tensor] = {}
    for members in groups.values():
        ids = torch.tensor([[*sequences[number][0], *sequences[number][1]] for number in members], device=model.device)
        lengths = [len(sequences[number][1]) for number in members]
        log_probs = _last_log_probs(model, ids, max(lengths), keeps)
        found.update({n: row[-length:] for n, row, length in zip(members, log_probs, lengths, strict=True)})
    return torch.cat([found[number] for number in range(len(sequences))])


def _last_log_probs(model: Any, ids: Tensor, count: int, keeps: bool) -> Tensor:
    """Log-probability of the last ``count`` tokens of each row, given what is before them: float64 [R, count]."""
    only_last = {"logits_to_keep": count + 1} if keeps else {}
    with _packed_head(model):
        logits = model(input_ids=ids, use_cache=False, **only_last).logits[:, -count - 1 : -1]
    log_probs = torch.log_softmax(logits.cpu().double(), dim=-1)  # not every device has double precision
    return log_probs.gather(-1, ids[:, -count:, None].cpu()).squeeze(-1)


def _packed_head(model: Any) -> AbstractContextManager[Any]:
    """Hand the vocabulary's matrix its rows side by side: a slice of bfloat16 rows takes a CPU 100 times as long."""
    head = model.get_output_embeddings()
    if not isinstance(head, nn.Linear):
        return nullcontext()
    packed = torch.contiguous_format  # to say it is needed: strides of dimensions of size 1 are kept otherwise
    return head.register_forward_pre_hook(lambda _, inputs: (inputs[0].clone(memory_format=packed), *inputs[1:]))


def _keeps_logits(model: Any) -> bool:
    """Whether a model works out the logits of the last tokens alone where it is asked to."""
    base = base_of(model)
    return "logits_to_keep" in inspect.signature(base.forward).parameters
