"""Whatever the texts, a decision is scored exactly or refused in one sentence."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.scoring.oracle import largest_difference
from tests.tiny import build_model, byte_level
from twosome import Decision, TwosomeError
from twosome.scorer import Scorer

TEXTS = st.text(max_size=60)
LISTS = st.lists(TEXTS, max_size=6).map(tuple)


@lru_cache(maxsize=1)
def scorer() -> Scorer:
    return Scorer(build_model("llama"), byte_level(bos=True), "packed")


def scored(prompt: Any, actions: Any) -> Any:
    """Scores, or None if the decision was refused."""
    try:
        return scorer().scores([Decision(prompt, actions)])
    except TwosomeError as refusal:
        assert "\n" not in str(refusal).strip()  # noqa: PT017 - either way is right
        return None


@settings(max_examples=150, deadline=None)
@given(prompt=TEXTS, actions=LISTS)
@example("take", ("take", "take the", "take the bowl"))
@example("</s><s>", ("<s>", "</s>", "<pad>"))
@example("\x00\x01\x7f", ("\x00",))
@example("You should now", ("\u200b", "👩‍🍳", "e\u0301", "\u0665"))
@example("\ud800", ("go",))
@example("now", ("\udfff",))
@example("a" * 5000, ("go",))
@example("now", tuple(f"take bowl {i}" for i in range(500)))
def test_any_texts_are_scored_or_refused(prompt: str, actions: tuple[str, ...]) -> None:
    with torch.no_grad():
        scores = scored(prompt, actions)
    if scores is not None:
        assert torch.isfinite(scores.token_log_probs).all()
        assert (scores.token_log_probs <= 0).all()
        assert scores.action_mask.all()


@settings(max_examples=25, deadline=None)
@given(
    prompt=st.text(min_size=1, max_size=30), actions=st.lists(st.text(min_size=1, max_size=20), min_size=1, max_size=4)
)
def test_what_is_scored_is_what_the_oracle_says(prompt: str, actions: list[str]) -> None:
    with torch.no_grad():
        scores = scored(prompt, tuple(actions))
    if scores is not None:
        assert largest_difference(scores, scorer().model, scorer().encoder.tokenizer) <= 1e-5


@pytest.mark.parametrize(
    ("prompt", "actions"), [(None, ("go",)), (3, ("go",)), ("now", None), ("now", [1]), ("now", (1,))]
)
def test_what_is_no_text_is_refused(prompt: Any, actions: Any) -> None:
    assert scored(prompt, actions) is None
