"""How a model's next-token distributions change with its adapter, token by token of given passages."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from twosome.evaluation.language.intervals import Array, paired_bootstrap
from twosome.evaluation.language.measures import Better, LanguageMeasure
from twosome.evaluation.language.passages import Passage
from twosome.scoring.condition import adapter_off, check_eval
from twosome.scoring.reference import own_rows

TOKENS, LOSS_OFF, LOSS_ON, KL, TOTAL_VARIATION, TOP1_CHANGED = range(6)
"""Columns of what :func:`read_passages` returns."""

_NUMBERS = 2**26  # of one batch's logits: 256 MB in float32
_MOST_TOKENS = 2048


def read_passages(model: Any, passages: Sequence[Passage]) -> Array:
    """Sums over each unit's measured tokens, adapter off and on: float64 [U, 6], in the order of the units.

    The columns: number of tokens; their losses off and on, and the divergence KL(off || on), all in nats; the total
    variation between both distributions, 0 to 1; whether the most probable token differs. Sums are of float32 terms.

    Args:
        model: A PEFT model in eval mode; the adapter is switched, the weights are never loaded twice.
        passages: What to read.

    Raises:
        ModelError: If a part of the model is in train mode, or the base cannot be had by switching the adapter off.
    """
    check_eval(model)
    units = {unit: row for row, unit in enumerate(sorted({passage.unit for passage in passages}))}
    sums = np.zeros((len(units), 6))
    for batch in _batches(passages, model.config.get_text_config().vocab_size):
        with torch.no_grad():
            on = _log_probs(model, batch)
            with adapter_off(model):
                off = _log_probs(model, batch)
            targets = torch.tensor([token for p in batch for token in p.ids[p.first :]], device=on.device)
            table = _compare(off, on, targets).cpu().double().numpy()
        rows = [units[p.unit] for p in batch for _ in p.ids[p.first :]]
        np.add.at(sums, rows, table)
    return sums


def _compare(off: Tensor, on: Tensor, targets: Tensor) -> Tensor:
    """The columns of :func:`read_passages` for M tokens, from log-probabilities [M, V] and targets [M]."""
    probabilities = off.exp()
    kl = (probabilities * (off - on)).nan_to_num(0.0, posinf=math.inf).sum(-1)  # 0 * -inf is nothing
    variation = (probabilities - on.exp()).abs().sum(-1) / 2
    loss_off, loss_on = (-table.gather(1, targets[:, None])[:, 0] for table in (off, on))
    changed = (off.argmax(-1) != on.argmax(-1)).float()
    return torch.stack([torch.ones_like(kl), loss_off, loss_on, kl, variation, changed], dim=1)


def _log_probs(model: Any, batch: Sequence[Passage]) -> Tensor:
    """Log-probabilities of the vocabulary at every measured token of a batch: float32 [M, V]."""
    width = max(len(passage.ids) for passage in batch)
    # Padded on the right, where a causal model does not look; with the mask for those that count tokens.
    ids = torch.tensor([p.ids + (p.ids[0],) * (width - len(p.ids)) for p in batch], device=model.device)
    mask = torch.tensor([[1] * len(p.ids) + [0] * (width - len(p.ids)) for p in batch], device=model.device)
    logits = own_rows(model(input_ids=ids, attention_mask=mask, use_cache=False).logits, ids)
    rows = [row for row, p in enumerate(batch) for _ in p.ids[p.first :]]
    columns = [index - 1 for p in batch for index in range(p.first, len(p.ids))]
    return torch.log_softmax(logits[rows, columns].float(), dim=-1)


def _batches(passages: Sequence[Passage], vocabulary: int) -> Iterator[list[Passage]]:
    """Passages of like length together, with no more tokens than memory likes."""
    budget = min(_MOST_TOKENS, max(1, _NUMBERS // vocabulary))
    batch: list[Passage] = []
    for passage in sorted(passages, key=lambda passage: len(passage.ids)):
        if batch and (len(batch) + 1) * len(passage.ids) > budget:
            yield batch
            batch = []
        batch.append(passage)
    if batch:
        yield batch


def loss_measures(name: str, sums: Array, unit: str) -> list[LanguageMeasure]:
    """Mean loss in nats per token, and perplexity, of a text."""

    def measure(what: str, value: Callable[[Array], Array]) -> LanguageMeasure:
        def difference(totals: Array) -> Array:
            return value(totals[:, LOSS_ON] / totals[:, TOKENS]) - value(totals[:, LOSS_OFF] / totals[:, TOKENS])

        total = sums.sum(0, keepdims=True)
        off, on = (float(value(total[:, column] / total[:, TOKENS])[0]) for column in (LOSS_OFF, LOSS_ON))
        return _measure(f"{what}/{name}", off, on, difference, sums, unit, "lower")

    return [measure("loss", lambda loss: loss), measure("perplexity", np.exp)]


def change_measures(name: str, sums: Array, unit: str) -> list[LanguageMeasure]:
    """Mean change of the next-token distribution per token; each is 0 where the adapter changes nothing."""

    def measure(what: str, column: int) -> LanguageMeasure:
        def change(totals: Array) -> Array:
            return np.asarray(totals[:, column] / totals[:, TOKENS])

        return _measure(f"{what}/{name}", None, None, change, sums, unit, None)

    return [
        measure("kl", KL),
        measure("total-variation", TOTAL_VARIATION),
        measure("top1-changed", TOP1_CHANGED),
    ]


def _measure(
    name: str,
    off: float | None,
    on: float | None,
    statistic: Callable[[Array], Array],
    sums: Array,
    unit: str,
    better: Better | None,
) -> LanguageMeasure:
    difference = float(statistic(sums.sum(0, keepdims=True))[0])
    interval = paired_bootstrap(sums, statistic)
    return LanguageMeasure(name, off, on, difference, interval, len(sums), unit, better, "paired bootstrap")
