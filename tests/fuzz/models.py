"""What is read with models: prompts and actions."""

from __future__ import annotations

from typing import Any

import torch
from hypothesis import strategies as st

from tests.fuzz.bench import CONTEXT, Bench
from tests.fuzz.inputs import TEXTS
from twosome import Decision
from twosome.errors import TwosomeError


def _texts(draw: st.DrawFn) -> tuple[Any, Any]:
    """A prompt and actions: any characters, very long, very many, each the beginning of another."""
    text = st.text(max_size=40) | TEXTS
    prompt = draw(text | st.sampled_from(["now", "<s>", "</s><pad>", "\x00", "take the", None]))
    kind = draw(st.sampled_from(["any", "any", "any", "prefixes", "many", "long prompt", "long action", "one token"]))
    actions: Any = draw(st.lists(text, max_size=5))
    if kind == "prefixes":
        words = draw(st.lists(st.sampled_from(["take", "the", "bowl", "é", "\u200b", "a"]), min_size=1, max_size=8))
        actions = [" ".join(words[: n + 1]) for n in range(len(words))]
    elif kind == "many" and draw(st.integers(0, 7)) == 0:
        actions = [f"take bowl {n}" for n in range(draw(st.integers(100, 3000)))]
    elif kind == "long prompt" and isinstance(prompt, str):
        prompt = prompt * (
            draw(st.integers(1, 100_000 if draw(st.integers(0, 15)) == 0 else 2000)) // (len(prompt) + 1)
        )
    elif kind == "long action":
        actions = [(draw(text) or "a") * draw(st.integers(1, 500)), "go"]
    elif kind == "one token":
        actions = draw(
            st.lists(st.sampled_from(["<pad>", "<s>", "</s>", "<unk>", "a", "b", "0"]), min_size=1, max_size=4)
        )
    return prompt, draw(st.sampled_from([tuple(actions), tuple(actions), tuple(actions), actions]))


def check_texts(bench: Bench, draw: st.DrawFn) -> None:
    """Prompts and actions through every tokenizer: spans are the tokens of the texts, and fit."""
    prompt, actions = _texts(draw)
    encoder = draw(st.sampled_from(bench.encoders))
    try:
        encoded = encoder.encode(Decision(prompt, actions))
    except TwosomeError as refusal:
        assert "\n" not in str(refusal).strip()  # noqa: PT017
        return
    assert len(encoded.action_ids) == len(actions)
    assert encoded.prompt_ids
    assert all(encoded.action_ids)
    if encoder._max_length is not None:
        assert len(encoded.prompt_ids) + max(map(len, encoded.action_ids)) <= CONTEXT
    assert encoded.cut == 0 or encoder.long_prompts != "refuse"


def check_scores(bench: Bench, draw: st.DrawFn) -> None:
    """Prompts and actions through models: every score is a log-probability."""
    prompt, actions = _texts(draw)
    scorer = draw(st.sampled_from(bench.scorers))
    try:
        decision = Decision(prompt, actions)
        with torch.no_grad():
            scores = scorer.scores([decision])
            features = scorer.features([prompt])
    except TwosomeError as refusal:
        assert "\n" not in str(refusal).strip()  # noqa: PT017
        return
    assert torch.isfinite(scores.token_log_probs).all()
    assert (scores.token_log_probs <= 0).all()
    assert scores.action_mask.all()
    assert torch.isfinite(features).all()
