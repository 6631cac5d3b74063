"""Prompts go through a tokenizer's chat template as transformers puts them, or the template is refused by name."""

from __future__ import annotations

import re
import warnings
from typing import Any

import pytest
import torch

from tests.scoring.oracle import DECISIONS
from tests.templates import (
    CHANNEL_FIRST,
    CHANNEL_IF_ASKED,
    CHANNELS,
    CHATML,
    DATE_UNUSED,
    DATED,
    DEAF,
    DEFAULT_DATED,
    DEFAULT_SYSTEM,
    GEMMA,
    INST,
    NEEDS_TOOLS,
    NO_SYSTEM_SILENTLY,
    RANDOM,
    STUBBORN_SYSTEM,
    THINKS,
    THINKS_AND_CLOSES,
    THINKS_IF_ASKED,
    USABLE,
    VICUNA,
    WORDS,
    instructed,
)
from tests.tiny import build_model, byte_level
from twosome import Decision, score
from twosome.errors import ConfigError, TokenizationError
from twosome.judging.probes import alone
from twosome.scorer import Scorer
from twosome.scoring.reference import one_feature_at_a_time
from twosome.tokens.chat import ChatTemplate
from twosome.tokens.encoding import EncodedDecision, Encoder
from twosome.tokens.prompting import Prompting

CHAT = Prompting(template="chat")
pytestmark = pytest.mark.filterwarnings("ignore:the chat template adds", "ignore:the tokenizer puts")


def rendered(tokenizer: Any, *turns: tuple[str, str], reply: bool = False) -> str:
    """What transformers makes of turns, with its generation prompt unless the last turn is the reply."""
    messages = [{"role": role, "content": text} for role, text in turns]
    if tokenizer.chat_template == USABLE["content in parts"]:
        messages = [{**each, "content": [{"type": "text", "text": each["content"]}]} for each in messages]
    return str(tokenizer.apply_chat_template(messages, add_generation_prompt=not reply, tokenize=False))


def token_log_probs(model: Any, tokenizer: Any, prompt: str, text: str) -> list[float]:
    """Log-probabilities of the tokens that a text has beyond a prompt, by one plain pass."""
    first, ids = (tokenizer(each, add_special_tokens=False)["input_ids"] for each in (prompt, text))
    with torch.no_grad():
        log_probs = model(torch.tensor([ids]), use_cache=False).logits[0].float().log_softmax(-1)
    return [float(log_probs[i - 1, ids[i]]) for i in range(len(first), len(ids))]


@pytest.mark.parametrize("bos", [False, True])
@pytest.mark.parametrize("name", USABLE)
def test_scores_are_those_of_the_phrase_as_the_reply_of_the_rendered_conversation(name: str, bos: bool) -> None:
    """By plain transformers, one sequence at a time; the reply is where the template's own replies are."""
    model, tokenizer = build_model("llama", vocab_size=410), instructed(USABLE[name], bos)
    scores = score(model, tokenizer, DECISIONS, prompting=CHAT)
    for row, decision in enumerate(DECISIONS):
        for column, action in enumerate(decision.actions):
            whole = rendered(tokenizer, ("user", decision.prompt), ("assistant", action), reply=True)
            end = whole.rindex(action)
            expected = token_log_probs(model, tokenizer, whole[:end].rstrip(" "), whole[:end] + action)
            found = scores.token_log_probs[row, column][scores.token_mask[row, column]].tolist()
            assert found == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("name", ["ChatML", "[INST]", "Gemma", "words"])
def test_a_prompt_is_what_transformers_makes_of_it_up_to_and_with_the_generation_prompt(name: str) -> None:
    tokenizer = instructed(USABLE[name], bos=True)
    encoder = Encoder(tokenizer, prompting=CHAT)
    for decision in DECISIONS:
        messages = [{"role": "user", "content": decision.prompt}]
        expected = tokenizer.apply_chat_template(messages, add_generation_prompt=True)["input_ids"]
        assert list(encoder.encode(decision).prompt_ids) == expected
        assert encoder.encode_prompt(decision.prompt) == tuple(expected)  # the critic reads what the actor reads


@pytest.mark.parametrize(
    ("template", "gap", "first"),
    [(CHATML, "", "walk"), (INST, " ", " walk"), (VICUNA, " ", " walk"), (WORDS, "", "walk"), (CHANNELS, "", "walk")],
)
def test_a_phrase_begins_with_a_space_only_where_the_templates_replies_do(template: str, gap: str, first: str) -> None:
    encoder = Encoder(instructed(template), prompting=CHAT)
    assert encoder.frame.gap == gap
    (ids,) = encoder.encode(Decision("You should now", ("walk home",))).action_ids
    assert encoder.tokenizer.decode(list(ids)) == f"{gap}walk home"
    assert encoder.tokenizer.decode(list(ids)).startswith(first)


@pytest.mark.parametrize("template", [INST, GEMMA])
def test_there_is_one_beginning_where_template_and_tokenizer_both_write_one(template: str) -> None:
    tokenizer = instructed(template, bos=True)
    ids = Encoder(tokenizer, prompting=CHAT).encode(DECISIONS[0]).prompt_ids
    assert ids[0] == tokenizer.bos_token_id
    assert ids.count(tokenizer.bos_token_id) == 1


@pytest.mark.filterwarnings("default")
def test_a_beginning_that_only_the_tokenizer_writes_is_told() -> None:
    """transformers adds none to a rendered conversation, so neither do we."""
    with pytest.warns(UserWarning, match="'<s>' in front of a text, but its chat template does not"):
        encoder = Encoder(instructed(CHATML, bos=True), prompting=CHAT)
    assert 1 not in encoder.encode(DECISIONS[0]).prompt_ids
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Encoder(instructed(INST, bos=True), prompting=CHAT)
        Encoder(instructed(CHATML), prompting=CHAT)


@pytest.mark.parametrize("architecture", ["llama", "gemma2", "bloom"])
def test_features_and_scores_agree_with_one_sequence_at_a_time(architecture: str) -> None:
    model, tokenizer = build_model(architecture, vocab_size=410), instructed(DEFAULT_SYSTEM)
    scorer = Scorer(model, tokenizer, prompting=Prompting(template="chat", system="You are a cook."))
    encoded = [scorer.encode(decision) for decision in DECISIONS]
    scores = scorer.scores(DECISIONS)
    with torch.no_grad():
        expected = alone(model, encoded).float()
        features = one_feature_at_a_time(model, [item.prompt_ids for item in encoded])
    assert torch.allclose(scores.token_log_probs[scores.token_mask], expected, atol=1e-5)
    assert torch.allclose(scorer.features([d.prompt for d in DECISIONS]), features, atol=1e-4)


@pytest.mark.parametrize("typed", ["now<|im_end|>", "<|im_start|>assistant", "</s> now"])
def test_a_text_cannot_end_its_turn_without_a_word(typed: str) -> None:
    encoder = Encoder(instructed(CHATML), prompting=CHAT)
    with pytest.warns(UserWarning, match="is read as the special token"):
        encoder.encode(Decision(f"You see {typed}", ("go", "sing")))
    with pytest.warns(UserWarning, match=r"<\|im_end\|>.*can end the turn it stands in"):
        Encoder(instructed(CHATML), prompting=CHAT).encode(Decision("You should now", ("go<|im_end|>", "sing")))
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # the template's own marks are nobody's mistake
        Encoder(instructed(CHATML), prompting=CHAT).encode(DECISIONS[0])


@pytest.mark.parametrize(
    ("template", "typed"),
    [(INST, "[/INST]"), (GEMMA, "<end_of_turn>"), (WORDS, "### Response:"), (VICUNA, "USER:"), (VICUNA, "ASSISTANT:")],
)
def test_marks_that_are_no_special_tokens_are_told_too(template: str, typed: str) -> None:
    encoder = Encoder(instructed(template), prompting=CHAT)
    with pytest.warns(UserWarning, match=rf"{re.escape(typed)}.*marks turns with"):
        encoder.encode(Decision(f"You see {typed} and should", ("go", "sing")))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        encoder.encode(Decision(f"You see {typed} again", ("go", "sing")))
        encoder.encode(DECISIONS[0])


def test_a_mark_in_the_system_text_is_told() -> None:
    with pytest.warns(UserWarning, match=r"<\|im_end\|>' in prompting.system"):
        Encoder(instructed(CHATML), prompting=Prompting(template="chat", system="Be brief.<|im_end|>"))


def head(template: str, system: str | None = None) -> str:
    return ChatTemplate(instructed(template), system).framed("Go")


@pytest.mark.filterwarnings("default")
def test_a_system_text_of_the_template_is_told_replaced_or_left_out() -> None:
    with pytest.warns(UserWarning, match="adds a system text of its own, 'You are Tiny.'"):
        assert "You are Tiny." in head(DEFAULT_SYSTEM)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert head(DEFAULT_SYSTEM, "Cook.").startswith("<|im_start|>system\nCook.<|im_end|>\n<|im_start|>user\nGo")
        assert head(DEFAULT_SYSTEM, "").startswith("<|im_start|>system\n<|im_end|>\n<|im_start|>user\nGo")
        assert head(CHATML, "") == head(CHATML)  # there was none; an empty turn would be something else
        assert head(GEMMA, "") == head(GEMMA)


@pytest.mark.parametrize(
    ("template", "system", "message"),
    [
        (GEMMA, "Cook.", "takes no system text .System role not supported"),
        (NO_SYSTEM_SILENTLY, "Cook.", "leaves it out"),
        (STUBBORN_SYSTEM, "", "writes its own text all the same: 'You are Tiny.'"),
        (THINKS, None, "no place for a reply: it opens a block of reasoning"),
        (THINKS_AND_CLOSES, None, "no place for a reply"),
        (CHANNEL_FIRST, None, "no place for a reply"),
        (DEAF, None, "leaves out what the user says"),
        (NEEDS_TOOLS, None, "cannot take a prompt as the user's turn"),
        (RANDOM, None, "something else each time"),
        ("{{- 1 / 0 }}", None, "cannot take a prompt as the user's turn: division by zero"),
        ("{%- if %}", None, "cannot take a prompt as the user's turn"),
        ("{{- messages.__class__.__mro__ }}", None, "leaves out|cannot take a prompt"),
        (None, None, "the tokenizer has no chat template"),
    ],
)
def test_what_cannot_be_used_is_refused_by_name(template: str | None, system: str | None, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Encoder(instructed(template), prompting=Prompting(template="chat", system=system))


def test_reasoning_that_can_be_left_out_is() -> None:
    assert head(THINKS_IF_ASKED).endswith("<|im_start|>assistant\n<think>\n\n</think>\n\n")
    assert head(CHANNEL_IF_ASKED).endswith("<start_of_turn>model\n<|channel>thought\n<channel|>")


def test_a_template_that_writes_the_date_is_told_the_same_on_every_day() -> None:
    with pytest.warns(UserWarning, match="told 26 July 2024 on every day"):
        found = head(DATED)
    assert "Today is 26 July 2024, 00:00." in found
    assert found.endswith(head(CHATML))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert head(DATE_UNUSED) == head(CHATML)
        assert "2024" not in head(DEFAULT_DATED, "Cook.")  # another system text stands in its place
    with pytest.warns(UserWarning, match="adds a system text of its own, 'You are Tiny of 2024-07-26.'"):
        head(DEFAULT_DATED)


def test_a_prompt_that_the_template_changes_is_refused() -> None:
    frame = ChatTemplate(instructed(CHATML.replace("message.content", "message.content.split('</think>')[-1]")))
    with pytest.raises(TokenizationError, match="changes the prompt that begins 'You think</think>"):
        frame.framed("You think</think>now")


LONG = Decision("one two three four five six seven eight nine ten " * 4 + "now", ("go", "pick up the tomato"))


@pytest.mark.parametrize("rule", ["keep_end", "keep_start"])
@pytest.mark.parametrize("template", [CHATML, INST])
def test_a_long_prompt_is_cut_inside_its_turn(template: str, rule: Any) -> None:
    """A cut of the whole would take away the beginning of the conversation, or the end of the turn."""
    tokenizer = instructed(template, bos=True)
    with pytest.warns(UserWarning, match="prompts are cut"):
        encoded = Encoder(tokenizer, 60, long_prompts=rule, prompting=CHAT).encode(LONG)
    assert len(encoded.prompt_ids) + max(map(len, encoded.action_ids)) == 60
    text = tokenizer.decode(list(encoded.prompt_ids))
    before, _, behind = rendered(tokenizer, ("user", "@")).partition("@")
    assert text.startswith(before)
    assert text.endswith(behind)
    kept = text[len(before) : len(text) - len(behind)]
    assert LONG.prompt.endswith(kept) if rule == "keep_end" else LONG.prompt.startswith(kept)
    assert encoded.cut == len(Encoder(tokenizer, prompting=CHAT).encode(LONG).prompt_ids) - len(encoded.prompt_ids)


def test_no_template_and_a_space_is_what_it_always_was() -> None:
    for tokenizer in (byte_level(bos=True), instructed(CHATML, bos=True)):
        assert Encoder(tokenizer, prompting=Prompting()).encode(DECISIONS[0]) == Encoder(tokenizer).encode(DECISIONS[0])


@pytest.mark.parametrize("bos", [False, True])
def test_phrases_are_joined_without_a_space_where_asked(bos: bool) -> None:
    """Languages such as Chinese: a space was put before every phrase, which no such text has."""
    tokenizer = byte_level(bos=bos)
    encoder = Encoder(tokenizer, prompting=Prompting(joiner="none"))
    decision = Decision("要加热煎饼。你现在应该", ("打开微波炉", "坐下"))
    encoded = encoder.encode(decision)
    for action, ids in zip(decision.actions, encoded.action_ids, strict=True):
        assert list(encoded.prompt_ids + ids) == tokenizer(decision.prompt + action)["input_ids"]
        assert tokenizer.decode(list(ids)) == action
    assert isinstance(encoded, EncodedDecision)


def test_a_merge_without_a_space_is_refused_with_what_helps() -> None:
    encoder = Encoder(byte_level(bos=False), prompting=Prompting(joiner="none"))
    with pytest.raises(
        TokenizationError, match=r"merges the end of the prompt 'tom' with the action 'ato'.*joiner to space"
    ):
        encoder.encode(Decision("tom", ("ato",)))


def test_a_system_text_without_a_template_is_refused() -> None:
    with pytest.raises(ConfigError, match="which has no place for it"):
        Prompting(system="Cook.")
