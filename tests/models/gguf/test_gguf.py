"""A model in a GGUF file is the model that was written into it, or it is refused in a sentence."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from tests.gguf_files import write_gguf
from tests.tiny import TEXT, byte_level
from twosome import score
from twosome.decision import Decision
from twosome.errors import ModelError
from twosome.models.gguf.naming import find_gguf
from twosome.models.loading import load_model, load_tokenizer, locate
from twosome.tokenizing.reading import PROBES

gguf = pytest.importorskip("gguf")

DECISION = Decision(TEXT[0], ("take the bowl", "chop the tomato", "walk to the cutting board"))
WIDE = {"intermediate_size": 64}  # Q8_0 takes 32 numbers at a time


def logits(model: Any) -> torch.Tensor:
    with torch.no_grad():
        return model(torch.arange(3, 60)[None]).logits


@pytest.mark.parametrize("tied", [False, True], ids=["", "tied"])
@pytest.mark.parametrize("architecture", ["llama", "qwen2", "gemma2"])
def test_the_model_is_the_one_that_was_written(architecture: str, tied: bool, tmp_path: Path) -> None:
    """Queries and keys lie in another order in a LLaMA's file, and Gemma's norms hold one more."""
    file = tmp_path / "model.gguf"
    more = {"attn_logit_softcapping": 50.0} if architecture == "gemma2" else {}
    written = write_gguf(file, architecture, tie_word_embeddings=tied or architecture == "gemma2", **more)
    model, tokenizer = load_model(str(file))
    assert model.config.tie_word_embeddings == (tied or architecture == "gemma2")
    torch.testing.assert_close(logits(model), logits(written), atol=1e-6, rtol=0)
    with torch.no_grad():
        ours, plain = (score(each, tokenizer, [DECISION]).token_log_probs for each in (model, written))
    torch.testing.assert_close(ours, plain, atol=1e-6, rtol=0)
    assert not model.training
    assert not getattr(model, "is_quantized", False)
    model.half().save_pretrained(tmp_path / "saved")


@pytest.mark.parametrize("kind", ["F32", "F16", "BF16", "Q8_0"])
def test_weights_are_unpacked_to_the_bit(kind: str, tmp_path: Path) -> None:
    file = tmp_path / "model.gguf"
    write_gguf(file, "qwen2", kind=kind, **WIDE)
    (packed,) = (tensor for tensor in gguf.GGUFReader(file).tensors if tensor.name == "blk.1.ffn_down.weight")
    expected = torch.from_numpy(gguf.quants.dequantize(packed.data, packed.tensor_type).copy())
    model, _ = load_model(str(file), dtype="float32")
    assert torch.equal(model.model.layers[1].mlp.down_proj.weight, expected)


@pytest.mark.parametrize(("kind", "dtype"), [("F16", torch.float16), ("BF16", torch.bfloat16), ("Q8_0", torch.float32)])
def test_a_copy_has_the_precision_of_the_file(kind: str, dtype: torch.dtype, tmp_path: Path) -> None:
    file = tmp_path / "model.gguf"
    write_gguf(file, "llama", kind=kind, **WIDE)
    copy = Path(locate(str(file))[0])
    assert json.loads((copy / "config.json").read_text())["dtype"] == str(dtype).removeprefix("torch.")
    weights = load_file(copy / "model.safetensors")
    assert {weight.dtype for weight in weights.values() if weight.ndim > 1} == {dtype}


@pytest.mark.parametrize("bos", [False, True], ids=["", "BOS"])
def test_texts_are_split_as_by_the_tokenizer_that_was_written(bos: bool, tmp_path: Path) -> None:
    template = "{% for message in messages %}{{ message.content }}{% endfor %}"
    write_gguf(tmp_path / "model.gguf", "llama", bos=bos, metadata={"tokenizer.chat_template": template})
    loaded, written = load_tokenizer(str(tmp_path / "model.gguf")), byte_level(bos=bos)
    for text in (*PROBES, *TEXT, "a </s> b"):
        assert loaded(text)["input_ids"] == written(text)["input_ids"], text
    assert (loaded.bos_token, loaded.eos_token, loaded.pad_token) == ("<s>", "</s>", "<pad>")
    assert loaded.chat_template == template


def test_a_tokenizer_that_lies_beside_the_file_is_not_mixed_in(tmp_path: Path) -> None:
    (tmp_path / "tokenizer_config.json").write_text('{"bos_token": "<pad>", "tokenizer_class": "T5Tokenizer"}')
    (tmp_path / "tokenizer.json").write_text("{}")
    write_gguf(tmp_path / "model.gguf", "llama", bos=True)
    assert load_tokenizer(str(tmp_path / "model.gguf"))("a")["input_ids"][0] == 1


@pytest.mark.parametrize(
    ("cut", "text", "same"), [("smollm", "in 2024", "in 2 0 2 4"), ("qwen2", "cafe\u0301", "caf\u00e9")]
)
def test_what_a_file_only_names_of_its_tokenizer_is_known(cut: str, text: str, same: str, tmp_path: Path) -> None:
    """transformers cuts SmolLM's digits like GPT-2's, and does not compose accents for Qwen."""
    more = {"tokenizer.ggml.pre": cut}
    write_gguf(tmp_path / "model.gguf", "llama", metadata=more)
    backend = load_tokenizer(str(tmp_path / "model.gguf")).backend_tokenizer

    def cut_up(given: str) -> list[str]:
        normal = backend.normalizer.normalize_str(given) if backend.normalizer else given
        return [part.strip("Ġ") for part, _ in backend.pre_tokenizer.pre_tokenize_str(normal)]

    assert [part for part in cut_up(text) if part] == [part for part in cut_up(same) if part]


def test_a_way_to_cut_text_that_is_not_known_is_refused(tmp_path: Path) -> None:
    write_gguf(tmp_path / "model.gguf", "llama", metadata={"tokenizer.ggml.pre": "deepseek-llm"})
    with pytest.raises(
        ModelError, match=r"'deepseek-llm' .* other tokens than it was trained with; known are codeshell"
    ):
        load_tokenizer(str(tmp_path / "model.gguf"))


def test_rotary_factors_are_taken(tmp_path: Path) -> None:
    """Llama 3.1 and later have them; transformers passes over them, and computes another model."""
    rope = {"rope_type": "llama3", "rope_theta": 1e4, "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0}
    rope["original_max_position_embeddings"] = 64
    from tests.tiny import build_model

    frequencies = build_model("llama", rope_parameters=rope).model.rotary_emb.inv_freq
    plain = build_model("llama", rope_parameters={"rope_type": "default", "rope_theta": 1e4}).model.rotary_emb.inv_freq
    factors = {"rope_freqs.weight": (plain / frequencies).numpy()}
    written = write_gguf(tmp_path / "model.gguf", "llama", change=lambda t: t.update(factors), rope_parameters=rope)
    assert not torch.equal(frequencies, plain)
    torch.testing.assert_close(logits(load_model(str(tmp_path / "model.gguf"))[0]), logits(written), atol=1e-5, rtol=0)


def dropped(name: str) -> Callable[[dict[str, np.ndarray]], Any]:
    return lambda tensors: tensors.pop(name)


def added(name: str, *shape: int) -> Callable[[dict[str, np.ndarray]], Any]:
    return lambda tensors: tensors.update({name: np.ones(shape, np.float32)})


SAYS_MORE: dict[str, tuple[dict[str, Any], str]] = {
    "a weight is missing": (
        {"change": dropped("blk.1.ffn_up.weight")},
        r"1 of 21 weights are missing \(model.layers.1",
    ),
    "a norm is missing": ({"change": dropped("output_norm.weight")}, r"1 of 21 .* \(model.norm.weight\)"),
    "a weight has another shape": (
        {"change": added("blk.0.ffn_up.weight", 40, 32)},
        r"1 of 21 have another shape .*\[40, 32\] for \[48, 32\]",
    ),
    "biases have no place": (
        {"change": added("blk.0.attn_q.bias", 32)},
        r"1 of its 22 tensors .* \(blk.0.attn_q.bias\)",
    ),
    "a layer too many": ({"change": added("blk.2.ffn_up.weight", 48, 32)}, r"\(blk.2.ffn_up.weight\)"),
    "rotary scaling": (
        {"metadata": {"llama.rope.scaling.type": "linear", "llama.rope.scaling.factor": 4.0}},
        r"rope.scaling.factor is 4.0",
    ),
    "a logit scale": (
        {"metadata": {"llama.logit_scale": 0.5}},
        r"logit_scale is 0.5, and the model has no such factor",
    ),
    "soft caps": ({"metadata": {"llama.final_logit_softcapping": 30.0}}, r"final_logit_softcapping is 30.0"),
    "Gemma's own soft caps": (
        {"architecture": "gemma2", "attn_logit_softcapping": 5.0},
        r"attn_logit_softcapping is 5.0, attn_logit_softcapping became 50.0",
    ),
    "head size": ({"metadata": {"llama.attention.key_length": 16}}, r"key_length is 16, head_dim became 8"),
}


@pytest.mark.parametrize("what", SAYS_MORE)
def test_a_file_that_is_not_taken_over_as_a_whole_is_refused(what: str, tmp_path: Path) -> None:
    """transformers fills in random numbers, and passes over what it has no place for."""
    settings, told = SAYS_MORE[what]
    write_gguf(tmp_path / "model.gguf", **settings)
    with pytest.raises(ModelError, match=told):
        load_model(str(tmp_path / "model.gguf"))


def test_an_architecture_that_is_not_read_is_named_with_those_that_are(tmp_path: Path) -> None:
    write_gguf(tmp_path / "model.gguf", "llama", stated="grok")
    with pytest.raises(
        ModelError, match=r"architecture 'grok', which transformers does not read .* gemma3, .* llama, "
    ):
        load_model(str(tmp_path / "model.gguf"))


def test_a_file_that_is_cut_off_anywhere_is_refused(tmp_path: Path) -> None:
    write_gguf(tmp_path / "model.gguf", "llama")
    content = (tmp_path / "model.gguf").read_bytes()
    for part in (4, 10, 24, 100, 5000, len(content) // 2, len(content) - 40):
        file = tmp_path / f"{part}.gguf"
        file.write_bytes(content[:part])
        with pytest.raises(ModelError, match=r"the GGUF file '.*' (of .* )?is cut off"):
            load_tokenizer(str(file))


def test_a_part_is_refused_by_its_name_or_what_it_says(tmp_path: Path) -> None:
    for name, said in (("a-00001-of-00003.gguf", {"general.name": "part"}), ("b.gguf", {"split.count": 3})):
        write_gguf(tmp_path / name, "llama", metadata=said)
        with pytest.raises(ModelError, match=r"is one of 3 parts.*llama-gguf-split --merge"):
            load_model(str(tmp_path / name))


def test_what_is_no_gguf_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "model.gguf").write_bytes(b"PK\3\4 something else")
    (tmp_path / "empty.gguf").touch()
    (tmp_path / "weights.safetensors").write_bytes(bytes(20))
    for file in tmp_path.iterdir():
        with pytest.raises(ModelError, match=r"is a file, and no GGUF file: it begins with"):
            load_model(str(file))


def test_a_name_that_leads_nowhere_is_told_with_what_to_name(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"there is no GGUF file '.*gone.gguf'.*owner/repo::file.gguf"):
        load_model(str(tmp_path / "gone.gguf"))
    write_gguf(tmp_path / "there.gguf", "llama")
    with pytest.raises(
        ModelError, match=r"holds 1 GGUF file and no config.json: name the file, such as '.*there.gguf'"
    ):
        load_model(str(tmp_path))
    with pytest.raises(ModelError, match=r"there is no file 'gone.gguf' in the directory"):
        load_model(f"{tmp_path}::gone.gguf")


def test_a_file_needs_no_ending(tmp_path: Path) -> None:
    """As other programs keep them, under the name of their digest."""
    write_gguf(tmp_path / "sha256-0123", "llama")
    assert load_tokenizer(str(tmp_path / "sha256-0123"))("a")["input_ids"]


def test_a_file_in_a_hub_repository_is_named_with_two_colons(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import transformers.utils

    write_gguf(tmp_path / "model.gguf", "llama")
    asked = []

    def get(repository: str, name: str, revision: str) -> str:
        asked.append((repository, name, revision))
        return str(tmp_path / "model.gguf")

    monkeypatch.setattr(transformers.utils, "cached_file", get)
    model, _ = load_model("owner/repo::model.gguf", revision="v2")
    assert set(asked) == {("owner/repo", "model.gguf", "v2")}
    assert model.name_or_path == model.config._name_or_path == "owner/repo::model.gguf"


def test_what_is_not_installed_is_named_with_its_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_gguf(tmp_path / "model.gguf", "llama", metadata={"general.name": "not installed"})
    monkeypatch.setitem(sys.modules, "gguf", None)
    with pytest.raises(ModelError, match=r'needs what is not installed here .*: pip install "twosome\[gguf\]"'):
        load_model(str(tmp_path / "model.gguf"))


def test_a_changed_file_is_another_file_also_in_the_same_process(tmp_path: Path) -> None:
    write_gguf(tmp_path / "model.gguf", "llama")
    before = find_gguf(str(tmp_path / "model.gguf"))
    write_gguf(tmp_path / "model.gguf", "llama", metadata={"general.name": "other"})
    after = find_gguf(str(tmp_path / "model.gguf"))
    assert before is not None
    assert after is not None
    assert before.sha256 != after.sha256


@pytest.mark.parametrize(
    "said",
    [{"llama.block_count": 2**24}, {"llama.embedding_length": 2**20}, {"llama.feed_forward_length": 2**30}],
    ids=str,
)
def test_a_model_that_cannot_be_in_the_file_is_refused_before_it_is_made(said: dict[str, int], tmp_path: Path) -> None:
    """It would be made of random numbers, for hours or until no memory is left."""
    write_gguf(tmp_path / "model.gguf", "llama", metadata=said)
    with pytest.raises(
        ModelError, match=r"describes a model of \d+ layers.*, but holds 21 tensors with [\d,]+ numbers"
    ):
        load_model(str(tmp_path / "model.gguf"))
