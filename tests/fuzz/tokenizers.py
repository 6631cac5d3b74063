"""Tokenizers: damaged, changed, described in two ways."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import torch
from hypothesis import strategies as st

from tests.fuzz.bench import CONTEXT, DECISION, Bench
from tests.fuzz.inputs import VALUES, changed, damage
from twosome.errors import TwosomeError
from twosome.scorer import Scorer
from twosome.tokenizing.reading import read_tokenizer
from twosome.tokens.encoding import Encoder

CLASSES = """BertTokenizer ByT5Tokenizer CLIPTokenizer CodeGenTokenizer DebertaV2Tokenizer GPT2Tokenizer
GPTNeoXTokenizer GemmaTokenizer LlamaTokenizer LlamaTokenizerFast MistralCommonBackend NoTokenizer
PreTrainedTokenizerFast PythonBackend Qwen2Tokenizer RobertaTokenizer T5Tokenizer TokenizersBackend WhisperTokenizer
XLMRobertaTokenizer"""
NAMES = """add_bos_token add_prefix_space added_tokens_decoder additional_special_tokens auto_map backend bos_token
chat_template eos_token extra_special_tokens legacy model_input_names model_max_length pad_token padding_side
split_special_tokens tokenizer_class unk_token"""
TOKENS = st.one_of(
    st.sampled_from(["<s>", "</s>", "<pad>", "", " ", "a", "the", "<new>", "é"]),
    st.sampled_from([{"content": "<s>", "__type": "AddedToken"}, {"content": 3}, {}, ["<s>"], 3, True, None]),
)
STEPS: dict[str, list[Any]] = {
    "normalizer": [
        None,
        {"type": "Lowercase"},
        {"type": "NFKC"},
        {"type": "Replace", "pattern": {"String": " "}, "content": ""},
    ],
    "pre_tokenizer": [
        None,
        {"type": "Whitespace"},
        {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True},
    ],
    "post_processor": [None, {"type": "TemplateProcessing", "single": [], "pair": [], "special_tokens": {}}],
    "decoder": [None, {"type": "Fuse"}],
    "truncation": [{"direction": "Right", "max_length": 3, "strategy": "LongestFirst", "stride": 0}],
    "padding": [{"strategy": {"Fixed": 9}, "direction": "Left", "pad_id": 0, "pad_type_id": 0, "pad_token": "<pad>"}],
}
"""What a ``tokenizer.json`` may say besides its vocabulary."""


def _change_settings(draw: st.DrawFn, file: Path) -> None:
    """Change a tokenizer's configuration."""
    name = draw(st.sampled_from(NAMES.split()))
    kinds = {"tokenizer_class": st.sampled_from(CLASSES.split()), "added_tokens_decoder": _decoders()}
    value = draw(kinds[name] if name in kinds and draw(st.integers(0, 5)) else TOKENS | VALUES)
    content = json.loads(file.read_text()) if file.exists() else {}
    file.write_text(json.dumps({**content, name: value}))


def _decoders() -> st.SearchStrategy[Any]:
    numbers = st.sampled_from(["0", "3", "399", "400", "500", "-1", "x", str(2**31), str(2**40)])
    return st.dictionaries(numbers, TOKENS | st.just({"content": "<new>", "special": True}), max_size=3)


def _change_file(draw: st.DrawFn, file: Path) -> None:
    """Change a ``tokenizer.json``: a step, the vocabulary, an added token."""
    content = json.loads(file.read_text())
    if not (isinstance(content, dict) and isinstance(content.get("model"), dict) and content.get("added_tokens")):
        return  # changed before
    if not {"vocab", "merges"} <= content["model"].keys() or not isinstance(content["model"]["vocab"], dict):
        return
    kind = draw(st.sampled_from(["step", "step", "vocabulary", "merges", "added", "any"]))
    vocabulary, added = content["model"]["vocab"], content["added_tokens"]
    if kind == "step":
        name = draw(st.sampled_from(sorted(STEPS)))
        content[name] = draw(st.sampled_from(STEPS[name]) | VALUES)
    elif kind == "vocabulary":
        token = draw(st.sampled_from(sorted(vocabulary)))
        number = vocabulary.pop(token)
        if draw(st.booleans()):
            vocabulary[token] = draw(st.sampled_from([0, number + 1, 400, 10_000, 2**32 - 1, 2**32, -1, "1", None]))
    elif kind == "merges":
        content["model"]["merges"] = draw(st.sampled_from([[], content["model"]["merges"][3:], [["a", "b"]], ["a b"]]))
    elif kind == "added":
        token = {**draw(st.sampled_from(added)), draw(st.sampled_from(sorted(added[0]))): draw(TOKENS | VALUES)}
        content["added_tokens"] = [*added, token]
    else:
        content = changed(draw, content)
    file.write_text(json.dumps(content))


def check_tokenizers(bench: Bench, draw: st.DrawFn) -> None:
    """Tokenizers of which files were damaged or changed: a decision is read in tokens of the model, or refused."""
    place = bench.place()
    shutil.copytree(bench.tokenizer, place)
    for _ in range(draw(st.integers(1, 2))):
        kind = draw(st.sampled_from(["damaged", "settings", "settings", "file", "special"]))
        files = sorted(place.iterdir())
        if kind == "damaged" and files:
            damage(draw, draw(st.sampled_from(files)))
            break
        if kind == "file":
            _change_file(draw, place / "tokenizer.json")
        else:
            other = kind == "special"
            _change_settings(draw, place / ("special_tokens_map.json" if other else "tokenizer_config.json"))
    try:
        tokenizer = read_tokenizer(str(place), str(place))
        encoded = Encoder(tokenizer, CONTEXT).encode(DECISION)
        with torch.no_grad():
            scores = Scorer(bench.base[0], tokenizer, reader=bench.packed).scores([DECISION])
    except TwosomeError:
        return
    assert len(encoded.action_ids) == len(DECISION.actions)
    assert all(encoded.action_ids)
    assert torch.isfinite(scores.token_log_probs).all()
