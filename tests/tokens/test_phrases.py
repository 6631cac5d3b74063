"""Phrases are remembered only where no prompt can change their tokens, and then they have the same tokens."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from tokenizers import AddedToken, Regex, Tokenizer, models, normalizers, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from tests.tiny import byte_level, sentencepiece
from twosome import Decision
from twosome.models.loading import load_tokenizer
from twosome.tokens import encoding
from twosome.tokens.encoding import Encoder, encode_decision
from twosome.tokens.phrases import _LONGEST, _PARTING, parts_before_spaces
from twosome.tokens.prompting import Prompting

PIECES = (
    *"aéßж中 7'.,!?-\n\t\r\u00a0\u3000\u0301\u200b\x1f/",
    *("the", "tomato", " ", "  ", "'s", "'ll", "123", "\r\n", " \n", "😀", "<s>", "</s>", "minute 12", "e\u0301"),
)


def like(tokenizer: Any, change: Callable[[Tokenizer], None]) -> Any:
    """The tokenizer with something changed."""
    backend = Tokenizer.from_str(tokenizer.backend_tokenizer.to_str())
    change(backend)
    return PreTrainedTokenizerFast(tokenizer_object=backend, bos_token="<s>", eos_token="</s>", pad_token="<pad>")


def after(*steps: Any) -> Callable[[Tokenizer], None]:
    def change(backend: Tokenizer) -> None:
        backend.pre_tokenizer = pre_tokenizers.Sequence(list(steps))

    return change


def split(pattern: str, behavior: str = "isolated", invert: bool = False) -> Any:
    return pre_tokenizers.Split(Regex(pattern), behavior, invert)


PLAIN = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
CUTTING = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)


def nfc(backend: Tokenizer) -> None:
    backend.normalizer = normalizers.NFC()


PARTING = {
    "GPT-2": lambda: byte_level(bos=False),
    "BOS and EOS": lambda: byte_level(bos=True, eos=True),
    "NFC": lambda: like(byte_level(bos=True), nfc),
    "digits first": lambda: like(byte_level(bos=False), after(pre_tokenizers.Digits(individual_digits=True), CUTTING)),
    **{
        pattern[-60:-40]: lambda pattern=pattern: like(byte_level(bos=True), after(split(pattern), PLAIN))
        for pattern in sorted(_PARTING)
    },
}


def texts(seed: int) -> tuple[str, str]:
    """A prompt and a phrase of odd pieces."""
    rng = random.Random(seed)
    prompt, phrase = ("".join(rng.choices(PIECES, k=rng.randrange(1, 9))) for _ in range(2))
    return prompt.rstrip(), phrase.strip()


@pytest.mark.parametrize("kind", PARTING)
def test_remembered_phrases_have_the_tokens_that_they_have_behind_the_prompt(kind: str) -> None:
    tokenizer = PARTING[kind]()
    assert parts_before_spaces(tokenizer)
    encoder, tried = Encoder(tokenizer), 0
    for seed in range(400):
        prompt, phrase = texts(seed)
        if prompt and phrase:
            decision = Decision(prompt, (phrase,) if phrase == "go" else (phrase, "go"))
            # Joined, and what follows the prompt's own.
            assert encoder.encode(decision) == encode_decision(tokenizer, decision)
            tried += 1
    assert tried > 200


def test_the_embedded_model_reads_each_phrase_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def counted(tokenizer: Any, texts: Sequence[str], begins: bool) -> Any:
        asked.extend(texts)
        return read(tokenizer, texts, begins)

    read = encoding._token_ids
    monkeypatch.setattr(encoding, "_token_ids", counted)
    encoder = Encoder(load_tokenizer("embedded"))
    encoder.encode(Decision("You are hungry. You should", ("eat", "sleep")))
    encoder.encode(Decision("You are tired. You should", ("sleep", "eat")))
    assert asked == ["You are hungry. You should", " eat", " sleep", "You are tired. You should"]


def extra(**options: Any) -> Callable[[Tokenizer], None]:
    return lambda backend: backend.add_tokens([AddedToken("holding", **options)])


def spaced(backend: Tokenizer) -> None:
    backend.add_tokens([AddedToken("now go", normalized=False)])


def replaced(backend: Tokenizer) -> None:
    backend.normalizer = normalizers.Replace(" ", "_")


def no_steps(backend: Tokenizer) -> None:
    backend.pre_tokenizer = None


@pytest.mark.parametrize(
    "change",
    [
        extra(lstrip=True),
        extra(rstrip=True),
        spaced,
        replaced,
        no_steps,
        after(PLAIN),
        after(split(r"\w+ \w+"), PLAIN),
        after(split(min(_PARTING), "merged_with_next"), PLAIN),
        after(split(min(_PARTING), invert=True), PLAIN),
        after(pre_tokenizers.ByteLevel(add_prefix_space=True)),
        after(CUTTING, pre_tokenizers.ByteLevel(add_prefix_space=True, use_regex=False)),
        after(pre_tokenizers.Metaspace(), CUTTING),
    ],
)
def test_what_may_look_across_a_space_is_read_joined(change: Callable[[Tokenizer], None]) -> None:
    assert not parts_before_spaces(like(byte_level(bos=False), change))


def test_an_added_token_with_a_space_is_why() -> None:
    """Alone, the phrase has other tokens than behind this prompt, which is refused as it must be."""
    tokenizer = like(byte_level(bos=False), spaced)
    with pytest.raises(Exception, match="merges the end of the prompt"):
        Encoder(tokenizer).encode(Decision("You should now", ("go",)))


def test_other_kinds_are_read_joined(tmp_path: Any) -> None:
    class Own(PreTrainedTokenizerFast):
        def __call__(self, *arguments: Any, **named: Any) -> Any:
            return super().__call__(*arguments, **named)

    words = Tokenizer(models.WordLevel({"a": 0, "b": 1}, unk_token="a"))
    words.pre_tokenizer = CUTTING
    own = Own(tokenizer_object=byte_level(bos=False).backend_tokenizer)
    for tokenizer in (sentencepiece(tmp_path), PreTrainedTokenizerFast(tokenizer_object=words), own, object()):
        assert not parts_before_spaces(tokenizer)


def test_without_a_space_between_nothing_is_remembered() -> None:
    tokenizer = byte_level(bos=False)
    encoder = Encoder(tokenizer, prompting=Prompting(joiner="none"))
    assert encoder._phrases is None


def test_a_long_phrase_is_read_and_not_remembered() -> None:
    encoder = Encoder(byte_level(bos=False))
    assert encoder._phrases is not None
    for length in (_LONGEST, _LONGEST + 1):
        encoder.encode(Decision("You should", ("a" * length,)))
    assert encoder._phrases._short.cache_info().currsize == 1
