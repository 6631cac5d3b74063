"""The memory of a training, of acting alone, and of scoring once: a sum of terms, each with its reason."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch

from twosome.models.pieces import PIECE
from twosome.planning.counting import Pass
from twosome.planning.describing import Described
from twosome.planning.memory_terms import Program, Term
from twosome.planning.skeleton import Skeleton
from twosome.planning.workload import Practice, Size, Workload
from twosome.settings.config import RunConfig

GRADIENT = "a pass with its gradient"
"""The name of the term that reading layers again makes smaller."""
HEADS = 2
"""Networks that value untried actions (:class:`twosome.algorithms.action_values.Heads`)."""
OPTIMIZED = 4
"""A weight that trains, its gradient, and two moments of Adam, all float32."""
CONTEXT = 600 * 2**20
"""What a GPU's driver and libraries take on it before anything is put there: an assumption, not measured here."""
HOLES = 0.3
"""What the C library keeps between what is held, as a part of a pass with its gradient, on a CPU: fixed on the two
random models of 30 and 125 million weights (docs/plan.md); were every large piece mapped by itself it would be 0."""
AROUND = 2**16
"""Bytes that Linux maps around a byte of a file that is asked for, where they are in its cache."""
_AT_ONCE = 4
"""Weights that transformers reads at a time."""
QUANTIZED = {"8bit": 1.02, "4bit": 0.53}
"""Bytes of a weight of a linear layer with its scales, as bitsandbytes keeps it: one scale for 64 (4 bit)."""


@dataclass(frozen=True)
class Memory:
    """Terms of peaks, largest first in time: loading, acting, training.

    Attributes:
        training: Of the highest moment of training.
        loading: Of the moment when all weights have just been read.
        acting: Of an agent that acts and does not train.
        scoring: Of one decision scored once.
    """

    training: tuple[Term, ...]
    loading: tuple[Term, ...]
    acting: tuple[Term, ...]
    scoring: tuple[Term, ...]


def peak(terms: tuple[Term, ...]) -> int:
    """All of them together: bytes."""
    return sum(term.nbytes for term in terms)


def memory(
    run: RunConfig,
    described: Described,
    skeleton: Skeleton,
    work: Workload,
    one: Pass,
    read: Pass,
    program: Program | None,
) -> Memory:
    """The memory of a run.

    Args:
        run: The run.
        described: Its model.
        skeleton: The model without weights.
        work: What an update reads.
        one: What its largest pass takes.
        read: What a pass of the frozen base alone takes.
        program: What the process itself takes; None for the memory of a GPU.
    """
    base = program.terms() if program is not None else [Term("driver and libraries", CONTEXT, "assumed")]
    weights = weight_bytes(skeleton, run)
    mapped = program is not None and _is_mapped(described, skeleton, run)
    how = "read where they lie in the file" if mapped else f"in {_name(skeleton.dtype)}"
    own = Term("weights", weights, f"{skeleton.weights:,} numbers, {how}")
    if mapped and skeleton.lookup_weights:
        table = skeleton.lookup_weights * weights // skeleton.weights
        seen = min(table, AROUND * work.words)
        own = Term(
            "weights", weights - table + seen, f"{own.reason}; of input embeddings, what {work.words} tokens ask"
        )
    copies = _copies(described, run, mapped, on_cpu=program is not None)
    loading = [*base, own, Term("copies while loading", copies, "of the file, beside the weights made of it")]
    trained = [own, *_trained(run, skeleton), *_remembered(run, skeleton, work)]
    training = [*base, *trained, *_highest(run, skeleton, work, one, read, on_cpu=program is not None)]
    if program is not None:
        training.append(Term("drawing the curve", program.drawing, "measured here; at the end of a run"))
    share = one.acting_bytes / one.tokens
    rows, single = sum(map(len, work.row)), sum(map(len, work.one))
    adapter = Term("adapter and critic", 4 * (_adapter(run, skeleton) + critic_weights(run, skeleton)), "float32")
    whole = max(size.tokens for size in (*work.collecting, *work.critic))
    acting = [*base, own, adapter, Term("a pass", int(share * min(rows, whole)), f"{rows} tokens, without gradient")]
    scoring = [*base, own, Term("a pass", int(share * single), f"{single} tokens, without gradient")]
    return Memory(tuple(training), tuple(loading), tuple(acting), tuple(scoring))


def _highest(run: RunConfig, skeleton: Skeleton, work: Workload, one: Pass, read: Pass, *, on_cpu: bool) -> list[Term]:
    """What is there at the highest moment beside what is there all the time, and the holes that it leaves."""
    told = _told(Size(one.tokens, one.rows))
    found = Term(GRADIENT, one.training_bytes, told)
    if work.practice is not None:
        whole = f"of the whole base, {read.tokens} tokens, without gradient"
        others = [
            Term("a pass", read.acting_bytes, whole),
            Term("values of actions", _values_bytes(run, skeleton, work.practice), "features of phrases, networks"),
        ]
        found = max([found, *others] if work.steps else others, key=lambda term: term.nbytes)
    if not on_cpu:
        return [found]
    reason = f"{HOLES:.0%} of {found.name}, as measured elsewhere"
    return [found, Term("holes between what is held", int(HOLES * found.nbytes), reason)]


def _values_bytes(run: RunConfig, skeleton: Skeleton, practice: Practice) -> int:
    """What is held while the networks of values learn: features side by side, and what their gradient takes."""
    # Normed features; products, and what of them is above zero.
    layers = skeleton.width + 2 * sum(run.fitted.hidden)
    return int(4 * (practice.padded * skeleton.width + practice.tried * (skeleton.width + HEADS * layers)))


def _copies(described: Described, run: RunConfig, mapped: bool, *, on_cpu: bool) -> int:
    """Bytes of the file that are in memory as well, when all weights have just been read."""
    if mapped or described.files is None:
        return 0
    in_pieces = on_cpu and run.loading.quantization == "none" and not described.unpacked
    return min(described.files.nbytes, _AT_ONCE * PIECE) if in_pieces else described.files.nbytes


def weight_bytes(skeleton: Skeleton, run: RunConfig) -> int:
    """Bytes of the frozen weights, and with ``finetune=full`` of those that train, once."""
    size = torch.empty(0, dtype=skeleton.dtype).element_size()
    if run.loading.quantization == "none":
        return int(size * skeleton.weights)
    linear = min(skeleton.weights, skeleton.depth * skeleton.layer_weights)
    return int(QUANTIZED[run.loading.quantization] * linear + size * (skeleton.weights - linear))


def _trained(run: RunConfig, skeleton: Skeleton) -> list[Term]:
    """What trains, with gradients and moments."""
    adapter, critic = _adapter(run, skeleton), critic_weights(run, skeleton)
    found = [Term("critic", 4 * OPTIMIZED * critic, f"{critic:,} weights with gradient and two moments, float32")]
    if run.algorithm == "fitted":
        heads = head_weights(run, skeleton)
        reason = f"{heads:,} weights with gradient and two moments, float32"
        found = [Term("networks of action values", 4 * OPTIMIZED * heads, reason)]
    if run.finetune == "full":
        more = "a frozen copy, gradients and two moments, float32"
        return [Term("training all weights", 4 * OPTIMIZED * skeleton.weights, more), *found]
    return [Term("adapter", 4 * OPTIMIZED * adapter, f"{adapter:,} weights with gradient and two moments"), *found]


def _remembered(run: RunConfig, skeleton: Skeleton, work: Workload) -> list[Term]:
    """What is remembered of decisions, each kind within loading.memory_megabytes."""
    limit = run.loading.memory_megabytes * 2**20
    features = work.distinct * (4 * skeleton.width + 200)
    found = [Term("remembered features", min(limit, features), f"of {work.distinct} distinct prompts, float32")]
    if work.practice is not None:
        features = work.practice.actions * 4 * skeleton.width + work.distinct * 200
        found = [Term("remembered features", min(limit, features), f"of {work.practice.actions} phrases, float32")]
    if skeleton.frozen_layers:
        size = torch.empty(0, dtype=skeleton.dtype).element_size()
        rows = sum(item.tokens for item in work.collecting) * skeleton.width * size
        found.append(
            Term("remembered lower layers", min(limit, rows), f"{skeleton.frozen_layers} layers, once a token")
        )
    if run.loading.keep_readings:
        found.append(Term("kept readings", limit, "up to loading.memory_megabytes"))
    return found


def _adapter(run: RunConfig, skeleton: Skeleton) -> int:
    return 0 if run.finetune == "full" else skeleton.trained


def critic_weights(run: RunConfig, skeleton: Skeleton) -> int:
    """How many weights the critic has; 0 where there is none."""
    if not run.has_critic:
        return 0
    widths = [skeleton.width, *run.critic.hidden, 1]
    return int(sum(a * b for a, b in pairwise(widths))) + (sum(widths[1:]) if run.critic.bias else 0)


def head_weights(run: RunConfig, skeleton: Skeleton) -> int:
    """How many weights the networks have that value untried actions."""
    return HEADS * sum(a * b + b for a, b in pairwise([int(skeleton.width), *run.fitted.hidden, 1]))


def _is_mapped(described: Described, skeleton: Skeleton, run: RunConfig) -> bool:
    """Whether the weights stay in the file's pages: it has them in the very precision that is wanted."""
    files = described.files
    plain = run.loading.quantization == "none" and files is not None and len(files.numbers) == 1
    return plain and files is not None and files.dtype == _name(skeleton.dtype)


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def _told(size: Size) -> str:
    return f"{size.tokens} tokens, {size.rows} of them with the vocabulary; counted on tensors without content"
