"""How a model's next-token distributions change with its adapter, token by token of given passages."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from twosome.errors import ModelError
from twosome.language.distributions import Columns, compare
from twosome.language.intervals import Array, paired_bootstrap
from twosome.language.measures import Better, LanguageMeasure
from twosome.language.passages import Passage
from twosome.scoring.condition import adapter_off, base_of, check_eval, virtual_tokens
from twosome.scoring.reference import own_rows, padded_rows

TOKENS, LOSS_OFF, LOSS_ON, KL, TOTAL_VARIATION, TOP1_CHANGED = range(6)
"""Columns of what :func:`read_passages` returns."""

_NUMBERS = 2**25  # of one table of odds: 128 MB in float32
_MOST_TOKENS = 2048
_MOST_ROWS = 512
_TRIED = 8  # tokens


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
    vocabulary = model.config.get_text_config().vocab_size
    if not passages:
        return sums
    with torch.no_grad():
        head = plain_head(model, passages[0].ids[:_TRIED])
        for batch in _batches(passages, _MOST_TOKENS if head is not None else _rows(vocabulary)):
            table = _read(model, head, batch, _rows(vocabulary)).cpu().double().numpy()
            rows = [units[p.unit] for p in batch for _ in p.ids[p.first :]]
            np.add.at(sums, rows, np.concatenate([np.ones((len(table), 1)), table], axis=1))
    return sums


def _rows(vocabulary: int) -> int:
    """Contexts whose distributions are looked at together."""
    return max(1, min(_MOST_ROWS, _NUMBERS // vocabulary))


def _read(model: Any, head: nn.Linear | None, batch: Sequence[Passage], most: int) -> Tensor:
    """The columns of :func:`read_passages` but the first, for the measured tokens of a batch: float32 [M, 5]."""
    contexts: dict[tuple[int, ...], int] = {}  # a context that several passages share is looked at once
    places: list[tuple[int, int]] = []
    row_of: list[int] = []
    for number, passage in enumerate(batch):
        for index in range(passage.first, len(passage.ids)):
            row = contexts.setdefault(passage.ids[:index], len(contexts))
            if row == len(places):
                places.append((number, index - 1))
            row_of.append(row)
    on = _states(model, head, batch, places)
    with adapter_off(model):
        off = _states(model, head, batch, places)
    targets = torch.tensor([token for p in batch for token in p.ids[p.first :]], device=on.device)
    owner = torch.tensor(row_of, device=on.device)
    found = torch.empty(len(targets), 5, device=on.device)
    for start in range(0, len(places), most):
        here = ((owner >= start) & (owner < start + most)).nonzero()[:, 0]
        sides = tuple(_columns(head, side[start : start + most]) for side in (off, on))
        found[here] = compare(sides, _width(head, on), owner[here] - start, targets[here])
    return found


def _states(model: Any, head: nn.Linear | None, batch: Sequence[Passage], places: Sequence[tuple[int, int]]) -> Tensor:
    """What the model makes of the tokens at those places: final hidden states where there is a head, else logits."""
    ids, mask = padded_rows(model, [passage.ids for passage in batch])
    read = model if head is None else base_of(model).get_decoder()
    output = read(input_ids=ids, attention_mask=mask, use_cache=False)
    found = own_rows(output.logits if head is None else output.last_hidden_state, ids)
    rows, columns = zip(*places, strict=True)
    chosen: Tensor = found[list(rows), list(columns)]
    return chosen


def _columns(head: nn.Linear | None, states: Tensor) -> Columns:
    """Logits from what :func:`_states` gave."""
    if head is None:
        return lambda start, end: states[:, start:end].clone()
    bias = head.bias
    return lambda start, end: nn.functional.linear(
        states, head.weight[start:end], None if bias is None else bias[start:end]
    )


def _width(head: nn.Linear | None, states: Tensor) -> int:
    return states.shape[1] if head is None else len(head.weight)


def plain_head(model: Any, ids: Sequence[int]) -> nn.Linear | None:
    """The vocabulary matrix if logits are nothing but it times the final hidden state, adapter on and off; else None.

    Found by trying, on a few tokens: a model may cap or scale its logits, and an adapter may change the matrix, or put
    virtual tokens in front.
    """
    base, sentence = base_of(model), torch.tensor([list(ids)], device=model.device)
    head = base.get_output_embeddings()
    if type(head) is not nn.Linear or virtual_tokens(model):
        return None

    def is_plain() -> bool:
        logits = model(input_ids=sentence, use_cache=False).logits
        hidden = base.get_decoder()(input_ids=sentence, use_cache=False).last_hidden_state
        try:
            torch.testing.assert_close(head(hidden), logits, rtol=1e-6, atol=1e-7)
        except AssertionError:
            return False
        return True

    try:
        if not is_plain():
            return None
        with adapter_off(model):
            return head if is_plain() else None
    except ModelError:
        raise
    except Exception:  # whatever a model does not let itself be asked
        return None


def _batches(passages: Sequence[Passage], budget: int) -> Iterator[list[Passage]]:
    """Passages of like length together, with no more tokens than memory likes."""
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
