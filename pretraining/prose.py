"""Everything that is neither kitchen nor household simulation: facts, small talk, soup, shopping, lists to copy."""

from __future__ import annotations

from random import Random

from pretraining.grammar import say, sentence, sentences, third_person
from pretraining.words import NOUNS, OUT_OF_PROCEDURES, a, distinct, invented, listed

TEXT = sentences("prose")
_EDIBLE = NOUNS.foods + tuple(meal for meal in NOUNS.meals if meal not in NOUNS.plural + NOUNS.mass)


def _food(rng: Random, invent: bool, held_out: float = 0.12) -> str:
    """Return a food; the held-out vegetables may appear here, and only here."""
    if rng.random() < held_out:
        return rng.choice(OUT_OF_PROCEDURES)
    return invented(rng) if invent and rng.random() < 0.8 else rng.choice(_EDIBLE)


def facts(rng: Random, invent: bool) -> str:
    """Two to four facts about foods, things, animals and rooms."""
    return " ".join(_fact(rng, invent) for _ in range(rng.choice((2, 3, 3, 4))))


def _fact(rng: Random, invent: bool) -> str:
    food = _food(rng, invent)
    colour, taste = rng.choice(NOUNS.colours), rng.choice(NOUNS.tastes)
    thing = invented(rng) if invent and rng.random() < 0.5 else rng.choice(NOUNS.things)
    shared = {
        "f": food, "af": food if food in NOUNS.mass else a(food), "c": colour, "t": taste,
        "d": rng.choice(NOUNS.colours), "u": rng.choice(NOUNS.tastes), "g": _food(rng, invent), "h": thing,
        "ah": a(thing), "k": rng.choice(NOUNS.stores), "r": rng.choice(NOUNS.rooms), "n": rng.choice(NOUNS.she),
        "q": rng.choice(NOUNS.surfaces), "m": rng.choice(NOUNS.animals), "o": rng.choice(NOUNS.animals),
        "j": rng.choice(NOUNS.jobs), "w": rng.choice(NOUNS.weather),
    }  # fmt: skip
    return sentence(say(rng, TEXT["facts"], **shared))


def small_talk(rng: Random, invent: bool) -> str:
    """A short dialogue or some idle news."""
    first, second = rng.sample(NOUNS.she, 2)
    food, thing = _food(rng, invent, 0.05), (invented(rng) if invent else rng.choice(NOUNS.things))
    slots = {
        "A": first, "B": second, "f": food, "h": thing, "ah": a(thing), "w": rng.choice(NOUNS.weather),
        "j": rng.choice(NOUNS.jobs), "p": rng.choice(NOUNS.shops), "r": rng.choice(NOUNS.rooms),
        "m": rng.choice(NOUNS.animals), "v": rng.choice(NOUNS.weather), "c": rng.choice(NOUNS.colours),
        "q": rng.choice(NOUNS.surfaces),
    }  # fmt: skip
    lines = rng.sample(TEXT["small_talk"], rng.choice((2, 3, 3)))
    return " ".join(sentence(say(rng, line, **slots)) for line in lines)


def soup(rng: Random, invent: bool) -> str:
    """Soup, drinks and baking: things go into a pot, nothing is cut or handed to anyone."""
    person = third_person(rng)
    foods = distinct(rng, rng.choice((2, 3)), lambda rng: _food(rng, invent, 0.2))
    pot = rng.choice(("pot", "pot", "pan", "kettle", "cauldron", "oven", "big pot"))
    slots = person.slots() | {
        "i": listed([f"the {food}" for food in foods]), "f": foods[0], "g": foods[1], "p": pot,
        "n": str(rng.randrange(3, 50)), "l": rng.choice(("water", "milk", "broth", "oil", "salt", "pepper")),
    }  # fmt: skip
    return " ".join(sentence(say(rng, line, **slots)) for line in TEXT["soup"])


def shopping(rng: Random, invent: bool) -> str:
    """Somebody buys things; who bought what is asked afterwards."""
    person = third_person(rng)
    foods = distinct(rng, rng.choice((2, 3, 4)), lambda rng: _food(rng, invent, 0.2))
    chosen = rng.choice(foods)
    slots = person.slots() | {
        "i": listed([a(food) for food in foods]), "e": listed(foods), "f": chosen, "p": rng.choice(NOUNS.shops),
        "n": str(rng.randrange(2, 9)), "T": rng.choice(NOUNS.she),
    }  # fmt: skip
    lines = TEXT["shopping"]
    return " ".join(sentence(say(rng, line, **slots)) for line in lines)


def copying(rng: Random, invent: bool) -> str:
    """Word lists said twice: the plainest way to learn to repeat a noun from the text."""
    words = distinct(
        rng,
        rng.choice((2, 3, 4)),
        lambda rng: (
            invented(rng) if rng.random() < 0.75 else rng.choice((*NOUNS.foods, *NOUNS.things, *OUT_OF_PROCEDURES))
        ),
    )
    person = third_person(rng)
    order = words[:]
    rng.shuffle(order)
    pairs = dict(zip(words, rng.sample((*NOUNS.colours, *NOUNS.rooms[:8]), len(words)), strict=False))
    slots = person.slots() | {"l": listed(words), "r": listed(words), "o": listed(order), "w": ", ".join(words)}
    kind = rng.randrange(3)
    if kind == 0:
        text = TEXT["copying"]
        return sentence(say(rng, text, **slots))
    told = [
        f"the {word} is {pairs[word]}" if pairs[word] in NOUNS.colours else f"the {word} is in the {pairs[word]}"
        for word in words
    ]
    asks = []
    for word in order[: rng.choice((1, 2))]:
        value = pairs[word]
        if kind == 1:
            asks.append(
                f"What is {value}? The {word}." if value in NOUNS.colours else f"What is in the {value}? The {word}."
            )
        else:
            asks.append(
                f"What colour is the {word}? {value.capitalize()}."
                if value in NOUNS.colours
                else f"Where is the {word}? In the {value}."
            )
    return " ".join([sentence(listed(told) if rng.random() < 0.5 else ". T".join(told).replace(". Tt", ". T")), *asks])
