"""Commands: ``python -m pretraining corpus | audit | prompts | prepare | train | probe | zero-shot | release | card``.

``language`` writes what ``twosome evaluate-language`` measures on. Those that measure what a model is worth, and write
``pretraining/results/``, are in :mod:`pretraining.proof`.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable
from dataclasses import fields
from functools import partial
from pathlib import Path

from pretraining.proof import AVOID, EMBEDDED, add_parsers

LANGUAGE = Path(__file__).resolve().parent.parent / "src" / "twosome" / "runs" / "language" / "data"


def main(arguments: list[str] | None = None) -> int:
    """Run one command and return its exit status."""
    options = build_parser().parse_args(arguments)
    handle: Callable[[argparse.Namespace], int] = options.handle
    return handle(options)


def build_parser() -> argparse.ArgumentParser:
    """Every command, with the function that handles it as its default ``handle``."""
    parser = argparse.ArgumentParser(prog="python -m pretraining", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    _corpus_parser(commands.add_parser("corpus", help="write a corpus, one document per line"))
    audit = commands.add_parser("audit", help="n-gram overlap of a corpus with evaluation prompts; fails at 8 words")
    audit.add_argument("corpus", type=Path)
    audit.add_argument("--prompts", type=Path, help="prompts, one per line; default: all prompts of the environments")
    audit.add_argument("--json", action="store_true")
    prompts = commands.add_parser("prompts", help="write all reachable prompts of the environments, one per line")
    prompts.add_argument("path", type=Path)
    prompts.add_argument("--ngrams", action="store_true", help="write their different 8-word sequences instead")
    _prepare_parser(commands.add_parser("prepare", help="tokenizer and packed rows for a run"))
    train = commands.add_parser("train", help="train, or go on with, a prepared run")
    train.add_argument("run", type=Path)
    train.add_argument("--device", default="cpu")
    train.add_argument("--threads", type=int, default=1)
    train.add_argument("--compile", action="store_true", help="compile the model first (1.2 times as fast on the CPU)")
    for name, default in (("log", 50), ("check", 250), ("save", 500), ("export", 1250)):
        train.add_argument(f"--{name}-every", type=int, default=default, help=f"steps (default {default})")
    probe = commands.add_parser("probe", help="development probes of a model directory")
    probe.add_argument("model", type=Path)
    zero = commands.add_parser("zero-shot", help="exact worth of an untuned model in the environments")
    zero.add_argument("model", type=Path)
    zero.add_argument("--task", action="append", help="default: tomato-salad and food-preparation")
    zero.add_argument(
        "--swap", action="append", default=[], metavar="OLD=NEW", help="put another noun into the prompts"
    )
    language = commands.add_parser("language", help="held-out text and language tasks into the package")
    language.add_argument("directory", type=Path, nargs="?", default=LANGUAGE)
    language.add_argument("--avoid", type=Path, default=AVOID, help="as for the corpus (default: %(default)s)")
    language.add_argument("--corpus", type=Path, help="also tell what this corpus shares with them; fails at a text")
    release = commands.add_parser("release", help="model directory of a finished run, with its model card")
    release.add_argument("run", type=Path)
    release.add_argument("directory", type=Path, nargs="?", default=EMBEDDED)
    card = commands.add_parser("card", help="write the model card anew, from the results as they are now")
    card.add_argument("run", type=Path)
    card.add_argument("directory", type=Path, nargs="?", default=EMBEDDED)
    export = commands.add_parser("export", help="model directory from the newest checkpoint of a run")
    export.add_argument("run", type=Path)
    export.add_argument("directory", type=Path)
    for name, handle in _HANDLERS.items():
        commands.choices[name].set_defaults(handle=handle)
    add_parsers(commands)
    return parser


def _corpus_parser(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("path", type=Path)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--documents", type=int, default=500_000)
    parser.add_argument("--variant", choices=("standard", "swapped", "distant"), default="standard")
    parser.add_argument(
        "--avoid",
        type=Path,
        default=AVOID,
        help="prompts or 8-word sequences, one per line: drop documents that share 8 words (default: %(default)s)",
    )


def _prepare_parser(parser: argparse.ArgumentParser) -> None:
    from pretraining.train import TrainConfig

    parser.add_argument("corpus", type=Path)
    parser.add_argument("run", type=Path)
    for field in fields(TrainConfig):
        kind = type(field.default)
        parser.add_argument(
            f"--{field.name.replace('_', '-')}", type=kind, default=field.default, help=f"default {field.default}"
        )


def _corpus(options: argparse.Namespace) -> int:
    from pretraining.audit import ngram_hashes, read_prompts
    from pretraining.corpus import write_corpus

    banned = ngram_hashes(read_prompts(options.avoid))
    print(json.dumps(write_corpus(options.path, options.seed, options.documents, options.variant, banned), indent=2))
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
    if options.json:
        print(
            json.dumps(
                {"prompts": len(prompts), "passed": not failed, "overlap": [vars(row) for row in rows]}, indent=2
            )
        )
    else:
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
    from pretraining.train import TrainConfig, prepare

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
    trainer.fit(options.log_every, options.check_every, options.save_every, options.export_every)
    return 0


def _load(directory: Path):  # type: ignore[no-untyped-def]
    from transformers import AutoModelForCausalLM, AutoTokenizer

    return AutoModelForCausalLM.from_pretrained(directory, dtype="float32"), AutoTokenizer.from_pretrained(directory)


def _probe(options: argparse.Namespace) -> int:
    import torch

    from pretraining.probe import probe

    torch.set_num_threads(1)
    model, tokenizer = _load(options.model)
    for name, value in probe(model, tokenizer).items():
        print(f"{name:28s} {value:.3f}")
    return 0


def _zero_shot(options: argparse.Namespace) -> int:
    import torch

    from pretraining.rewording import with_nouns
    from pretraining.zero_shot import zero_shot

    torch.set_num_threads(1)
    model, tokenizer = _load(options.model)
    swaps = dict(swap.split("=") for swap in options.swap)
    for task in options.task or ("tomato-salad", "food-preparation"):
        print(f"{task} {' '.join(options.swap)}\npolicy   success  return  accuracy  mass")
        found = zero_shot(model, tokenizer, task, partial(with_nouns, nouns=swaps))
        for name, row in found.items():
            print(f"{name:8s} {row.success:6.3f}  {row.mean_return:7.4f}  {row.accuracy:6.3f}  {row.optimal_mass:6.3f}")
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
    import torch

    from pretraining.card import write_card

    torch.set_num_threads(1)
    write_card(options.run, options.directory)
    print(f"written to {options.directory / 'README.md'}")
    return 0


def _export(options: argparse.Namespace) -> int:
    from pretraining.train import Trainer

    Trainer(options.run).export(options.directory)
    print(f"written to {options.directory}")
    return 0


_HANDLERS: dict[str, Callable[[argparse.Namespace], int]] = {
    "corpus": _corpus,
    "audit": _audit,
    "prompts": _prompts,
    "prepare": _prepare,
    "train": _train,
    "probe": _probe,
    "zero-shot": _zero_shot,
    "language": _language,
    "release": _release,
    "card": _card,
    "export": _export,
}


if __name__ == "__main__":
    sys.exit(main())
