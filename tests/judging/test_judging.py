"""A way of reading is judged by what it errs beside reading alone, in every precision, and refused with figures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.tiny import build_model, byte_level
from twosome.caching import keep_record
from twosome.errors import ModelError
from twosome.judging import probing
from twosome.judging.judging import Judge
from twosome.judging.precision import raised
from twosome.judging.probes import SENTENCES, alone, made_up, sentences
from twosome.judging.probing import Reading, choose_reader
from twosome.judging.verdicts import recall
from twosome.models.loading import add_adapter
from twosome.scoring.economies import Economies
from twosome.scoring.readers import PackedReader
from twosome.scoring.row_readers import PaddedReader
from twosome.tokens.encoding import EncodedDecision, Encoder

ENCODER = Encoder(byte_level(bos=True))
DTYPES = [torch.float32, torch.bfloat16, torch.float16]


class Shifted(PaddedReader):
    """Reads every sentence without its first token, which no precision excuses."""

    def log_probs(self, encoded: Sequence[EncodedDecision]) -> Tensor:
        return super().log_probs([EncodedDecision(item.prompt_ids[1:], item.action_ids) for item in encoded])


class Noisy(PaddedReader):
    """Right but for noise, which in a higher precision it has not."""

    def __init__(self, model: Any, noise: float) -> None:
        super().__init__(model, 1000)
        self._noise = noise if model.training is False else 0.0
        self.calls = 0

    def log_probs(self, encoded: Sequence[EncodedDecision]) -> Tensor:
        found = super().log_probs(encoded)
        self.calls += 1
        return found + self._noise * torch.linspace(-1, 1, len(found))


def judge(model: Any, encoder: Encoder | None = ENCODER) -> Judge:
    with torch.no_grad():
        return Judge(model, encoder)


def verdict(model: Any, make: Callable[[], Any], again: Callable[[], Any] | None = None) -> str:
    with torch.no_grad():
        return judge(model).fault(make().log_probs, lambda: (again or make)().log_probs)


@pytest.mark.parametrize("dtype", DTYPES)
def test_packs_are_right_and_a_wrong_way_is_wrong_in_every_precision(dtype: torch.dtype) -> None:
    """In bfloat16 any bound on a plain difference lets a wrong way by, or refuses a right one."""
    model = build_model("llama").to(dtype)

    def packed() -> PackedReader:
        reader = PackedReader(model, 1000, Economies(fuse=False, join=False))
        reader.watch(made_up(model))
        return reader

    assert verdict(model, packed) == ""
    fault = verdict(model, lambda: Shifted(model, 1000))
    assert "differs from one sequence at a time by" in fault
    assert "nats" in fault


def test_noise_of_a_way_is_judged_by_the_noise_of_reading_alone() -> None:
    model = build_model("llama").to(torch.bfloat16)
    best = float((alone(model, made_up(model)) - _truth(model)).abs().max())
    again = lambda: PaddedReader(model, 1000)  # noqa: E731
    assert verdict(model, lambda: Noisy(model, best), again) == ""
    fault = verdict(model, lambda: Noisy(model, 60 * best + 1), again)
    assert "it errs by" in fault
    assert "reading alone by" in fault


def _truth(model: Any) -> Tensor:
    with torch.no_grad(), raised(model, torch.float32):
        return alone(model, made_up(model), side_by_side=True)


@pytest.mark.parametrize("architecture", ["llama", "gpt2", "gemma2", "bloom", "opt"])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_a_model_raised_computes_as_its_copy_in_that_precision(architecture: str, dtype: torch.dtype) -> None:
    """And is afterwards what it was, to the bit, also where reading it fails in between."""
    model = build_model(architecture, vocab_size=9000).to(dtype)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    ids = torch.tensor([[5, 7, 8999, 7, 11]])
    with torch.no_grad():
        native = model(input_ids=ids).logits
        with raised(model, torch.float64):
            found = model(input_ids=ids).logits
        with pytest.raises(RuntimeError), raised(model, torch.float64):
            raise RuntimeError
        assert torch.equal(model(input_ids=ids).logits, native)
        expected = model.double()(input_ids=ids).logits
    assert found.dtype == torch.float64
    # What a model computes in float32 by itself (norms, rotary embeddings) it does in both.
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)
    assert all(torch.equal(tensor.to(dtype), before[name]) for name, tensor in model.state_dict().items())


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_a_model_with_an_adapter_is_judged_by_a_truth_too(dtype: torch.dtype) -> None:
    """PEFT's layers cast what they read to the precision that their weights are kept in, and raised they are not."""
    model = add_adapter(build_model("llama").to(dtype), rank=2, alpha=4, targets="all-linear")
    for name, weight in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight, std=0.1)
    judged = judge(model)
    assert judged.truth is not None
    with torch.no_grad():
        expected = alone(model.double(), judged.probe)
    torch.testing.assert_close(judged.truth, expected, rtol=0, atol=1e-4)
    assert all(layer.cast_input_dtype_enabled for layer in model.modules() if hasattr(layer, "lora_A"))


def test_side_by_side_and_one_at_a_time_are_the_same_sequences() -> None:
    model = build_model("llama").double()
    probe = made_up(model) + sentences(ENCODER)
    with torch.no_grad():
        torch.testing.assert_close(alone(model, probe), alone(model, probe, side_by_side=True), rtol=0, atol=1e-9)


def test_the_probe_has_plain_sentences_in_the_models_own_tokens() -> None:
    found = sentences(ENCODER)
    assert len(found) == len(SENTENCES)
    text = ENCODER.tokenizer.decode(found[0].prompt_ids + found[0].action_ids[0], skip_special_tokens=True)
    assert text == SENTENCES[0].sentence(0)


def test_a_precision_that_overflows_is_told_and_not_called_no_language_model() -> None:
    model = build_model("llama").to(torch.float16)
    with torch.no_grad():
        model.model.norm.weight.fill_(6e4)
    with pytest.raises(ModelError, match=r"gives no numbers in float16: .*loading\.dtype to bfloat16 or float32"):
        choose_reader(model, ENCODER)


def test_what_is_refused_is_refused_with_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probing, "PaddedReader", Shifted)
    with pytest.raises(ModelError, match=r"no way of reading it is right \(padded: .* differs .* by \d.* nats"):
        choose_reader(build_model("llama", rope_theta=10_001.0), ENCODER, Reading("padded"))


def test_a_verdict_is_remembered_until_something_it_depends_on_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    class Counting(Judge):
        def __init__(self, model: Any, encoder: Encoder | None = None) -> None:
            asked.append(type(model).__name__)
            super().__init__(model, encoder)

    monkeypatch.setattr(probing, "Judge", Counting)
    model = build_model("llama", rope_theta=10_002.0)
    expected = choose_reader(model, ENCODER).describe()
    assert choose_reader(build_model("llama", rope_theta=10_002.0), ENCODER).describe() == expected
    assert len(asked) == 1
    choose_reader(model, ENCODER, Reading(again=True))
    choose_reader(model, ENCODER, Reading(token_budget=77))
    choose_reader(model.to(torch.bfloat16), ENCODER)
    choose_reader(model, Encoder(byte_level(bos=False)))
    with torch.no_grad():
        model.lm_head.weight.add_(1.0)
    choose_reader(model, ENCODER)
    assert len(asked) == 6


def test_a_verdict_that_no_longer_fits_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing breaks over a record: another way is found, as if there were none."""
    monkeypatch.setattr(probing, "recall", lambda key: probing.Verdict("packed", Economies()))
    assert "mask" in choose_reader(build_model("falcon"), ENCODER).describe()


@pytest.mark.parametrize(
    "record",
    [
        {"way": "x", "economies": None},
        {"way": "packed", "economies": None},
        {"way": "packed", "economies": {"share": True}},
        {"way": "packed", "economies": dict.fromkeys(["share", "trim", "fuse", "join", "once"], "no")},
        {"way": "padded", "economies": {}},
        {"way": ["packed"], "economies": None},
    ],
)
def test_a_record_of_a_reading_that_is_no_verdict(record: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Any way that was not known was read as if it were the cached one."""
    monkeypatch.setenv("TWOSOME_CACHE", str(tmp_path))
    keep_record("readings", "x", record)
    assert recall("x") is None
