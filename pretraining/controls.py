"""What the embedded model's prior rests on: exact values beside those of controls that should destroy it.

A language prior needs the weights, the phrases that belong to the actions, and the prompt that belongs to the state.
Each control takes one of them away and leaves the rest; other nouns take away nothing but the surface.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, LlamaForCausalLM

from pretraining import results
from pretraining.nouns import Swap, swaps
from pretraining.results import Sample, sample, samples
from pretraining.zero_shot import (
    NORMALIZATIONS,
    Change,
    Reading,
    Situations,
    Worth,
    policy_table,
    read,
    reading_worth,
    situations,
    uniform_worth,
    worth,
)
from twosome.decision import Decision
from twosome.text.tasks import TASKS

PAPER_TASKS = ("tomato-salad", "tomato-lettuce-salad", "food-preparation", "entertainment")
UNSEEN_TASKS = tuple(task for task in TASKS if task not in PAPER_TASKS)

AS_IT_IS, UNIFORM, RANDOM = "as it is", "uniform", "random weights"
PHRASES, PROMPTS = "phrases permuted", "prompts permuted"
SEEDS = {RANDOM: 10, PHRASES: 20, PROMPTS: 10}
FEWER_SEEDS, MANY_PROMPTS = 5, 500
"""Fewer random weights for unseen tasks, fewer permuted prompts where there are many: each reads them all again."""

Members = list[tuple[str, dict[str, Worth]]]
"""The worth under each normalisation, by member."""


def load(directory: Path) -> tuple[Any, Any]:
    """Return a model directory's model, in float32, and its tokenizer."""
    model = AutoModelForCausalLM.from_pretrained(directory, dtype="float32").eval()
    return model, AutoTokenizer.from_pretrained(directory)


def random_model(directory: Path, seed: int) -> LlamaForCausalLM:
    """Return a model of the same shape with random weights, as its training would begin."""
    torch.manual_seed(seed)
    return LlamaForCausalLM(AutoConfig.from_pretrained(directory)).eval()


def measure(directory: Path, out: Path = results.DIRECTORY, tasks: Sequence[str] = PAPER_TASKS + UNSEEN_TASKS) -> None:
    """Measure every control and write it to ``zero-shot.json``; what is there for these weights is not done again."""
    weights = results.weights_hash(directory)
    known = results.load("zero-shot", out)
    rows = results.to_rows(known["rows"]) if known.get("weights") == weights else []
    facts: dict[str, Any] = known.get("tasks", {}) if rows else {}
    for task in tasks:
        where = situations(task)
        facts[task] = {
            "states": len(where.decisions),
            "prompts": len(where.distinct),
            "optimum": round(float(where.optimum.values[0]), results.DIGITS),
        }
        for condition, take in conditions(directory, where):
            if any((row.task, row.condition) == (task, condition) for row in rows):
                continue
            found = take()
            rows += found
            for row in found:
                name, spread = row.normalization or "", row.spread("mean_return")
                print(f"{task:22s} {condition:20s} {name:6s} {spread.mean:7.3f}  n={spread.count}", flush=True)
            results.store("zero-shot", {"weights": weights, "tasks": facts, "rows": results.from_rows(rows)}, out)


def conditions(directory: Path, where: Situations) -> Iterator[tuple[str, Callable[[], list[Sample]]]]:
    """Yield each condition of a task, and what takes its samples."""
    model, tokenizer = load(directory)
    task, unseen = where.task, where.task in UNSEEN_TASKS
    seeds = dict(SEEDS)
    if unseen:
        seeds[RANDOM] = FEWER_SEEDS
    if len(where.distinct) > MANY_PROMPTS:
        seeds[PROMPTS] = FEWER_SEEDS
    base: list[Reading] = []

    def reading() -> Reading:
        if not base:
            base.append(read(model, tokenizer, where.distinct))
        return base[0]

    def changed(change: Change) -> dict[str, Worth]:
        return worths(where, read(model, tokenizer, where.distinct, change))

    yield UNIFORM, lambda: [sample(task, UNIFORM, None, [("", uniform_worth(where))])]
    yield AS_IT_IS, lambda: samples(task, AS_IT_IS, [("", worths(where, reading()))])
    yield RANDOM, lambda: samples(task, RANDOM, _random_weights(directory, tokenizer, where, range(seeds[RANDOM])))
    if unseen:
        return
    yield PHRASES, lambda: samples(task, PHRASES, _permuted_phrases(where, reading()))
    orders = [(str(seed), permuted_prompts(where, seed)) for seed in range(seeds[PROMPTS])]
    yield PROMPTS, lambda: samples(task, PROMPTS, [(name, changed(change)) for name, change in orders])
    groups: dict[str, list[Swap]] = {}
    for swap in swaps(task):
        groups.setdefault(f"nouns {swap.group}", []).append(swap)
    for name, group in groups.items():
        yield name, lambda name=name, group=group: samples(task, name, [(swap.label, changed(swap)) for swap in group])


def worths(where: Situations, reading: Reading) -> dict[str, Worth]:
    """Return the worth under each normalisation."""
    return {name: reading_worth(where, reading, name) for name in NORMALIZATIONS}


def _random_weights(directory: Path, tokenizer: Any, where: Situations, seeds: Sequence[int]) -> Members:
    readings = ((seed, read(random_model(directory, seed), tokenizer, where.distinct)) for seed in seeds)
    return [(str(seed), worths(where, reading)) for seed, reading in readings]


def _permuted_phrases(where: Situations, reading: Reading) -> Members:
    """In every state the probabilities stay, but belong to the actions in a random order."""
    members: Members = []
    for seed in range(SEEDS[PHRASES]):
        rng = np.random.default_rng(seed)
        orders = {decision: rng.permutation(len(decision.actions)) for decision in where.distinct}
        found = {}
        for name in NORMALIZATIONS:
            policy = {key: phrases.probabilities(name)[orders[key]] for key, phrases in reading.items()}
            found[name] = worth(where, policy_table(where, policy))
        members.append((str(seed), found))
    return members


def permuted_prompts(where: Situations, seed: int) -> Change:
    """Return the change after which every state shows the prompt of another, beside its own phrases."""
    rng, prompts = np.random.default_rng(seed), list(dict.fromkeys(decision.prompt for decision in where.distinct))
    order = rng.permutation(len(prompts))
    while (order == np.arange(len(prompts))).any():  # no prompt stays; about every third permutation will do
        order = rng.permutation(len(prompts))
    other: Mapping[str, str] = {prompt: prompts[index] for prompt, index in zip(prompts, order, strict=True)}
    return lambda decision: Decision(other[decision.prompt], decision.actions)
