"""Models from random weights and decisions of known shapes, to measure scoring with."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch

from twosome.decision import Decision
from twosome.models.loading import EMBEDDED, add_adapter, load_tokenizer
from twosome.text.tasks import make_task
from twosome.tokens.encoding import Encoder


@dataclass(frozen=True)
class Shape:
    """A LLaMA's dimensions."""

    hidden: int
    layers: int
    heads: int
    feed_forward: int
    vocabulary: int


SIZES: dict[str, Shape] = {
    "3m": Shape(192, 4, 6, 512, 4096),
    "30m": Shape(320, 8, 10, 864, 32_000),
    "125m": Shape(768, 12, 12, 2048, 32_000),
    "7b": Shape(4096, 32, 32, 11_008, 32_000),
}
"""Dimensions by size: 3.3, 30, 134 and 6,738 million weights, input and output embeddings untied."""


def random_model(
    size: str,
    *,
    dtype: torch.dtype = torch.float32,
    device: str = "cpu",
    top_layers: int | None = None,
    seed: int = 0,
) -> tuple[Any, Any]:
    """A LLaMA of random weights with a rank-8 adapter on queries and values that does something, and a tokenizer.

    Args:
        size: A name of :data:`SIZES`.
        dtype: Of the frozen weights; the adapter is float32.
        device: Where it lives.
        top_layers: Adapt the last so many layers only.
        seed: Of the weights.
    """
    from transformers import LlamaConfig, LlamaForCausalLM

    shape = SIZES[size]
    config = LlamaConfig(
        hidden_size=shape.hidden,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.heads,
        intermediate_size=shape.feed_forward,
        vocab_size=shape.vocabulary,
        max_position_embeddings=8192,
        tie_word_embeddings=False,
        dtype=dtype,
    )
    torch.manual_seed(seed)
    with torch.device(device):
        before = torch.get_default_dtype()
        torch.set_default_dtype(dtype)
        try:
            model = LlamaForCausalLM(config)
        finally:
            torch.set_default_dtype(before)
    model = model.eval().requires_grad_(False)
    adapted = add_adapter(model, rank=8, alpha=16, targets=["q_proj", "v_proj"], top_layers=top_layers)
    for name, parameter in adapted.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.02)
    return adapted, load_tokenizer(EMBEDDED)


_RANDOM_PLAY = 3000  # decisions; meets about 300 different ones


def overcooked(count: int, seed: int) -> list[Decision]:
    """Distinct decisions of the three-food kitchen: 8 actions of 2 to 11 tokens, prompts of about 68 tokens.

    Drawn from those that random play meets.
    """
    env, rng = make_task("lettuce-onion-tomato-salad"), random.Random(seed)
    found: dict[Decision, None] = {}
    observation, _ = env.reset(seed=seed)
    for _ in range(_RANDOM_PLAY):
        found[Decision(observation["prompt"], tuple(observation["actions"]))] = None
        observation, _, terminated, truncated, _ = env.step(rng.randrange(len(observation["actions"])))
        if terminated or truncated:
            observation, _ = env.reset()
    return rng.sample(list(found), count)


_ROOMS = ("kitchen", "bathroom", "bedroom", "living room")
_THINGS = ("pancake", "milk", "bread", "plate", "chips", "remote control", "glass", "book", "towel", "apple", "cheese")
_PLACES = ("microwave", "fridge", "stove", "table", "sofa", "TV", "desk", "cupboard", "sink", "bench")


def virtualhome(count: int, seed: int) -> list[Decision]:
    """Made-up household decisions of ragged shapes: 7 to 16 actions, prompts of 80 to 128 tokens."""
    rng = random.Random(seed)
    found: dict[Decision, None] = {}
    while len(found) < count:
        found[_household_decision(rng)] = None
    return list(found)


def _household_decision(rng: random.Random) -> Decision:
    room = rng.choice(_ROOMS)
    things, places = rng.sample(_THINGS, rng.randint(1, 4)), rng.sample(_PLACES, rng.randint(2, 5))
    near, held = rng.choice(things + places), rng.choice([*things, None])
    listed = ", ".join(f"the {name}" for name in things + places)
    states = " ".join(f"The {place} is {rng.choice(('closed', 'open', 'switched off'))}." for place in places)
    hands = f"You are holding the {held}." if held else "Your hands are empty."
    goal = f"To enjoy the {things[0]} near the {places[0]} tonight"
    prompt = (
        f"There are four rooms: the {_ROOMS[0]}, the {_ROOMS[1]}, the {_ROOMS[2]} and the {_ROOMS[3]}. You are in the "
        f"{room}. You see {listed}. You are close to the {near}. {states} {hands} {goal}, you should now"
    )
    actions = [f"walk to the {other}" for other in _ROOMS if other != room]
    actions += [f"walk to the {name}" for name in things + places if name != near]
    actions += [f"{verb} the {near}" for verb in rng.sample(("grab", "open", "close", "sit on", "switch on"), 2)]
    if held:
        actions += [f"put the {held} on the {place}" for place in places[:3]]
    return Decision(prompt, tuple(dict.fromkeys(actions)))


def instruction(count: int, seed: int) -> list[Decision]:
    """The kitchen's decisions behind an instruction of about 300 tokens that all share."""
    rng = random.Random(7)
    sentences = [
        f"When you see the {rng.choice(_THINGS)}, do not {rng.choice(('drop', 'burn', 'forget', 'lose'))} it near the "
        f"{rng.choice(_PLACES)} of the {rng.choice(_ROOMS)}."
        for _ in range(13)
    ]
    text = " ".join(sentences)
    return [Decision(f"{text} {decision.prompt}", decision.actions) for decision in overcooked(count, seed)]


_VERBS = ("pick up", "put down", "open", "close", "look at", "walk to", "pour", "eat", "wash", "move")
_OBJECTS = (
    "bowl",
    "plate",
    "cup",
    "pot",
    "pan",
    "knife",
    "spoon",
    "fork",
    "table",
    "chair",
    "door",
    "box",
    "bag",
    "bottle",
    "glass",
    "lamp",
    "bed",
    "desk",
    "book",
    "clock",
    "shelf",
    "sink",
    "drawer",
    "basket",
    "towel",
    "oven",
    "cake",
    "bread",
    "milk",
    "soup",
)


def many_actions(actions: int) -> Callable[[int, int], list[Decision]]:
    """Makes decisions of the kitchen's prompts with as many actions of a text adventure."""
    phrases = [f"{verb} the {thing}" for thing in _OBJECTS for verb in _VERBS]
    phrases += [f"put the {a} in the {b}" for a in _OBJECTS for b in _OBJECTS if a != b]

    def make(count: int, seed: int) -> list[Decision]:
        rng = random.Random(seed)
        return [Decision(each.prompt, tuple(rng.sample(phrases, actions))) for each in overcooked(count, seed)]

    return make


def hundred_tokens(count: int, seed: int) -> list[Decision]:
    """Made-up decisions of one shape: prompts of 100 tokens and 8 actions of 5, for the embedded model's tokenizer."""
    encoder, rng = Encoder(load_tokenizer(EMBEDDED)), random.Random(seed)
    phrases = [f"{verb} the {a} {b}" for verb in _VERBS for a in _OBJECTS for b in _OBJECTS if a != b]
    lengths = map(len, encoder.encode(Decision("You should now", tuple(phrases))).action_ids)
    phrases = [phrase for phrase, length in zip(phrases, lengths, strict=True) if length == 5]
    found: dict[Decision, None] = {}
    while len(found) < count:
        prompt = "You see the"
        while (tokens := len(encoder.encode_prompt(prompt))) < 100:
            prompt += f" {rng.choice(_OBJECTS)}"
        if tokens == 100:  # some words are two tokens
            found[Decision(prompt, tuple(rng.sample(phrases, 8)))] = None
    return list(found)


WORKLOADS: dict[str, Callable[[int, int], list[Decision]]] = {
    "overcooked": overcooked,
    "virtualhome": virtualhome,
    "instruction": instruction,
    "100-tokens": hundred_tokens,
    "5-actions": many_actions(5),
    "20-actions": many_actions(20),
    "100-actions": many_actions(100),
    "1000-actions": many_actions(1000),
}
"""Makers of distinct decisions: how many, and a seed."""


def visits(decisions: list[Decision], count: int, seed: int) -> Iterator[Decision]:
    """``count`` decisions in random order, each of ``decisions`` among them at least once."""
    rng = random.Random(seed)
    chosen = [*decisions, *(rng.choice(decisions) for _ in range(count - len(decisions)))]
    rng.shuffle(chosen)
    yield from chosen
