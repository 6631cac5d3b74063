"""Tiny models of many architectures, and tokenizers of every kind, built from nothing."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedTokenizerFast

from twosome.algorithms.config import FittedConfig, GroupsConfig, PPOConfig
from twosome.runs.trainer import train
from twosome.settings.config import CriticConfig, LoraConfig, RunConfig

TEXT = [
    "You see the tomato and the bowl on the table. You are holding nothing. You should now pick up the tomato",
    "The chopped tomato is on the cutting board, so you should now put the tomato in the bowl",
    "You are at the cutting board, holding nothing, and you should now chop the tomato or serve the dish",
    "take the bowl, walk to the cutting board, serve nothing, chop nothing, walk to the pancake, open the microwave",
]
VOCABULARY = 400

SMALL = {"vocab_size": VOCABULARY, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4}
LLAMA_LIKE = {**SMALL, "intermediate_size": 48, "num_key_value_heads": 2, "max_position_embeddings": 256}
ARCHITECTURES: dict[str, dict[str, Any]] = {
    "llama": LLAMA_LIKE,
    "mistral": {**LLAMA_LIKE, "sliding_window": 8, "head_dim": 8},
    "qwen2": LLAMA_LIKE,
    "qwen3": {**LLAMA_LIKE, "head_dim": 8},
    "gemma2": {**LLAMA_LIKE, "head_dim": 8, "sliding_window": 8, "attn_logit_softcapping": 5.0},
    "gpt_oss": {**LLAMA_LIKE, "head_dim": 8, "num_local_experts": 2, "num_experts_per_tok": 1, "sliding_window": 8},
    "gpt_neox": {**SMALL, "intermediate_size": 48, "max_position_embeddings": 256},
    "gpt2": {"vocab_size": VOCABULARY, "n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 256},
    "opt": {**SMALL, "ffn_dim": 48, "max_position_embeddings": 256, "word_embed_proj_dim": 32},
    "phi": {**SMALL, "intermediate_size": 48, "max_position_embeddings": 256},
    "bloom": {"vocab_size": VOCABULARY, "hidden_size": 32, "n_layer": 2, "n_head": 4},
    "falcon": {**SMALL, "max_position_embeddings": 256},
    "gptj": {"vocab_size": VOCABULARY, "n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 256, "rotary_dim": 4},
    "mamba": {"vocab_size": VOCABULARY, "hidden_size": 32, "num_hidden_layers": 2, "state_size": 4},
}
READERS = {"bloom": "CachedReader", "falcon": "MaskedReader", "gptj": "MaskedReader", "mamba": "PaddedReader"}


def build_model(architecture: str, **overrides: Any) -> Any:
    """A model with random weights of some size, so that errors show."""
    config = AutoConfig.for_model(
        architecture,
        **{**ARCHITECTURES[architecture], "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2, **overrides},
    )
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(config).eval().requires_grad_(False)
    for parameter in model.parameters():
        if parameter.ndim > 1:
            parameter.mul_(3.0)
    return model


def byte_level(bos: bool, side: str = "right", eos: bool = False) -> PreTrainedTokenizerFast:
    """A byte-level BPE tokenizer, like GPT-2's or, with BOS, like Llama 3's."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=["<pad>", "<s>", "</s>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(TEXT, trainer)
    if bos or eos:
        template = ["<s>"] * bos + ["$A"] + ["</s>"] * eos
        tokenizer.post_processor = processors.TemplateProcessing(
            single=" ".join(template), special_tokens=[("<s>", 1), ("</s>", 2)]
        )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", bos_token="<s>", eos_token="</s>", padding_side=side
    )


def sentencepiece(tmp_path: Any) -> Any:
    """A SentencePiece BPE tokenizer with byte fallback, like LLaMA's."""
    import sentencepiece as spm

    buffer = io.BytesIO()
    spm.SentencePieceTrainer.train(
        sentence_iterator=iter(TEXT * 4),
        model_writer=buffer,
        vocab_size=370,
        model_type="bpe",
        byte_fallback=True,
        unk_id=0,
        bos_id=1,
        eos_id=2,
        minloglevel=2,
    )
    file = tmp_path / "tokenizer.model"
    file.write_bytes(buffer.getvalue())
    (tmp_path / "tokenizer_config.json").write_text('{"tokenizer_class": "LlamaTokenizer"}')
    return transformers.AutoTokenizer.from_pretrained(str(tmp_path))


TOKENIZERS: dict[str, Callable[[Any], Any]] = {
    "byte-level": lambda tmp: byte_level(bos=False),
    "byte-level, left": lambda tmp: byte_level(bos=False, side="left"),
    "byte-level, BOS": lambda tmp: byte_level(bos=True),
    "byte-level, BOS and EOS": lambda tmp: byte_level(bos=True, eos=True),
    "sentencepiece": sentencepiece,
}


def save_model(directory: Path, architecture: str = "llama") -> str:
    """A tiny model with its tokenizer, as a directory that can be loaded."""
    build_model(architecture).save_pretrained(directory)
    byte_level(bos=False).save_pretrained(directory)
    return str(directory)


def trained(config: RunConfig, factory: pytest.TempPathFactory) -> Path:
    """The directory of a run that went from its beginning to its end."""
    torch.set_num_threads(1)
    directory = factory.mktemp("runs") / "run"
    train(config, directory)
    return directory


SETTINGS: dict[str, dict[str, Any]] = {
    "groups": {"groups": GroupsConfig(size=3, baseline="state_value", memory=2)},
    "fitted": {"fitted": FittedConfig(fit_keep=1.0)},
}
"""What a small run needs besides an algorithm's name, where the defaults would not do, or not do everything."""


def small_run(model: str, **changes: Any) -> RunConfig:
    """A run of seconds on a tiny model; its episodes are cut short so that some end."""
    settings: dict[str, Any] = {
        "task": "tomato-lettuce-salad",
        "model": model,
        "num_envs": 3,
        "rollout_steps": 8,
        "save_every": 2,
        "record_every": 1,
        "environment": {"time_limit": 30},
        "lora": LoraConfig(rank=2, targets="all-linear"),
        "critic": CriticConfig(hidden=[8], bias=True),
        "ppo": PPOConfig(policy_learning_rate=1e-2, value_learning_rate=1e-2, normalize_advantages="rollout"),
    }
    return RunConfig(**{**settings, **changes})
