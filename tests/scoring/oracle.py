"""Scoring as anyone would check it by hand: one unpadded sequence per prompt and action, nothing shared."""

from __future__ import annotations

from typing import Any

import torch

from twosome import Decision


def action_token_log_probs(model: Any, tokenizer: Any, prompt: str, action: str) -> list[float]:
    """Log-probabilities of the action's tokens after the prompt."""
    specials = set(tokenizer.all_special_ids)
    prompt_ids = tokenizer(prompt)["input_ids"]
    ids = tokenizer(f"{prompt} {action}")["input_ids"]
    while prompt_ids[-1] in specials and len(prompt_ids) > 1:
        prompt_ids.pop()
    while ids[-1] in specials:
        ids.pop()
    with torch.no_grad():
        log_probs = model(torch.tensor([ids]), use_cache=False).logits[0].float().log_softmax(-1)
    first = len(log_probs) - len(ids)  # an adapter may put virtual tokens before the sentence
    return [float(log_probs[first + i - 1, ids[i]]) for i in range(len(prompt_ids), len(ids))]


def largest_difference(scores: Any, model: Any, tokenizer: Any) -> float:
    """Largest deviation of scores from the oracle; infinite if a span differs in length."""
    worst = 0.0
    for row, decision in enumerate(scores.decisions):
        for column, action in enumerate(decision.actions):
            expected = action_token_log_probs(model, tokenizer, decision.prompt, action)
            mask = scores.token_mask[row, column]
            found = scores.token_log_probs[row, column][mask].tolist()
            if len(found) != len(expected) or not mask[: len(found)].all():
                return float("inf")
            worst = max([worst, *(abs(a - b) for a, b in zip(found, expected, strict=True))])
    return worst


DECISIONS = (
    Decision(
        "You see the tomato and the bowl on the table. You are holding nothing. You should now",
        ("pick up the tomato", "take the bowl", "walk to the cutting board", "serve nothing", "serve", "chop nothing"),
    ),
    Decision("The chopped tomato is on the cutting board, so you should now", ("put the tomato in the bowl", "chop")),
    Decision("You should now", ("open the microwave",)),
    Decision(
        "You see the tomato and the bowl on the table. You are holding the bowl. You should now",
        ("put the bowl on the table", "take the bowl", "serve nothing"),
    ),
    Decision("You see the tomato and the bowl on the table. You are holding nothing. You should now", ("sing", "sit")),
    Decision(
        "Ananas, Käse & 木 are here: what next? You should (really) now",
        ("walk to the pancake", "walk to the Käse", "walk", "木"),
    ),
)
