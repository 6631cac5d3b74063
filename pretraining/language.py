"""Held-out text and multiple-choice tasks: does the model still know its language after it was trained to act?

Everything comes from the generators of the corpus with seeds that no corpus used, so it is held out, but of the same
kind: the embedded model can do it. ``python -m pretraining language`` writes the files that ship with the package;
with ``--corpus`` it also tells what a training corpus shares with them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from random import Random
from typing import Any

from pretraining.audit import LIMIT, ngram_hashes, ngrams, read_prompts, shares_ngram
from pretraining.corpus import FAMILIES, HoldOutError, check_hold_outs, document
from pretraining.grammar import anyone, sentence, third_person
from pretraining.household import Home, random_home
from pretraining.household_words import cue_words, goal_phrase, opening, told
from pretraining.household_words import describe as describe_home
from pretraining.kitchen import make_style, random_kitchen
from pretraining.kitchen_words import describe as describe_kitchen
from pretraining.kitchen_words import goal_clause, join
from pretraining.words import NOUNS, are, distinct, invented

SEED = 900_001  # of the text; corpora are made with small seeds
DOCUMENTS = 250  # of each text
EXAMPLES = 250  # of each task
CHOICES = 4

Example = dict[str, Any]
_NEXT_STEP = {family.name for family in FAMILIES if family.next_step}


def everyday(banned: frozenset[int]) -> list[str]:
    """Stories, recipes, questions, facts and small talk; nothing that states a situation and then a next step."""
    return _documents(banned, next_step=False)


def next_steps(banned: frozenset[int]) -> list[str]:
    """Situations with goals and next steps: the kind of text that is nearest to what an agent reads."""
    return _documents(banned, next_step=True)


def _documents(banned: frozenset[int], next_step: bool) -> list[str]:
    found: list[str] = []
    number = 0
    while len(found) < DOCUMENTS:
        family, text = document(SEED, number, banned=banned)
        number += 1
        if (family in _NEXT_STEP) == next_step:
            found.append(text)
    return found


def copying(rng: Random) -> Example | None:
    """Four nouns, mostly invented, each with a colour or a room; which one was it?"""
    nouns = distinct(
        rng, CHOICES, lambda rng: invented(rng) if rng.random() < 0.75 else rng.choice((*NOUNS.foods, *NOUNS.things))
    )
    coloured = rng.random() < 0.5
    values = rng.sample(NOUNS.colours if coloured else NOUNS.rooms[:8], CHOICES)
    places = values if coloured else [f"in the {room}" for room in values]
    told = " ".join(sentence(f"the {noun} is {place}") for noun, place in zip(nouns, places, strict=True))
    answer = rng.randrange(CHOICES)
    if rng.random() < 0.5:
        return _example(f"{told} What is {places[answer]}?", [f"The {noun}." for noun in nouns], answer)
    ask = f"What colour is the {nouns[answer]}?" if coloured else f"Where is the {nouns[answer]}?"
    return _example(f"{told} {ask}", [sentence(place) for place in places], answer)


def whereabouts(rng: Random) -> Example | None:
    """Somebody walks about and handles things; where is he or she, or one of the things, in the end?"""
    home = random_home(rng, rng.random() < 0.3, third_person(rng), 0)
    text = " ".join([opening(rng, home), *told(rng, home, rng.randrange(1, 6), 0.3)])
    things = [thing for thing in home.things if thing in text]
    if things and rng.random() < 0.7:
        asked = rng.choice(things)
        question, right, others = (
            f"Where {are(asked)} the {asked}?",
            _place(home, home.place[asked]),
            _places(rng, home),
        )
    else:
        question, right = f"Where is {home.person.name}?", f"in the {home.here}"
        others = [f"in the {room}" for room in (*home.rooms, *rng.sample(NOUNS.rooms, CHOICES))]
    choices = list(dict.fromkeys((right, *others)))[:CHOICES]
    if right.split()[-1] not in (*text.replace(".", "").split(), "hand") or len(choices) < CHOICES:
        return None
    rng.shuffle(choices)
    return _example(f"{text} {question}", [sentence(choice) for choice in choices], choices.index(right))


def _place(home: Home, place: str) -> str:
    if place == "hand":
        return f"in {home.person.possessive} hand"
    return f"{'in' if place == home.container else 'on'} the {place}"


def _places(rng: Random, home: Home) -> list[str]:
    """Where a thing could be: first in the hand and where others are, then anywhere."""
    places = ["hand", *home.place.values(), *home.furniture()]
    return [_place(home, place) for place in (*places, *rng.sample(NOUNS.surfaces, CHOICES))]


def fitting_word(rng: Random) -> Example | None:
    """A text without its last word, which is to be told from other words that the text has already used."""
    text = document(SEED + 1, rng.randrange(10**9))[1]
    context, _, last = text.rpartition(" ")
    right = last.rstrip(".?!")
    used = dict.fromkeys(word for word in re.findall(r"[a-z]{4,}", context) if word != right.lower())
    if len(context.split()) < 12 or len(right) < 4 or len(used) < CHOICES - 1:
        return None
    choices = [right, *rng.sample(list(used), CHOICES - 1)]
    rng.shuffle(choices)
    return _example(context, [f"{choice}{last[len(right) :]}" for choice in choices], choices.index(right))


def sensible_step(rng: Random) -> Example | None:
    """A situation, a goal, and what could be done next, of which one thing leads to the goal."""
    return _kitchen_step(rng) if rng.random() < 0.5 else _household_step(rng)


def _kitchen_step(rng: Random) -> Example | None:
    kitchen = random_kitchen(rng, make_style(rng, rng.random() < 0.3, anyone(rng)))
    before, cue = goal_clause(rng, kitchen)
    text = join(rng, describe_kitchen(rng, kitchen))
    context = " ".join([text, *([sentence(before)] if before else []), _capital(cue.strip())])
    return _step_example(rng, context, kitchen)


def _household_step(rng: Random) -> Example | None:
    home = random_home(rng, rng.random() < 0.3, anyone(rng))
    goal = goal_phrase(rng, home)
    text = join(rng, describe_home(rng, home))
    return _step_example(rng, f"{text} To {goal}, {cue_words(rng, home)}", home)


def _step_example(rng: Random, context: str, world: Any) -> Example | None:
    """None where other steps are too few, or more than one step is sensible and none is the answer."""
    sensible = {step for _ in range(20) if (step := world.sensible(rng)) is not None}
    right = {world.phrase(step) for step in sensible}
    others = sorted({world.phrase(step) for step in world.possible() if step not in sensible} - right)
    if len(right) != 1 or len(others) < CHOICES - 1:
        return None
    choices = [*right, *rng.sample(others, CHOICES - 1)]
    rng.shuffle(choices)
    return _example(context, [f"{choice}." for choice in choices], next(choices.index(phrase) for phrase in right))


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _example(context: str, choices: list[str], answer: int) -> Example:
    return {"context": " ".join(context.split()), "choices": choices, "answer": answer}


TEXTS: dict[str, Callable[[frozenset[int]], list[str]]] = {"everyday": everyday, "next-steps": next_steps}
TASKS: dict[str, Callable[[Random], Example | None]] = {
    "copying": copying,
    "whereabouts": whereabouts,
    "fitting-word": fitting_word,
    "sensible-step": sensible_step,
}


def examples(name: str, banned: frozenset[int], count: int = EXAMPLES) -> Iterator[Example]:
    """Yield different examples of a task, none of which shares eight words with a prompt of an environment."""
    seen: set[str] = set()
    number = 0
    while len(seen) < count:
        example = TASKS[name](Random(f"language/{name}/{number}"))
        number += 1
        if example is None or example["context"] in seen:
            continue
        sentences = [f"{example['context']} {choice}" for choice in example["choices"]]
        if any(shares_ngram(text, banned) or not _holds_out(text) for text in sentences):
            continue
        seen.add(example["context"])
        yield example


def _holds_out(text: str) -> bool:
    try:
        check_hold_outs(text)
    except HoldOutError:
        return False
    return True


def write_language(directory: Path, avoid: Path) -> list[Path]:
    """Write every text and every task; return the files."""
    banned = ngram_hashes(read_prompts(avoid))
    directory.mkdir(parents=True, exist_ok=True)
    files = []
    for name, write in TEXTS.items():
        files.append(directory / f"{name}.txt")
        files[-1].write_text("\n".join(write(banned)) + "\n", encoding="utf-8", newline="\n")
    for name, make in TASKS.items():
        lines = ",\n".join(json.dumps(example) for example in examples(name, banned))
        about = json.dumps(" ".join((make.__doc__ or "").split()))
        files.append(directory / f"{name}.json")
        text = f'{{"about": {about}, "examples": [\n{lines}\n]}}\n'
        files[-1].write_text(text, encoding="utf-8", newline="\n")
    return files


def shared_with(corpus: Iterable[str], files: Iterable[Path]) -> dict[str, dict[str, float]]:
    """For every file, how many of its texts a corpus holds whole, and the share of 8 and 16 word sequences it holds."""
    known: dict[int, set[int]] = {LIMIT: set(), 2 * LIMIT: set()}
    texts = {path.stem: list(_texts(path)) for path in files}
    wanted = {n: {hash(gram) for lines in texts.values() for line in lines for gram in ngrams(line, n)} for n in known}
    whole: set[str] = set()
    lines = {line for group in texts.values() for line in group}
    for text in corpus:
        whole |= {text.strip()} & lines
        for length, seen in known.items():
            seen |= wanted[length] & {hash(gram) for gram in ngrams(text, length)}
    report = {}
    for name, group in texts.items():
        report[name] = {"texts": len(group), "whole": sum(line in whole for line in group)}
        for length, seen in known.items():
            grams = [hash(gram) for line in group for gram in ngrams(line, length)]
            report[name][f"{length} words"] = sum(gram in seen for gram in grams) / max(1, len(grams))
    return report


def _texts(path: Path) -> Iterator[str]:
    content = path.read_text(encoding="utf-8")
    if path.suffix == ".txt":
        yield from content.splitlines()
        return
    for example in json.loads(content)["examples"]:
        yield f"{example['context']} {example['choices'][example['answer']]}"
