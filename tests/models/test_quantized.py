"""Quantised bases: a decision has the same bits whatever it is read with, and gradients pass through."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from tests.scoring.oracle import DECISIONS
from tests.tiny import build_model, save_model
from twosome import score
from twosome.errors import ModelError
from twosome.models.loading import add_adapter, load_model
from twosome.models.policy import LanguageModelPolicy
from twosome.models.quantized import keep_unpacked, quantization_config, read_all_columns_alike


def test_an_8_bit_base_has_no_outlier_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those are chosen over all tokens that are read together; a token moved by 0.58 nats with its neighbours."""
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name)
    config = quantization_config("8bit")
    assert config.load_in_8bit
    assert config.llm_int8_threshold == 0.0


def test_the_threshold_that_comes_with_an_8_bit_file_is_set_to_none() -> None:
    model = build_model("llama")
    layer = model.model.layers[0].mlp.up_proj
    layer.state = SimpleNamespace(threshold=6.0)
    read_all_columns_alike(model)
    assert layer.state.threshold == 0.0


def test_4_bit_layers_are_not_repacked_and_those_that_were_take_no_adapter() -> None:
    """Repacked, as bitsandbytes 0.50 does on a CPU, they pass no gradient on: what lies below hardly trains."""
    model = build_model("llama")
    layer = model.model.layers[0].mlp.up_proj
    layer.support_avx512bf16_for_cpu = True
    layer.weight.quant_state = SimpleNamespace(packing_format_for_cpu=False)
    keep_unpacked(model)
    assert not layer.support_avx512bf16_for_cpu
    layer.weight.quant_state.packing_format_for_cpu = True
    with pytest.raises(ModelError, match=r"no gradient passes through the 4 bit layer model\.layers\.0\.mlp\.up_proj"):
        add_adapter(model, rank=2, alpha=4, targets="all-linear")


@pytest.mark.parametrize("bits", ["8bit", "4bit"])
def test_a_decision_has_the_same_bits_alone(tmp_path: Path, bits: str) -> None:
    pytest.importorskip("bitsandbytes")
    model, tokenizer = load_model(save_model(tmp_path), quantization=bits, device="cpu")  # type: ignore[arg-type]
    together = score(model, tokenizer, DECISIONS)
    for row, decision in enumerate(DECISIONS):
        alone = score(model, tokenizer, [decision])
        assert torch.equal(
            alone.token_log_probs[alone.token_mask], together.token_log_probs[row][together.token_mask[row]]
        )


def test_the_gradient_through_4_bit_layers_is_that_of_their_weights(tmp_path: Path) -> None:
    """After it has acted, which reads without gradient: against a plain model of the same rounded weights."""
    pytest.importorskip("bitsandbytes")
    from bitsandbytes.functional import dequantize_4bit

    name = save_model(tmp_path)
    model, tokenizer = load_model(name, quantization="4bit", device="cpu")
    plain, _ = load_model(name, device="cpu")
    for path, module in model.named_modules():
        if hasattr(getattr(module, "weight", None), "quant_state"):
            plain.get_submodule(path).weight.data = dequantize_4bit(module.weight.data, module.weight.quant_state)
    found = []
    for base in (model, plain):
        torch.manual_seed(0)
        policy = LanguageModelPolicy(add_adapter(base, rank=2, alpha=4, targets="all-linear"), tokenizer)
        with torch.no_grad():
            acting = policy.action_log_probs(DECISIONS)
        log_probs = policy.action_log_probs(DECISIONS)
        torch.testing.assert_close(log_probs, acting)
        torch.autograd.backward(log_probs[:, 0].sum())
        found.append(
            torch.cat([weight.grad.flatten() for weight in policy.actor_parameters() if weight.grad is not None])
        )
    torch.testing.assert_close(found[0], found[1], atol=1e-5, rtol=1e-4)
    assert found[0].abs().max() > 1e-3
