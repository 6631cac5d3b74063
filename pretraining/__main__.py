"""Makes the embedded model: its corpus, its training, its audit, the controls of what it is worth, and its card."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

from pretraining.config import TrainConfig

HERE = Path(__file__).resolve().parent
PACKAGE = HERE.parent / "src" / "twosome"
EMBEDDED = PACKAGE / "models" / "embedded"
LANGUAGE = PACKAGE / "language" / "data"
AVOID = HERE / "avoid.txt"

Handle = Callable[[argparse.Namespace], int]
Add = Callable[[str, Handle, str], argparse.ArgumentParser]


def main(arguments: list[str] | None = None) -> int:
    """Run one command and return its exit status."""
    options = build_parser().parse_args(arguments)
    handle: Handle = options.handle
    return handle(options)


def build_parser() -> argparse.ArgumentParser:
    """Every command, with the function that handles it as its default ``handle``."""
    parser = argparse.ArgumentParser(prog="python -m pretraining", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)

    def add(name: str, handle: Handle, text: str) -> argparse.ArgumentParser:
        command = commands.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}.")
        command.set_defaults(handle=handle)
        return command

    _add_text_commands(add)
    _add_training_commands(add)
    controls = add("controls", _controls, "exact worth beside random weights, permutations and other nouns")
    controls.add_argument("model", type=Path, nargs="?", default=EMBEDDED)
    controls.add_argument("--task", action="append", help="default: all tasks")
    release = add("release", _release, "a finished run into the package: weights, card and results/training.json")
    release.add_argument("run", type=Path)
    release.add_argument("directory", type=Path, nargs="?", default=EMBEDDED)
    card = add("card", _card, "write the model card anew, from the results as they are now")
    card.add_argument("directory", type=Path, nargs="?", default=EMBEDDED)
    return parser


def _add_text_commands(add: Add) -> None:
    corpus = add("corpus", _corpus, "write a corpus, one document per line")
    corpus.add_argument("path", type=Path)
    corpus.add_argument("--seed", type=int, default=1)
    corpus.add_argument("--documents", type=int, default=500_000)
    avoid = "prompts or 8-word sequences, one per line: drop what shares 8 words with them (default: %(default)s)"
    corpus.add_argument("--avoid", type=Path, default=AVOID, help=avoid)
    audit = add("audit", _audit, "n-gram overlap of a corpus with evaluation prompts; fails at 8 words")
    audit.add_argument("corpus", type=Path)
    audit.add_argument("--prompts", type=Path, help="prompts, one per line; default: all prompts of the environments")
    prompts = add("prompts", _prompts, "write all reachable prompts of the environments, one per line")
    prompts.add_argument("path", type=Path)
    prompts.add_argument("--ngrams", action="store_true", help="write their different 8-word sequences instead")
    language = add("language", _language, "held-out text and language tasks into the package")
    language.add_argument("directory", type=Path, nargs="?", default=LANGUAGE)
    language.add_argument("--avoid", type=Path, default=AVOID, help=avoid)
    language.add_argument("--corpus", type=Path, help="also tell what this corpus shares with them; fails at a text")


def _add_training_commands(add: Add) -> None:
    prepare = add("prepare", _prepare, "tokenizer and packed rows for a run")
    prepare.add_argument("corpus", type=Path)
    prepare.add_argument("run", type=Path)
    for field in fields(TrainConfig):
        name = f"--{field.name.replace('_', '-')}"
        prepare.add_argument(name, type=type(field.default), default=field.default, help="default %(default)s")
    train = add("train", _train, "train, or go on with, a prepared run")
    train.add_argument("run", type=Path)
    train.add_argument("--device", default="cpu")
    train.add_argument("--threads", type=int, default=1)
    train.add_argument("--compile", action="store_true", help="compile the model first (1.2 times as fast on the CPU)")
    for name, steps in (("log", 50), ("check", 250), ("save", 500)):
        train.add_argument(f"--{name}-every", type=int, default=steps, help="steps (default %(default)s)")
    export = add("export", _export, "model directory from the newest checkpoint of a run")
    export.add_argument("run", type=Path)
    export.add_argument("directory", type=Path)


def _corpus(options: argparse.Namespace) -> int:
    from pretraining.audit import ngram_hashes, read_prompts
    from pretraining.corpus import write_corpus

    banned = ngram_hashes(read_prompts(options.avoid))
    print(json.dumps(write_corpus(options.path, options.seed, options.documents, banned), indent=2))
    return 0


def _audit(options: argparse.Namespace) -> int:
    from pretraining.audit import LIMIT, overlap, read_prompts

    if options.prompts:
        prompts = read_prompts(options.prompts)
    else:
        from pretraining.environments import all_prompts

        prompts = all_prompts()
    with options.corpus.open(encoding="utf-8") as file:
        rows = overlap(prompts, file)
    failed = any(row.length >= LIMIT and row.documents for row in rows)
    print(f"{len(prompts)} prompts; documents that share n consecutive words with any of them:")
    for row in rows:
        print(f"n={row.length:<3d} {row.documents:>9,d}  {row.fraction:9.4%}  {row.example}")
    print("FAILED: a document shares 8 or more consecutive words" if failed else "passed")
    return 1 if failed else 0


def _prompts(options: argparse.Namespace) -> int:
    from pretraining.audit import LIMIT, ngrams
    from pretraining.environments import all_prompts

    prompts = all_prompts()
    if options.ngrams:
        prompts = sorted(set().union(*(ngrams(prompt, LIMIT) for prompt in prompts)))
    options.path.parent.mkdir(parents=True, exist_ok=True)
    options.path.write_text("\n".join(prompts) + "\n", encoding="utf-8")
    print(f"{len(prompts)} lines written to {options.path}")
    return 0


def _prepare(options: argparse.Namespace) -> int:
    from pretraining.train import prepare

    config = TrainConfig(**{field.name: getattr(options, field.name) for field in fields(TrainConfig)})
    prepare(options.corpus, options.run, config)
    return 0


def _train(options: argparse.Namespace) -> int:
    os.environ.setdefault("OMP_NUM_THREADS", str(options.threads))
    import torch

    from pretraining.train import Trainer

    torch.set_num_threads(options.threads)
    torch.set_float32_matmul_precision("high")
    trainer = Trainer(options.run, options.device, options.compile)
    trainer.fit(options.log_every, options.check_every, options.save_every)
    return 0


def _controls(options: argparse.Namespace) -> int:
    import torch
    from transformers.utils import logging

    from pretraining.controls import PAPER_TASKS, UNSEEN_TASKS, measure

    torch.set_num_threads(1)  # values are compared to the last digit: nothing may be summed in another order
    torch.set_float32_matmul_precision("high")
    logging.disable_progress_bar()
    measure(options.model, tasks=options.task or PAPER_TASKS + UNSEEN_TASKS)
    return 0


def _language(options: argparse.Namespace) -> int:
    from pretraining.language import shared_with, write_language

    files = write_language(options.directory, options.avoid)
    print(f"{len(files)} files written to {options.directory}")
    if options.corpus is None:
        return 0
    with options.corpus.open(encoding="utf-8") as corpus:
        report = shared_with(corpus, files)
    for name, shared in report.items():
        print(f"{name:<14} {json.dumps(shared)}")
    return 1 if any(shared["whole"] for shared in report.values()) else 0


def _release(options: argparse.Namespace) -> int:
    import torch

    from pretraining.card import release

    torch.set_num_threads(1)
    release(options.run, options.directory)
    print(f"written to {options.directory}")
    return 0


def _card(options: argparse.Namespace) -> int:
    from pretraining.card import write_card

    write_card(options.directory)
    print(f"written to {options.directory / 'README.md'}")
    return 0


def _export(options: argparse.Namespace) -> int:
    from pretraining.train import Trainer

    Trainer(options.run).export(options.directory)
    print(f"written to {options.directory}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
