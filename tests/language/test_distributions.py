"""What is said of two tables of distributions is what a reading of whole tables in double precision says."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from twosome.language import distributions
from twosome.language.distributions import compare


def whole(off: Tensor, on: Tensor, row_of: Tensor, targets: Tensor) -> Tensor:
    """The same from whole tables."""
    log_off, log_on = (torch.log_softmax(table.double(), -1)[row_of] for table in (off, on))
    terms = (log_off.exp() * (log_off - log_on)).nan_to_num(0.0, posinf=torch.inf)
    return torch.stack(
        [
            -log_off.gather(1, targets[:, None])[:, 0],
            -log_on.gather(1, targets[:, None])[:, 0],
            terms.sum(-1),
            (log_off.exp() - log_on.exp()).abs().sum(-1) / 2,
            (log_off.argmax(-1) != log_on.argmax(-1)).double(),
        ],
        dim=1,
    )


def columns(*tables: Tensor) -> Any:
    return tuple(lambda start, end, table=table: table[:, start:end].clone() for table in tables)


@pytest.mark.parametrize("spread", [0.0, 0.1, 30.0])
@pytest.mark.parametrize("width", [1, 7, 33, 100])
def test_parts_of_any_width_add_up_to_the_whole(width: int, spread: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(distributions, "COLUMNS", width)
    torch.manual_seed(0)
    off = torch.randn(6, 100) * 5
    on = off + spread * torch.randn(6, 100)
    row_of, targets = torch.tensor([0, 0, 1, 2, 3, 4, 5, 5]), torch.tensor([3, 99, 0, 50, 6, 7, 33, 32])
    found = compare(columns(off, on), 100, row_of, targets)
    torch.testing.assert_close(found.double(), whole(off, on, row_of, targets), atol=5e-6, rtol=2e-5)
    assert spread or (found[:, 2:] == 0).all()


def test_tokens_that_cannot_come_count_nothing_and_others_that_no_longer_can_are_infinite() -> None:
    never = -torch.inf
    off = torch.tensor([[never, 1.0, 2.0, never], [0.0, 1.0, 2.0, 3.0]])
    on = torch.tensor([[never, 1.0, 1.0, 0.0], [0.0, never, 2.0, 3.0]])
    row_of, targets = torch.tensor([0, 1]), torch.tensor([2, 3])
    found = compare(columns(off, on), 4, row_of, targets)
    torch.testing.assert_close(found.double(), whole(off, on, row_of, targets), atol=1e-6, rtol=1e-6)
    assert found[1, 2] == torch.inf


def test_of_equally_likely_tokens_the_first_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(distributions, "COLUMNS", 2)
    off, on = torch.tensor([[0.0, 5.0, 5.0, 1.0]]), torch.tensor([[0.0, 5.0, 0.0, 5.0]])
    assert compare(columns(off, on), 4, torch.tensor([0]), torch.tensor([0]))[0, 4] == 0
