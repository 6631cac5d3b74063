"""No base and no adapter is taken whose weights did not all arrive, and nothing else is taken for a base."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file, save_file
from torch import Tensor

from tests.tiny import build_model, byte_level, save_model
from twosome.cli import main
from twosome.errors import ModelError
from twosome.models.arrival import Weights
from twosome.models.loading import load_adapter, load_model, load_tokenizer

State = dict[str, Tensor]
TARGETS = ["q_proj", "v_proj"]


def saved_adapter(place: Path, base: Any = None, **settings: Any) -> Path:
    """The directory of an adapter that does something."""
    torch.manual_seed(0)
    config = LoraConfig(r=2, target_modules=TARGETS, init_lora_weights=False, task_type="CAUSAL_LM", **settings)
    adapted = get_peft_model(base or build_model("llama"), config)
    adapted.save_pretrained(str(place), save_embedding_layers=False)
    return place


def change(file: Path, how: Callable[[State], State]) -> None:
    save_file(how(load_file(str(file))), str(file), metadata={"format": "pt"})


def without(*words: str) -> Callable[[State], State]:
    return lambda state: {name: value for name, value in state.items() if not any(word in name for word in words)}


def renamed(old: str, new: str) -> Callable[[State], State]:
    return lambda state: {name.replace(old, new): value for name, value in state.items()}


def test_an_adapter_that_is_whole_is_taken(tmp_path: Path) -> None:
    place = saved_adapter(tmp_path)
    file, adapted = load_file(str(place / "adapter_model.safetensors")), load_adapter(build_model("llama"), place)
    held = {name.replace(".default", ""): weight for name, weight in adapted.named_parameters()}
    assert all(torch.equal(held[name], weight) for name, weight in file.items())


DAMAGES: dict[str, tuple[Callable[[State], State], str]] = {
    "renamed": (
        renamed("model.layers", "model.language_model.layers"),
        "8 of 8 weights are missing .* and 8 that|8 th",
    ),
    "a layer missing": (without("layers.1"), "4 of 8 weights are missing"),
    "half of each pair": (without("lora_B"), "4 of 8 weights are missing"),
    "empty": (lambda state: {}, "8 of 8 weights are missing"),
    "one too many": (lambda state: {**state, "base_model.model.other": torch.ones(1)}, "1 that were found .*other"),
    "another rank": (
        lambda state: {name: weight[:1] if "lora_A" in name else weight for name, weight in state.items()},
        "does not fit",
    ),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_an_adapter_whose_weights_do_not_all_arrive_is_refused(tmp_path: Path, damage: str) -> None:
    how, told = DAMAGES[damage]
    place = saved_adapter(tmp_path)
    change(place / "adapter_model.safetensors", how)
    with pytest.raises(ModelError, match=told):
        load_adapter(build_model("llama"), place)


@pytest.mark.parametrize(
    "setting", [{"r": 10**9}, {"rank_pattern": {"q_proj": 10**9}}, {"peft_type": "LOHA", "r": 10**9}], ids=str
)
def test_a_configuration_that_asks_for_more_than_the_file_holds_is_refused_before_it_is_made(
    tmp_path: Path, setting: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """PEFT took the memory for a rank of a million first, and the system ended the process."""
    place = saved_adapter(tmp_path)
    file = place / "adapter_config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **setting}))
    monkeypatch.setattr(PeftModel, "from_pretrained", lambda *_, **__: pytest.fail("made before it was refused"))
    with pytest.raises(ModelError, match=r"is 1000000000, but no side of its weights is longer than 32; get both"):
        load_adapter(build_model("llama"), place)


@pytest.mark.parametrize(("made_for", "put_on"), [(3, 2), (2, 3)])
def test_an_adapter_of_a_model_of_another_depth_is_refused(tmp_path: Path, made_for: int, put_on: int) -> None:
    place = saved_adapter(tmp_path, build_model("llama", num_hidden_layers=made_for))
    with pytest.raises(
        ModelError, match=r"does not fit LlamaForCausalLM: 4 (of 12 weights are missing|that were found)"
    ):
        load_adapter(build_model("llama", num_hidden_layers=put_on), place)


def test_embeddings_saved_beside_an_adapter_arrive(tmp_path: Path) -> None:
    torch.manual_seed(0)
    base = build_model("llama")
    adapted = get_peft_model(base, LoraConfig(r=2, target_modules=TARGETS, task_type="CAUSAL_LM"))
    with torch.no_grad():
        base.get_input_embeddings().weight.add_(1.0)
    adapted.save_pretrained(str(tmp_path), save_embedding_layers=True)
    loaded = load_adapter(build_model("llama"), tmp_path)
    assert torch.equal(loaded.get_input_embeddings().weight, base.get_input_embeddings().weight)
    change(tmp_path / "adapter_model.safetensors", without("layers.1"))
    with pytest.raises(ModelError, match="4 of 8 weights are missing"):
        load_adapter(build_model("llama"), tmp_path)


def test_a_base_of_another_name_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Of the same shape, it fits; what the adapter learned is lost all the same."""
    ours, other = save_model(tmp_path / "ours"), save_model(tmp_path / "other")
    place = saved_adapter(tmp_path / "adapter", load_model(ours)[0])
    load_adapter(load_model(ours)[0], place)
    load_adapter(load_model(f"{ours}/../ours")[0], place)
    assert "was trained on" not in capsys.readouterr().err
    load_adapter(load_model(other)[0], place)
    said = capsys.readouterr().err
    assert "was trained on" in said
    assert repr(ours) in said
    assert repr(other) in said


def configured(place: Path, **settings: Any) -> None:
    file = place / "config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **settings}))


def saved_base(place: Path, architecture: str = "llama", **overrides: Any) -> Path:
    build_model(architecture, **overrides).save_pretrained(place)
    byte_level(bos=False).save_pretrained(place)
    return place


BASES: dict[str, tuple[str, Callable[[Path], None], str]] = {
    "no head": (
        "llama",
        lambda p: change(p / "model.safetensors", without("lm_head")),
        r"1 of 21 .* \(lm_head.weight\)",
    ),
    "no layer": ("llama", lambda p: change(p / "model.safetensors", without("layers.1.")), "9 of 21 weights are miss"),
    "no norm": ("llama", lambda p: change(p / "model.safetensors", without("model.norm")), r"\(model.norm.weight\)"),
    "other names": (
        "llama",
        lambda p: change(p / "model.safetensors", renamed("layers", "blocks")),
        "18 of 21 weights",
    ),
    "more layers asked for": ("llama", lambda p: configured(p, num_hidden_layers=3), "9 of 30 weights are missing"),
    "fewer layers asked for": ("llama", lambda p: configured(p, num_hidden_layers=1), "9 that were found .*layers.1"),
    "other sizes": ("llama", lambda p: configured(p, intermediate_size=40), r"6 of 21 have another shape .*\[32, 48\]"),
    "biases left out": (
        "qwen2",
        lambda p: configured(p, model_type="llama", architectures=["LlamaForCausalLM"]),
        "6 that were found .*k_proj.bias",
    ),
}


@pytest.mark.parametrize("damage", BASES)
def test_a_base_whose_weights_do_not_all_arrive_is_refused(tmp_path: Path, damage: str) -> None:
    """transformers fills in random numbers, others at each load, and leaves out what it has no place for."""
    architecture, how, told = BASES[damage]
    place = saved_base(tmp_path, architecture)
    how(place)
    with pytest.raises(ModelError, match=told):
        load_model(str(place))


def test_a_base_with_a_shard_that_is_missing_from_the_index_is_refused(tmp_path: Path) -> None:
    byte_level(bos=False).save_pretrained(tmp_path)
    build_model("llama").save_pretrained(tmp_path, max_shard_size="20KB")
    index, shard = tmp_path / "model.safetensors.index.json", sorted(tmp_path.glob("*-of-*.safetensors"))[1]
    shard.unlink()
    with pytest.raises(ModelError, match=shard.name):
        load_model(str(tmp_path))
    content = json.loads(index.read_text())
    content["weight_map"] = {name: file for name, file in content["weight_map"].items() if file != shard.name}
    index.write_text(json.dumps(content))
    with pytest.raises(ModelError, match="weights are missing"):
        load_model(str(tmp_path))


@pytest.mark.parametrize("settings", [{}, {"tie_word_embeddings": True}], ids=str)
@pytest.mark.parametrize("architecture", ["llama", "gpt2", "bloom", "gemma2"])
def test_a_base_that_is_whole_is_taken_in_silence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], architecture: str, settings: dict[str, Any]
) -> None:
    """Tied heads are in no file; buffers are worked out."""
    made = build_model(architecture, **settings)
    made.save_pretrained(tmp_path)
    byte_level(bos=False).save_pretrained(tmp_path)
    capsys.readouterr()
    loaded = load_model(str(tmp_path))[0]
    assert all(torch.equal(weight, loaded.get_parameter(name)) for name, weight in made.named_parameters())
    assert "weights" not in capsys.readouterr().err


def test_parts_that_the_model_does_not_have_are_told_and_left_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = saved_base(tmp_path)
    more = {
        "vision_tower.layers.0.weight": torch.ones(2),
        "model.layers.0.self_attn.rotary_emb.inv_freq": torch.ones(4),
    }
    change(place / "model.safetensors", lambda state: {**state, **more})
    capsys.readouterr()
    load_model(str(place))
    said = capsys.readouterr().err
    assert "1 weights in the files of" in said
    assert "vision_tower.layers.0.weight" in said
    assert "LOAD REPORT" not in said


def test_an_adapter_is_not_taken_for_a_base(tmp_path: Path) -> None:
    """transformers loads the base it names and puts the adapter in; training would then wipe it."""
    base = save_model(tmp_path / "base")
    place = saved_adapter(tmp_path / "adapter", load_model(base)[0])
    byte_level(bos=False).save_pretrained(place)
    for load in (load_model, load_tokenizer):
        with pytest.raises(ModelError, match="is an adapter, not a model: expected a base model"):
            load(str(place))


def test_a_run_is_not_taken_for_a_base(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("task: tomato-salad\n")
    with pytest.raises(ModelError, match="is the directory of a run, not a model"):
        load_model(str(tmp_path))


@pytest.mark.parametrize(
    "command",
    [
        ["train", "tomato-salad", "--out"],
        ["evaluate", "--task", "tomato-salad", "--episodes", "1"],
        ["score", "--prompt", "You should", "--action", "sing"],
        ["check-env", "tomato-salad"],
        ["play", "tomato-salad", "--player", "model"],
    ],
    ids=lambda words: words[0],
)
def test_every_command_refuses_an_adapter_as_model(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: list[str]
) -> None:
    place = saved_adapter(tmp_path / "adapter")
    words = [*command, str(tmp_path / "run")] if command[-1] == "--out" else command
    assert main([*words, "--model", str(place)]) == 2
    said = capsys.readouterr().err
    assert "is an adapter, not a model" in said
    assert "Traceback" not in said
    assert not (tmp_path / "run").exists()


def test_a_weight_that_changed_is_noticed_whatever_its_type() -> None:
    model = build_model("llama").to(torch.bfloat16)
    model.register_buffer("odd", torch.zeros(3, dtype=torch.int8))
    weights = Weights(model)
    assert not weights.changed()
    model.odd[2] = 1
    model.model.norm.weight.data[31] += 1
    model.lm_head.weight.data = model.lm_head.weight.data * 2
    assert weights.changed() == ["model.norm.weight", "lm_head.weight", "odd"]
