"""Action spans are exact, or the decision is refused."""

from __future__ import annotations

import warnings
from typing import Any

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from tests.scoring.oracle import DECISIONS
from tests.tiny import VOCABULARY, build_model, byte_level
from twosome import Decision, score
from twosome.errors import InvalidDecision, TokenizationError
from twosome.scorer import Scorer
from twosome.tokens.encoding import Encoder, LongPrompts, encode_decision


def test_spans_decode_to_the_action(tokenizer: Any) -> None:
    """Published trap 1: the span was found by tokenising the action alone, right for one tokenizer only."""
    for decision in DECISIONS:
        encoded = encode_decision(tokenizer, decision)
        for action, ids in zip(decision.actions, encoded.action_ids, strict=True):
            assert tokenizer.decode(list(ids)).strip() == action


def test_a_closing_special_token_is_not_part_of_the_action() -> None:
    tokenizer = byte_level(bos=True, eos=True)
    encoded = encode_decision(tokenizer, DECISIONS[0])
    assert encoded.prompt_ids[0] == tokenizer.bos_token_id
    assert all(tokenizer.eos_token_id not in ids for ids in (encoded.prompt_ids, *encoded.action_ids))


def test_a_tokenizer_that_merges_across_the_boundary_is_refused() -> None:
    """A tokenizer without pre-tokenisation may hold "now pick" as one token."""
    vocabulary = {"<unk>": 0, "now": 1, " ": 2, "pick": 3, "now ": 4}
    merging = Tokenizer(models.WordPiece(vocabulary, unk_token="<unk>", continuing_subword_prefix=""))
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=merging, unk_token="<unk>")
    with pytest.raises(TokenizationError, match="merges the end of the prompt"):
        encode_decision(tokenizer, Decision("now", ("pick",)))


def test_a_prompt_without_tokens_is_refused() -> None:
    empty = Tokenizer(models.WordLevel({"a": 0}, unk_token="a"))
    empty.pre_tokenizer = pre_tokenizers.Split("?", "removed")
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=empty)
    with pytest.raises(TokenizationError, match="no tokens for the prompt"):
        encode_decision(tokenizer, Decision("?", ("a",)))


def test_a_sentence_longer_than_the_context_is_refused_by_its_length() -> None:
    model, tokenizer = build_model("llama", max_position_embeddings=32), byte_level(bos=False)
    with pytest.raises(TokenizationError, match="reads at most 32"):
        score(model, tokenizer, [Decision("very " * 30 + "long", ("prompt",))])


LONG = Decision("one two three four five six seven eight nine ten " * 4 + "now", ("go", "pick up the tomato"))


@pytest.mark.parametrize("bos", [False, True])
@pytest.mark.parametrize("rule", ["keep_end", "keep_start"])
def test_a_long_prompt_is_cut_as_the_user_chose_and_that_is_told(rule: LongPrompts, bos: bool) -> None:
    tokenizer = byte_level(bos=bos)
    whole = encode_decision(tokenizer, LONG)
    longest = max(map(len, whole.action_ids))
    with pytest.warns(UserWarning, match=f"prompts are cut: .* reads at most 40, and long_prompts is {rule}"):
        encoded = Encoder(tokenizer, 40, long_prompts=rule).encode(LONG)
    assert encoded.action_ids == whole.action_ids
    assert len(encoded.prompt_ids) + longest == 40
    assert encoded.cut == len(whole.prompt_ids) - len(encoded.prompt_ids) > 0
    text = whole.prompt_ids[bos:]
    kept = encoded.prompt_ids[bos:]
    assert kept == (text[-len(kept) :] if rule == "keep_end" else text[: len(kept)])
    assert encoded.prompt_ids[:bos] == whole.prompt_ids[:bos]


def test_a_prompt_alone_is_cut_to_the_context_too() -> None:
    """The critic reads prompts alone; one too long for the model once reached it unchecked."""
    tokenizer = byte_level(bos=True)
    with pytest.raises(TokenizationError, match="reads at most 40"):
        Encoder(tokenizer, 40).encode_prompt(LONG.prompt)
    with pytest.warns(UserWarning, match="prompts are cut"):
        assert len(Encoder(tokenizer, 40, long_prompts="keep_end").encode_prompt(LONG.prompt)) == 40


def test_an_action_is_never_cut() -> None:
    encoder = Encoder(byte_level(bos=True), 40, long_prompts="keep_end")
    with pytest.raises(TokenizationError, match="the action's, which is never cut"):
        encoder.encode(Decision("now", (LONG.prompt,)))


def test_a_prompt_that_fits_is_never_cut() -> None:
    tokenizer = byte_level(bos=True)
    assert Encoder(tokenizer, 40, long_prompts="keep_end").encode(DECISIONS[0]) == encode_decision(
        tokenizer, DECISIONS[0]
    )


@pytest.mark.parametrize("typed", ["<s>", "<s><s>"])
@pytest.mark.parametrize("eos", [False, True])
def test_a_prompt_has_one_beginning(typed: str, eos: bool) -> None:
    """A prompt that was copied with its <s> got a second one, which cost 0.28 nats."""
    encoder = Encoder(byte_level(bos=True, eos=eos))
    plain, begun = (Decision(f"{begin}You should now", ("chop", "sing")) for begin in ("", typed))
    assert encoder.encode(begun) == encoder.encode(plain)
    assert encoder.encode_prompt(begun.prompt) == encoder.encode_prompt(plain.prompt)


def test_a_beginning_that_was_typed_stays_where_the_tokenizer_adds_none() -> None:
    encoded = encode_decision(byte_level(bos=False), Decision("<s>You should now", ("chop",)))
    assert encoded.prompt_ids[0] == 1
    assert 1 not in encoded.prompt_ids[1:]


@pytest.mark.parametrize(
    ("prompt", "action"),
    [("You should</s> now", "go"), ("You should now</s>", "go"), ("You should now", "go </s>"), ("Do<s>now", "go")],
)
@pytest.mark.parametrize("bos", [False, True])
def test_special_tokens_in_a_text_are_told_once(prompt: str, action: str, bos: bool) -> None:
    encoder = Encoder(byte_level(bos=bos, eos=bos))
    with pytest.warns(UserWarning, match="</?s>' in .* is read as the special token [12], not as text"):
        encoder.encode(Decision(prompt, (action, "sing")))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        encoder.encode(Decision(prompt, (action, "chop")))
        Encoder(byte_level(bos=bos, eos=bos)).encode(DECISIONS[0])


@pytest.mark.parametrize(
    ("prompt", "actions", "message"),
    [
        ("", ("go",), "non-empty"),
        ("now ", ("go",), "white space"),
        ("now", (), "empty"),
        ("now", ("go", "go"), "listed twice"),
        ("now", (" go",), "white space"),
        ("now", ("",), "non-empty"),
        ("now", "go", "tuple"),
    ],
)
def test_a_malformed_decision_is_refused(prompt: str, actions: Any, message: str) -> None:
    with pytest.raises(InvalidDecision, match=message):
        Decision(prompt, actions)


def test_a_tokenizer_whose_settings_have_a_wrong_type() -> None:
    """Its longest text was a text; comparing lengths with it was a traceback."""
    tokenizer = byte_level(bos=False)
    tokenizer.model_max_length = "<s>"
    with pytest.raises(TokenizationError, match=r"cannot read 'now go' \(TypeError: .*\); its files may be damaged"):
        encode_decision(tokenizer, Decision("now", ("go",)))


def test_a_token_that_the_model_has_no_embedding_for() -> None:
    """It was an index out of range, deep in the model."""
    tokenizer, model = byte_level(bos=False), build_model("llama")
    tokenizer.add_tokens([*(f"<{number}>" for number in range(VOCABULARY)), "pancake"])
    scorer = Scorer(model, tokenizer)
    for read in (lambda: scorer.scores([Decision("now", ("pancake",))]), lambda: scorer.features(["pancake"])):
        with pytest.raises(TokenizationError, match=r"gives the token \d+ \('pancake'\).* for 400 tokens"):
            read()
    assert scorer.scores([Decision("now", ("go",))]).token_log_probs.isfinite().all()


def test_an_unknown_token_that_is_itself_unknown() -> None:
    """To find its number, transformers asked for the number of the unknown token, without end."""
    tokenizer = byte_level(bos=False)
    tokenizer.unk_token = ""
    with pytest.raises(TokenizationError, match="does not know its own special tokens"):
        Encoder(tokenizer)
