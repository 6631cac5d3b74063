"""Texts are split as a tokenizer's own file says, and with an adapter's own tokenizer."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerBase

from tests.tiny import TEXT, VOCABULARY, build_model, byte_level, save_model, sentencepiece
from twosome.decision import Decision
from twosome.errors import ModelError
from twosome.models.loading import load_tokenizer
from twosome.runs.agents import load_agent
from twosome.tokenizing import reading as module
from twosome.tokenizing.reading import PROBES

CUTS: dict[str, Any] = {
    "each digit": pre_tokenizers.Sequence(
        [pre_tokenizers.Split(Regex(r"\d"), "isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    ),
    "at spaces alone": pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(r"\s?\S+"), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    ),
}
CLASSES = {
    "GPT2Tokenizer": "gpt2",
    "Qwen2Tokenizer": "qwen2",
    "GPTNeoXTokenizer": "gpt_neox",
    "CohereTokenizer": "cohere",
    "RobertaTokenizer": "roberta",
    "LlamaTokenizer": "llama",
    "GemmaTokenizer": "gemma",
    "T5Tokenizer": "t5",
    None: "gpt2",
}


def save(place: Path, cut: Any, bos: bool, kind: str | None, model_type: str, **settings: Any) -> Tokenizer:
    """A tokenizer with digits and spaces in its vocabulary, which some class is named for."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=["<pad>", "<s>", "</s>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(["12 2024", "a  b   c", "don't I'll", "x\ny\n\n"] * 9 + TEXT, trainer)
    tokenizer.pre_tokenizer, tokenizer.decoder = cut, decoders.ByteLevel()
    if bos:
        tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    place.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(place / "tokenizer.json"))
    settings = {"bos_token": "<s>", "eos_token": "</s>", "pad_token": "<pad>", **settings}
    settings |= {"tokenizer_class": kind} if kind else {}
    (place / "tokenizer_config.json").write_text(json.dumps(settings))
    (place / "config.json").write_text(json.dumps({"model_type": model_type}))
    return tokenizer


@pytest.mark.parametrize("bos", [False, True], ids=["", "BOS"])
@pytest.mark.parametrize("cut", CUTS)
@pytest.mark.parametrize("kind", CLASSES, ids=str)
def test_the_file_is_followed_whatever_class_is_named(kind: str | None, cut: str, bos: bool, tmp_path: Path) -> None:
    """transformers rebuilds a tokenizer from its class: "12" became one token, where the model had learned two."""
    own = save(tmp_path, CUTS[cut], bos, kind, CLASSES[kind])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        loaded = load_tokenizer(str(tmp_path))
    for text in (*PROBES, "Turn 12 of 2024:  don't"):
        assert loaded(text)["input_ids"] == own.encode(text).ids, text
    assert (loaded.bos_token, loaded.eos_token, loaded.pad_token) == ("<s>", "</s>", "<pad>")


def test_a_class_that_splits_otherwise_is_told_with_a_text_and_both_splits(tmp_path: Path) -> None:
    save(tmp_path, CUTS["each digit"], False, "GPT2Tokenizer", "gpt2")
    with pytest.warns(UserWarning, match=r"class GPT2Tokenizer splits '12 .* into 12 \| .*json into 1 \| 2 .* is foll"):
        load_tokenizer(str(tmp_path))


@pytest.mark.parametrize("kind", ["GPT2Tokenizer", "CohereTokenizer", "LlamaTokenizer", "PreTrainedTokenizerFast"])
def test_what_was_chosen_is_loaded_at_once_the_next_time(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A vocabulary was read three times, a second of every start."""
    monkeypatch.setenv("TWOSOME_CACHE", str(tmp_path / "cache"))
    save(tmp_path / "model", CUTS["each digit"], True, kind, CLASSES.get(kind, "llama"), extra_special_tokens=["bowl"])
    loads: list[str] = []
    real = PreTrainedTokenizerBase._from_pretrained.__func__

    def counting(cls: type, *arguments: Any, **more: Any) -> Any:
        loads.append(cls.__name__)
        return real(cls, *arguments, **more)

    monkeypatch.setattr(PreTrainedTokenizerBase, "_from_pretrained", classmethod(counting))
    seen = []
    for _ in range(2):
        loads.append("start")
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            loaded = load_tokenizer(str(tmp_path / "model"))
        backend = loaded.backend_tokenizer.to_str()
        special = [getattr(loaded, name) for name in module._SPECIAL]
        ids = [loaded(text)["input_ids"] for text in PROBES]
        seen.append((type(loaded), backend, special, ids, [str(warning.message) for warning in told]))
    assert seen[0] == seen[1]
    assert len(loads[loads.index("start", 1) :]) == 2
    (tmp_path / "model" / "tokenizer_config.json").write_text("{}")  # everything beside it counts
    loads.clear()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        load_tokenizer(str(tmp_path / "model"))
    assert loads
    assert len(list((tmp_path / "cache" / "tokenizers").iterdir())) == 2


@pytest.mark.parametrize("record", ["{}", '{"follows": "file", "special": [], "told": []}', "[", '{"follows": "x"}'])
def test_a_damaged_choice_is_made_again(record: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TWOSOME_CACHE", str(tmp_path / "cache"))
    own = save(tmp_path / "model", CUTS["each digit"], False, "GPT2Tokenizer", "gpt2")
    for _ in range(2):
        with pytest.warns(UserWarning, match="described in two ways"):
            loaded = load_tokenizer(str(tmp_path / "model"))
        assert loaded("2024")["input_ids"] == own.encode("2024").ids
        (kept,) = (tmp_path / "cache" / "tokenizers").iterdir()
        kept.write_text(record)


def test_a_class_that_splits_as_the_file_does_is_kept_in_silence(tmp_path: Path) -> None:
    save(tmp_path, CUTS["each digit"], False, "PreTrainedTokenizerFast", "llama")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        load_tokenizer(str(tmp_path))
        load_tokenizer("embedded")


def test_tokens_that_the_configuration_adds_are_followed_and_told(tmp_path: Path) -> None:
    save(tmp_path, CUTS["each digit"], False, "PreTrainedTokenizerFast", "llama", extra_special_tokens=["tomato"])
    with pytest.warns(
        UserWarning, match=r"tokenizer_config.json splits .* \| tomato \| .* the configuration is followed"
    ):
        loaded = load_tokenizer(str(tmp_path))
    assert loaded("tomato")["input_ids"] == [VOCABULARY]


def test_what_a_sentencepiece_model_needs_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """transformers asks for tiktoken."""
    sentencepiece(tmp_path)
    monkeypatch.setitem(__import__("sys").modules, "sentencepiece", None)
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    with pytest.raises(
        ModelError, match=r"its tokenizer\.model needs sentencepiece and protobuf: pip install sentencep"
    ):
        load_tokenizer(str(tmp_path))


def adapter_with_tokens(place: Path, *, embeddings: bool, tied: bool) -> tuple[Any, Any]:
    """A base, an adapter trained with two more tokens, and the model and tokenizer they make."""
    base = build_model("llama", tie_word_embeddings=tied)
    base.save_pretrained(place / "base")
    tokenizer = byte_level(bos=False)
    tokenizer.save_pretrained(place / "base")
    tokenizer.add_tokens([f"<extra{i}>" for i in range(VOCABULARY - len(tokenizer))] + ["<tomato>", "<bowl>"])
    torch.manual_seed(1)
    model = build_model("llama", tie_word_embeddings=tied)
    if embeddings:
        model.resize_token_embeddings(len(tokenizer), mean_resizing=False)
    model = get_peft_model(model, LoraConfig(r=2, target_modules=["q_proj"], init_lora_weights=False)).eval()
    model.save_pretrained(str(place / "adapter"), save_embedding_layers=embeddings)
    tokenizer.save_pretrained(place / "adapter")
    return model, tokenizer


@pytest.mark.parametrize("tied", [False, True], ids=["", "tied"])
def test_the_tokenizer_beside_an_adapter_is_used(tied: bool, tmp_path: Path) -> None:
    """Its added tokens were once read as the letters of their names."""
    from twosome import score

    model, tokenizer = adapter_with_tokens(tmp_path, embeddings=True, tied=tied)
    decision = Decision("You see the <tomato>, so you should now", ("take the <bowl>", "chop the <tomato>"))
    agent = load_agent(tmp_path / "adapter", model=str(tmp_path / "base"))
    found, expected = agent.language.scorer.scores([decision]), score(model, tokenizer, [decision])
    assert torch.equal(found.token_mask, expected.token_mask)
    torch.testing.assert_close(found.token_log_probs, expected.token_log_probs, atol=1e-6, rtol=0)


def test_more_tokens_than_embeddings_are_told_with_both_sizes(tmp_path: Path) -> None:
    adapter_with_tokens(tmp_path, embeddings=False, tied=False)
    with pytest.raises(ModelError, match="has 402 tokens, but LlamaForCausalLM has embeddings for 400"):
        load_agent(tmp_path / "adapter", model=str(tmp_path / "base"))


def test_embeddings_of_another_size_are_told_with_both_sizes(tmp_path: Path) -> None:
    """The reason was cut off after "Error(s) in loading state_dict for PeftModelForCausalLM:"."""
    adapter_with_tokens(tmp_path, embeddings=True, tied=False)
    for file in (tmp_path / "adapter").glob("*token*"):
        file.unlink()
    with pytest.raises(ModelError, match=r"402.*400"):
        load_agent(tmp_path / "adapter", model=save_model(tmp_path / "other"))
