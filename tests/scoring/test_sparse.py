"""Attention through a block-sparse kernel: its numbers on a CPU, where PyTorch has its forward pass alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings

from tests.tiny import ARCHITECTURES, READERS, build_model
from tests.tokens.test_packing import ACTIONS, COMMON
from twosome.errors import ModelError
from twosome.judging.probing import Reading, choose_reader
from twosome.scoring.readers import PackedReader
from twosome.scoring.sparse import subtree_ends
from twosome.tokens.blocks import build_blocks
from twosome.tokens.encoding import EncodedDecision
from twosome.tokens.packing import build_pack

PACKED = [name for name in ARCHITECTURES if name not in READERS]  # windows, soft caps and sinks are among them


def _decisions(number: int) -> list[EncodedDecision]:
    """Decisions whose prompts begin alike, and some of whose actions do."""
    actions = ((5, 6, 7, 8), (5, 6, 9), (5, 11), (12,), (13, 14, 15))
    return [EncodedDecision((*range(10, 40), 3 + last, 9), actions) for last in range(number)]


@settings(max_examples=60, deadline=None)
@given(common=COMMON, actions=ACTIONS)
def test_the_end_of_a_rows_subtree_says_who_may_attend_to_it(common, actions) -> None:  # type: ignore[no-untyped-def]
    decisions = [EncodedDecision((*common, last), actions) for last in (3, 4, 5)]
    for share in (True, False):
        pack = build_pack([build_blocks(decision)[0] for decision in decisions], torch.device("cpu"), share=share)
        length = pack.ids.shape[1]
        may = np.zeros((length, length), dtype=bool)
        for segment in pack.segments:
            may[np.ix_(segment.queries, segment.key_rows)] = segment.mask
        ends, rows = subtree_ends(pack), np.arange(length)
        assert np.array_equal(may, (rows[None, :] <= rows[:, None]) & (rows[:, None] < ends[None, :]))


def test_rows_out_of_order_are_refused() -> None:
    pack = build_pack(build_blocks(EncodedDecision((7, 8, 9), ((1, 2, 3), (1, 2, 4)))), torch.device("cpu"))
    first, *others = pack.segments
    mask = first.mask.copy()
    mask[3, 1] = False  # a row that a later one sees, and one between them does not
    with pytest.raises(ModelError, match="depth-first"):
        subtree_ends(replace(pack, segments=(replace(first, mask=mask), *others)))


@pytest.mark.filterwarnings("ignore:flex_attention called without torch.compile")
@pytest.mark.parametrize("architecture", PACKED)
def test_scores_and_features_are_those_of_the_segments(architecture: str) -> None:
    model = build_model(architecture)
    usual = choose_reader(model, reading=Reading("packed", 120))
    assert isinstance(usual, PackedReader)
    sparse = PackedReader(model, 120, usual.economies, attention="sparse")
    decisions = _decisions(6)
    with torch.no_grad():
        assert set(usual.watch(decisions[:2]).values()) == set(sparse.watch(decisions[:2]).values())
        torch.testing.assert_close(sparse.log_probs(decisions), usual.log_probs(decisions), rtol=0, atol=1e-5)
        prompts = [decision.prompt_ids for decision in decisions]
        torch.testing.assert_close(sparse.features(prompts), usual.features(prompts), rtol=0, atol=2e-5)
    assert "sparse attention" in sparse.describe()
    assert "sparse attention" not in usual.describe()


def test_it_is_refused_where_nothing_could_be_learned() -> None:
    with pytest.raises(ModelError, match=r"backward pass on a CPU; set loading\.attention to segments"):
        choose_reader(build_model("llama"), reading=Reading(attention="sparse"))
