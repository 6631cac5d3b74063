"""What the model can do beyond its loss: hand-written situations in words the corpus does not use.

Each situation has one right phrase among a few; nouns come in four groups, so that "it knows this noun in procedures"
and "it copies any noun" are told apart.  These are development probes, not the evaluation: that is state-exact and uses
the environments' own prompts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

NOUNS = {
    "known": ("carrot", "mango", "leek", "potato", "peach", "turnip"),
    "held_out": ("tomato", "lettuce", "onion"),
    "absent": ("pancake", "hamburger", "pizza", "cheese"),
    "invented": ("blorvet", "quaspin", "dretchum", "fimble", "zarkot", "wiplock"),
}


@dataclass(frozen=True)
class Situation:
    """A prompt, its candidate phrases, and the indices of those that are right; ``{x}`` is the noun."""

    name: str
    prompt: str
    actions: tuple[str, ...]
    right: tuple[int, ...]


def _kitchen(name: str, prompt: str, right: tuple[int, ...], **words: str) -> Situation:
    get = words.get("get", "pick up the {x}")
    board = words.get("board", "walk to the cutting board")
    chopped = "chop the {x}" if words.get("cut") else "chop nothing"
    served = "serve the dish" if words.get("hold") else "serve nothing"
    return Situation(name, prompt, (get, "take the bowl", board, served, chopped), right)


SITUATIONS = (
    _kitchen(
        "fetch",
        "Your workplace is a kitchen that has just one cutting board. Looking around, you make out a {x} on one "
        "table. Right now "
        "nothing is in your grip. The order says: one bowl, only chopped {x} inside. Your first move would be to",
        (0,),
    ),
    _kitchen(
        "bring",
        "Your workplace is a kitchen that has just one cutting board. You have got hold of an unchopped {x}. The "
        "order says: one "
        "bowl, only chopped {x} inside. Your first move would be to",
        (2,),
        board="put the {x} on the cutting board",
        hold="1",
    ),
    _kitchen(
        "approach",
        "Your workplace is a kitchen that has just one cutting board. An unchopped {x} sits on it. You are elsewhere "
        "and your hands "
        "are empty. The order says: one bowl, only chopped {x} inside. Your first move would be to",
        (2,),
    ),
    _kitchen(
        "cut",
        "Your workplace is a kitchen that has just one cutting board. An unchopped {x} sits on the cutting board. "
        "You stand facing the "
        "cutting board and your hands are empty. The order says: one bowl, only chopped {x} inside. Your first move "
        "would be to",
        (4,),
        cut="1",
    ),
    _kitchen(
        "after cutting",
        "Your workplace is a kitchen that has just one cutting board. A chopped {x} sits on the cutting board. You "
        "stand facing the "
        "cutting board and your hands are empty. The order says: one bowl, only chopped {x} inside. Your first move "
        "would be to",
        (0, 1),
        cut="1",
    ),
    _kitchen(
        "container",
        "Your workplace is a kitchen that has just one cutting board. You have got hold of a chopped {x}. The order "
        "says: one bowl, "
        "only chopped {x} inside. Your first move would be to",
        (1,),
        hold="1",
    ),
    _kitchen(
        "fill",
        "Your workplace is a kitchen that has just one cutting board. A chopped {x} sits on the cutting board. You "
        "have got hold of a "
        "bowl. The order says: one bowl, only chopped {x} inside. Your first move would be to",
        (0,),
        get="put the {x} in the bowl",
        board="put the bowl on the cutting board",
        hold="1",
    ),
    _kitchen(
        "serve",
        "Your workplace is a kitchen that has just one cutting board. You have got hold of a bowl in which there is "
        "chopped {x}. The "
        "order says: one bowl, only chopped {x} inside. Your first move would be to",
        (3,),
        get="put the {x} in the bowl",
        board="put the bowl on the cutting board",
        hold="1",
    ),
)
_ROOMS = ("walk to the living room", "walk to the bathroom", "walk to the bedroom")
HOUSEHOLD = (
    Situation(
        "other room",
        "Right now you find yourself in the bedroom, where nothing is useful. Your hands are empty. So as to get the "
        "{x} hot in the "
        "microwave, begin like this:",
        ("walk to the kitchen", "walk to the living room", "walk to the bathroom"),
        (0,),
    ),
    Situation(
        "walk to it",
        "Right now you find yourself in the kitchen with the {x} and the microwave in view, neither at arm's length. "
        "Your hands are "
        "empty. So as to get the {x} hot in the microwave, begin like this:",
        (*_ROOMS, "walk to the {x}", "walk to the microwave"),
        (3,),
    ),
    Situation(
        "take it",
        "Right now you find yourself in the kitchen with the {x} and the microwave in view. The {x} is at arm's "
        "length, and your "
        "hands are empty. So as to get the {x} hot in the microwave, begin like this:",
        (*_ROOMS, "walk to the microwave", "grab the {x}"),
        (4,),
    ),
    Situation(
        "carry it",
        "Right now you find yourself in the kitchen with the microwave in view. The {x} is in your grip. The "
        "microwave is too far to "
        "touch. So as to get the {x} hot in the microwave, begin like this:",
        (*_ROOMS, "walk to the {x}", "walk to the microwave"),
        (4,),
    ),
    Situation(
        "open it",
        "Right now you find yourself in the kitchen. The {x} is in your grip. The microwave is right before you with "
        "its door closed. So as "
        "to get the {x} hot in the microwave, begin like this:",
        (*_ROOMS, "put the {x} in the microwave", "open the microwave", "close the microwave"),
        (4,),
    ),
    Situation(
        "put it in",
        "Right now you find yourself in the kitchen. The {x} is in your grip. The microwave is right before you with "
        "its door open. So as "
        "to get the {x} hot in the microwave, begin like this:",
        (*_ROOMS, "put the {x} in the microwave", "open the microwave", "close the microwave"),
        (3,),
    ),
    Situation(
        "close it",
        "Right now you find yourself in the kitchen. The {x} has gone into the microwave, and the microwave is still "
        "open. So as to get "
        "the {x} hot in the microwave, begin like this:",
        (*_ROOMS, "open the microwave", "close the microwave"),
        (4,),
    ),
)
COPYING = (
    "Someone left a {x} lying in the yard. Carmen bent down because she wished to have the",
    "Two friends quarrelled about a {x}. In the end Yusuf kept the",
    "My aunt owns a {x} and a guitar. Yesterday she sold the guitar, so now she only owns the",
)


def phrase_log_probs(model: Any, tokenizer: Any, prompt: str, phrases: Sequence[str]) -> list[Tensor]:
    """Return the log-probabilities of each phrase's tokens after the prompt."""
    device = next(model.parameters()).device
    start = tokenizer(prompt)["input_ids"]
    ends = [tokenizer(" " + phrase, add_special_tokens=False)["input_ids"] for phrase in phrases]
    longest = max(map(len, ends))
    rows = torch.tensor([start + end + [tokenizer.pad_token_id] * (longest - len(end)) for end in ends], device=device)
    with torch.no_grad():
        # Right padding and causal attention: what follows a phrase cannot change its probability.
        log_probs = model(input_ids=rows).logits.float().log_softmax(-1)
    found = log_probs[:, len(start) - 1 : -1].gather(-1, rows[:, len(start) :, None])[..., 0]
    return [found[index, : len(end)].cpu() for index, end in enumerate(ends)]


def probe(model: Any, tokenizer: Any) -> dict[str, float]:
    """Return accuracy and probability of the right phrase, and copy accuracy, per group of nouns.

    ``*_accuracy`` is by summed log-probability, ``*_word`` by that per word, ``*_p`` the probability of the right
    phrases among the candidates per word normalisation (0.2 is chance in the kitchen).
    """
    was_training = model.training
    model.eval()
    results: dict[str, float] = {}
    for place, situations in (("kitchen", SITUATIONS), ("home", HOUSEHOLD)):
        for group, nouns in NOUNS.items():
            rows = []
            for situation in situations:
                for noun in nouns:
                    actions = [action.replace("{x}", noun) for action in situation.actions]
                    tokens = phrase_log_probs(model, tokenizer, situation.prompt.replace("{x}", noun), actions)
                    total = torch.stack([token.sum() for token in tokens])
                    word = total / torch.tensor([len(action.split()) for action in actions])
                    right = list(situation.right)
                    rows.append(
                        (
                            int(total.argmax()) in right,
                            int(word.argmax()) in right,
                            float(word.softmax(-1)[right].sum()),
                        )
                    )
            for column, name in enumerate(("accuracy", "word", "p")):
                results[f"{place}_{group}_{name}"] = sum(float(row[column]) for row in rows) / len(rows)
    for group, nouns in NOUNS.items():
        hits = [_copied(model, tokenizer, text.replace("{x}", noun), noun) for text in COPYING for noun in nouns]
        results[f"copy_{group}"] = sum(hits) / len(hits)
    model.train(was_training)
    return results


def _copied(model: Any, tokenizer: Any, prompt: str, noun: str) -> bool:
    device = next(model.parameters()).device
    start = tokenizer(prompt)["input_ids"]
    end = tokenizer(" " + noun, add_special_tokens=False)["input_ids"]
    with torch.no_grad():
        best = model(input_ids=torch.tensor([start + end], device=device)).logits[0, len(start) - 1 : -1].argmax(-1)
    return best.tolist() == end
