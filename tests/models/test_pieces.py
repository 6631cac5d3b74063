"""Weights converted piece by piece are those that transformers converts, to the bit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, modeling_utils

from tests.tiny import build_model, save_model
from twosome.models import pieces
from twosome.models.loading import load_model


@pytest.fixture
def place(tmp_path: Path) -> str:
    save_model(tmp_path)
    model = build_model("llama")
    with torch.no_grad():
        model.model.norm.weight[:3] = torch.tensor([1 + 2**-9, 1e-30, 65520.0])  # a tie, and what half precision lacks
    model.save_pretrained(tmp_path)
    return str(tmp_path)


@pytest.fixture
def converted(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What is read in pieces of 12 bytes, which divide none of the weights."""
    read: list[Any] = []
    own = pieces._converted

    def noting(*arguments: Any) -> torch.Tensor:
        read.append(arguments)
        return own(*arguments)

    monkeypatch.setattr(pieces, "_converted", noting)
    monkeypatch.setattr(pieces, "PIECE", 12)
    return read


@pytest.mark.parametrize("kept", [(), ("norm",)], ids=["", "norms kept in float32"])
@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_the_same_bits(
    dtype: Any, kept: tuple[str, ...], place: str, converted: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("transformers.LlamaForCausalLM._keep_in_fp32_modules_strict", list(kept))
    expected = AutoModelForCausalLM.from_pretrained(place, dtype=getattr(torch, dtype)).state_dict()
    assert not converted
    found = load_model(place, dtype=dtype)[0].state_dict()
    assert found.keys() == expected.keys()
    for name, weight in expected.items():
        assert found[name].dtype == weight.dtype, name
        assert torch.equal(found[name], weight), name
    assert len(converted) == sum(weight.dtype != torch.float32 for weight in dict(expected).values())
    assert any(weight.dtype == torch.float32 for weight in expected.values()) == bool(kept)


def test_what_is_wanted_as_it_is_in_the_file_is_not_read(place: str, converted: list[Any]) -> None:
    load_model(place, dtype="float32")
    assert not converted
    own = modeling_utils.safe_open
    with pieces.converted_in_pieces("auto"):
        assert modeling_utils.safe_open is own


def test_a_file_that_ends_early_is_told(tmp_path: Path) -> None:
    (tmp_path / "short").write_bytes(bytes(10))
    with pytest.raises(OSError, match="ends too early"):
        pieces._converted(tmp_path / "short", 0, [2, 2], torch.float32, torch.bfloat16)
    assert pieces._converted(tmp_path / "short", 0, [0, 2], torch.float32, torch.bfloat16).shape == (0, 2)
