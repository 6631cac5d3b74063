"""The release: a finished run's weights, with a model card that says what they are and where they come from."""

from __future__ import annotations

import hashlib
import json
from functools import partial
from pathlib import Path
from typing import Any

from transformers import AutoModelForCausalLM

from pretraining import results
from pretraining.evidence import evidence
from pretraining.probe import NOUNS, probe
from pretraining.rewording import with_nouns
from pretraining.train import Trainer, read_config
from pretraining.words import ABSENT, OUT_OF_PROCEDURES
from pretraining.zero_shot import zero_shot

LIMIT_BYTES = 12_000_000
SWAPS: tuple[tuple[str, str, dict[str, str]], ...] = (
    ("tomato-salad", "as it is: a noun held out of procedures", {}),
    ("tomato-salad", "tomato read as carrot: a noun of the corpus's procedures", {"tomato": "carrot"}),
    ("tomato-salad", "tomato read as blorvet: an invented noun", {"tomato": "blorvet"}),
    ("tomato-lettuce-salad", "as it is: nouns held out of procedures", {}),
    ("food-preparation", "as it is: pancake is nowhere in the corpus", {}),
    ("food-preparation", "pancake read as muffin: a noun of the corpus's procedures", {"pancake": "muffin"}),
    ("entertainment", "as it is", {}),
)

CARD = """---
license: apache-2.0
language: en
library_name: transformers
pipeline_tag: text-generation
---

# The embedded model of twosome

A very small language model ({parameters:,} parameters, LLaMA architecture) that makes a first run of twosome possible
without a GPU, a model hub or an account. It knows some household and kitchen English and nothing else. It is not for
any other use, and nothing measured with it says anything about large language models.

## Data

All text was made by the generator in `pretraining/` of the project's repository: {documents:,} documents,
{characters:,} characters, seed {corpus_seed}, SHA-256 of the corpus `{corpus_sha256}`.
No text was downloaded, and no other model took part.

**A kitchen simulator and a household simulator wrote much of this text.** About 39 % of the documents state a
situation and a goal and then a next step, which is what the model is asked to do in twosome's environments; the rest
are stories, questions and answers, recipes, facts and small talk. So part of what the model does in the environments
was written down for it, in other words and mostly about other things. About one next step in nine is wrong on purpose.

What was kept out, before training:

- {held_out} occur only in facts, soup and shopping, never where food is handled;
- {absent} occur nowhere (and so the whole chore of washing things in a machine is missing);
- no document shares eight consecutive words with any prompt and action of twosome's environments (checked over all
  reachable states; documents that did were dropped).

## Recipe

{layers} layers, hidden size {hidden}, feed-forward size {feed_forward}, heads of {head_size}, tied embeddings;
byte-level BPE tokenizer with {vocabulary} entries, made from the same text, which puts `<|start|>` in front of every
text as in training. {tokens:,} tokens (without padding) in rows of {row_length}, {rows_per_step} rows a step, optimizer
{optimizer}, bfloat16 autocast over float32 weights, learning rate constant and then falling over the last
{decay_percent:.0f} %. Loss on held-out documents: {validation_loss:.3f} nats a token.

To make it again: see `pretraining/README.md`.

## What it can do untuned

Exact values over all reachable states, layout A, actions sampled: mean discounted return (probability of success), for
uniform play and for the model's scores under each normalisation. "Accuracy" is the share of states in which the
likeliest action, by word normalisation, is an optimal one; in brackets for uniform play, the share to expect.

{zero_shot}

## What that rests on

{evidence}
### Development probes

A few hand-written situations: share in which the right phrase scores best per word, and share of nouns it repeats
from the text.

{probes}

## Limits

English of one narrow kind. No knowledge of the world, no instructions, no dialogue. Prompts of more than about 250
tokens are longer than anything it was trained on. It repeats what simulators wrote and inherits their simplicity.

## Files

{files}
"""


def release(run: Path, directory: Path) -> None:
    """Write the newest checkpoint of a run as a model directory with its card.

    Raises:
        ValueError: If the weights are larger than the package may carry.
    """
    trainer = Trainer(run)
    trainer.export(directory)
    size = (directory / "model.safetensors").stat().st_size
    if size > LIMIT_BYTES:
        raise ValueError(f"the weights have {size:,} bytes, more than the {LIMIT_BYTES:,} the package may carry")
    write_card(run, directory)


def write_card(run: Path, directory: Path, found: Path = results.DIRECTORY) -> None:
    """Write the card of a released run anew, with the results that are there for its weights."""
    (directory / "README.md").write_text(_card(run, directory, Trainer(run), found), encoding="utf-8")


def _card(run: Path, directory: Path, trainer: Trainer, found: Path) -> str:
    config = read_config(run)
    corpus = json.loads((run / "corpus.json").read_text())
    model, tokenizer = AutoModelForCausalLM.from_pretrained(directory, dtype="float32"), trainer.tokenizer
    decay = trainer.progress.decay_end - trainer.progress.decay_start
    return CARD.format(
        **{**vars(config), "tokens": trainer.progress.tokens},
        decay_percent=100 * decay / trainer.progress.decay_end,
        parameters=sum(weight.numel() for weight in model.parameters()),
        corpus_seed=corpus["seed"],
        documents=corpus["documents"],
        characters=corpus["characters"],
        corpus_sha256=corpus["sha256"],
        held_out=", ".join(OUT_OF_PROCEDURES),
        absent=", ".join(ABSENT),
        validation_loss=trainer.validate(10**9),
        zero_shot=_zero_shot_table(model, tokenizer),
        evidence=evidence(results.weights_hash(directory), found),
        probes=_probe_table(probe(model, tokenizer)),
        files=_file_list(directory),
    )


def _zero_shot_table(model: Any, tokenizer: Any) -> str:
    lines = ["| task | nouns | uniform | sum | token | word | accuracy |", "|---|---|---|---|---|---|---|"]
    for task, label, swaps in SWAPS:
        rows = zero_shot(model, tokenizer, task, partial(with_nouns, nouns=swaps))
        cells = [task, label, *(f"{row.mean_return:.3f} ({row.success:.3f})" for row in rows.values())]
        cells.append(f"{rows['word'].accuracy:.2f} ({rows['uniform'].accuracy:.2f})")
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _probe_table(found: dict[str, float]) -> str:
    lines = ["| nouns | kitchen | home | copied |", "|---|---|---|---|"]
    lines += [
        f"| {group.replace('_', ' ')} | {found[f'kitchen_{group}_word']:.2f} | {found[f'home_{group}_word']:.2f} "
        f"| {found[f'copy_{group}']:.2f} |"
        for group in NOUNS
    ]
    return "\n".join(lines)


def _file_list(directory: Path) -> str:
    files = sorted(path for path in directory.iterdir() if path.suffix in (".json", ".safetensors"))
    return "\n".join(
        f"- `{path.name}`: {path.stat().st_size:,} bytes, SHA-256 `{hashlib.sha256(path.read_bytes()).hexdigest()}`"
        for path in files
    )
