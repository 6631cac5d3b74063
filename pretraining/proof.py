"""Commands that measure what the model is worth and write ``pretraining/results/``; see "Proof" in the README."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
OUTPUT = HERE / "output"
EMBEDDED = HERE.parent / "src" / "twosome" / "models" / "embedded"
PICTURE = HERE.parent / "docs" / "pictures" / "embedded_model.png"
AVOID = HERE / "avoid.txt"


def add_parsers(commands: Any) -> None:
    """Add the commands to the parser of ``python -m pretraining``."""
    controls = commands.add_parser("controls", help="exact worth beside random weights, permutations, other words")
    controls.add_argument("model", type=Path, nargs="?", default=EMBEDDED)
    controls.add_argument("--task", action="append", help="default: all tasks")
    controls.set_defaults(handle=_controls)
    texts = commands.add_parser("texts", help="hold the rewordings and nouns of the measurements against a corpus")
    texts.add_argument("corpus", type=Path)
    texts.set_defaults(handle=_texts)
    trainings = commands.add_parser("trainings", help="train the controls: other text, other sizes, another seed")
    trainings.add_argument("directory", type=Path, nargs="?", default=OUTPUT / "controls")
    trainings.add_argument("--only", action="append", default=[], help="names; default: all")
    trainings.add_argument("--tokens", type=int, default=2_500_000, help="for new ones (default: %(default)s)")
    trainings.add_argument("--compile", action="store_true")
    trainings.set_defaults(handle=_trainings)
    compare = commands.add_parser("compare", help="exact worth of the finished controls, and of a run on its way")
    compare.add_argument("directory", type=Path, nargs="?", default=OUTPUT / "controls")
    compare.add_argument("--run", type=Path, help="measure the exports of this run, too")
    compare.set_defaults(handle=_compare)
    practice = commands.add_parser("practice", help="decisions until the optimum, pretrained against random weights")
    practice.add_argument("directory", type=Path, nargs="?", default=OUTPUT / "practice")
    practice.add_argument("--task", action="append", help="default: the four of the paper")
    practice.add_argument("--seeds", type=int, default=5)
    practice.add_argument("--decisions", type=int, help="default: the preset's")
    practice.add_argument("--other", action="append", default=[], metavar="NAME=DIR", help="further weights")
    practice.set_defaults(handle=_practice)
    cost = commands.add_parser("cost", help="processor time of a PPO update by size of the model")
    cost.add_argument("directory", type=Path, nargs="?", default=OUTPUT / "practice")
    cost.set_defaults(handle=_cost)
    losses = commands.add_parser("losses", help="publish the losses a run logged")
    losses.add_argument("run", type=Path)
    losses.set_defaults(handle=_losses)
    figure = commands.add_parser("figure", help="draw what was measured")
    figure.add_argument("path", type=Path, nargs="?", default=PICTURE)
    figure.set_defaults(handle=_figure)


def _controls(options: argparse.Namespace) -> int:
    from pretraining.controls import PAPER_TASKS, UNSEEN_TASKS, measure

    _one_thread()
    measure(options.model, tasks=options.task or PAPER_TASKS + UNSEEN_TASKS)
    return 0


def _texts(options: argparse.Namespace) -> int:
    from pretraining.results import load
    from pretraining.texts import audit_texts, summary

    passed = audit_texts(options.corpus)
    print(summary(load("texts")))
    print("passed" if passed else "FAILED: a document shares 8 or more consecutive words with a rewording")
    return 0 if passed else 1


def _trainings(options: argparse.Namespace) -> int:
    from pretraining.audit import ngram_hashes, read_prompts
    from pretraining.trainings import train_all

    _one_thread()
    banned = ngram_hashes(read_prompts(AVOID))
    train_all(options.directory, options.only, options.tokens, banned, options.compile)
    return 0


def _compare(options: argparse.Namespace) -> int:
    from pretraining.trainings import compare, controls_of, exports_of

    _one_thread()
    compare([*controls_of(options.directory), *(exports_of(options.run) if options.run else ())])
    return 0


def _practice(options: argparse.Namespace) -> int:
    from pretraining.controls import PAPER_TASKS
    from pretraining.practice import practise

    _one_thread()
    others = {name: Path(place) for name, place in (word.split("=", 1) for word in options.other)}
    for task in options.task or PAPER_TASKS:
        practise(task, range(options.seeds), options.directory, options.decisions, others)
    return 0


def _cost(options: argparse.Namespace) -> int:
    from pretraining.practice import measure_cost

    _one_thread()
    measure_cost(options.directory)
    return 0


def _losses(options: argparse.Namespace) -> int:
    from pretraining.trainings import publish_curve

    publish_curve(options.run)
    return 0


def _figure(options: argparse.Namespace) -> int:
    from pretraining.figure import draw

    draw(options.path)
    print(f"written to {options.path}")
    return 0


def _one_thread() -> None:
    """Measurements are compared to the last digit, so nothing may be summed in another order."""
    import torch
    from transformers.utils import logging

    torch.set_num_threads(1)
    torch.set_float32_matmul_precision("high")
    logging.disable_progress_bar()
