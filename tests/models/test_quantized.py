"""Quantised bases keep the promise that a decision has the same bits whatever it is read with."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from tests.scoring.oracle import DECISIONS
from tests.tiny import build_model, save_model
from twosome import score
from twosome.models.loading import _quantization_config, _read_all_columns_alike, load_model


def test_an_8_bit_base_has_no_outlier_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those are chosen over all tokens that are read together; a token moved by 0.58 nats with its neighbours."""
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name)
    config = _quantization_config("8bit")
    assert config.load_in_8bit
    assert config.llm_int8_threshold == 0.0


def test_the_threshold_that_comes_with_an_8_bit_file_is_set_to_none() -> None:
    model = build_model("llama")
    layer = model.model.layers[0].mlp.up_proj
    layer.state = SimpleNamespace(threshold=6.0)
    _read_all_columns_alike(model)
    assert layer.state.threshold == 0.0


def test_a_decision_in_8_bits_has_the_same_bits_alone(tmp_path: Path) -> None:
    pytest.importorskip("bitsandbytes")
    model, tokenizer = load_model(save_model(tmp_path), quantization="8bit", device="cpu")
    together = score(model, tokenizer, DECISIONS)
    for row, decision in enumerate(DECISIONS):
        alone = score(model, tokenizer, [decision])
        assert torch.equal(
            alone.token_log_probs[alone.token_mask], together.token_log_probs[row][together.token_mask[row]]
        )
