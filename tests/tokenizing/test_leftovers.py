"""A tokenizer does without the lists it was made from, and does the same as before."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
from transformers import AutoTokenizer, GemmaTokenizer, WhisperTokenizer

from twosome.models.loading import load_tokenizer
from twosome.tokenizing.leftovers import without_parts
from twosome.tokenizing.reading import PROBES

WORDS = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>", "▁", *"abcdefghijklmnopqrstuvwxyz", "th", "the"]
MERGES = [("t", "h"), ("th", "e")]


@pytest.fixture
def gemma() -> Any:
    """As transformers makes it, in small."""
    return GemmaTokenizer(vocab={word: number for number, word in enumerate(WORDS)}, merges=MERGES)


def test_nothing_it_does_changes(gemma: Any, tmp_path: Path) -> None:
    assert {"_vocab", "_merges"} <= vars(gemma).keys()  # or there is nothing to do here any more
    before = [gemma(text)["input_ids"] for text in (*PROBES, "the thread")]
    assert without_parts(gemma) is gemma
    assert not {"_vocab", "_merges"} & vars(gemma).keys()
    gemma.save_pretrained(tmp_path)
    for each in (gemma, copy.deepcopy(gemma), AutoTokenizer.from_pretrained(tmp_path), load_tokenizer(str(tmp_path))):
        assert [each(text)["input_ids"] for text in (*PROBES, "the thread")] == before
        assert each.get_vocab().keys() == set(WORDS)
        assert each.decode(each("the")["input_ids"], skip_special_tokens=True) == "the"


def test_one_that_is_loaded_does_without(gemma: Any, tmp_path: Path) -> None:
    gemma.save_pretrained(tmp_path)
    assert not {"_vocab", "_merges"} & vars(load_tokenizer(str(tmp_path))).keys()


def test_what_a_class_looks_at_stays(tmp_path: Path) -> None:
    whisper = WhisperTokenizer(vocab={"a": 0, "b": 1, "ab": 2, "<|endoftext|>": 3}, merges=[("a", "b")])
    without_parts(whisper).save_vocabulary(str(tmp_path))  # writes both
    assert (tmp_path / "merges.txt").is_file()


def test_a_class_of_ones_own_keeps_all(gemma: Any) -> None:
    gemma.__class__ = type("Own", (GemmaTokenizer,), {"__module__": "mine"})
    assert {"_vocab", "_merges"} <= vars(without_parts(gemma)).keys()
