"""Packed rows lose nothing, and documents in a row do not see each other."""

from __future__ import annotations

from random import Random

import numpy as np
import torch
from pretraining.config import TrainConfig
from pretraining.packing import IGNORED, batch_inputs, pack
from pretraining.tokenizer import PAD_ID, START_ID
from pretraining.train import build_model

TINY = TrainConfig(hidden=32, layers=2, feed_forward=64, vocabulary=300, row_length=64)


def some_documents(count: int) -> list[list[int]]:
    rng = Random(0)
    return [[START_ID] + [rng.randrange(2, 300) for _ in range(rng.randrange(3, 60))] for _ in range(count)]


def test_every_document_is_in_exactly_one_row_and_little_is_padding():
    documents = some_documents(500)
    rows = np.stack(list(pack(documents, 64)))
    found = []
    for row in rows:
        tokens = [int(token) for token in row if token != PAD_ID]
        starts = [index for index, token in enumerate(tokens) if token == START_ID]
        found += [tuple(tokens[a:b]) for a, b in zip(starts, [*starts[1:], len(tokens)], strict=True)]
    assert sorted(found) == sorted(map(tuple, documents))
    assert (rows == PAD_ID).mean() < 0.05


def test_a_packed_document_gets_the_logits_it_gets_alone():
    torch.manual_seed(0)
    model = build_model(TINY).eval()
    first, second = some_documents(2)
    row = torch.tensor([first + second + [PAD_ID] * 4])
    positions, mask, labels = batch_inputs(row)
    with torch.no_grad():
        packed = model(input_ids=row, position_ids=positions, attention_mask=mask).logits[0]
        alone = model(input_ids=torch.tensor([second])).logits[0]
    torch.testing.assert_close(packed[len(first) : len(first) + len(second)], alone, atol=1e-5, rtol=1e-4)
    assert labels[0, 0] == first[1]
    assert labels[0, len(first) - 1] == START_ID  # where a document ends is taught
    assert (labels[0, len(first) + len(second) - 1 :] == IGNORED).all()
