"""``twosome evaluate-language``: what training changed of a model's language, adapter off and on."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from twosome.terminal.parsing import (
    Parser,
    add_json_argument,
    add_prompting_arguments,
    add_trust_argument,
    not_negative,
    positive,
    prompting_of,
)

if TYPE_CHECKING:
    import argparse

    from twosome.language.evaluation import LanguageSettings
    from twosome.language.measures import LanguageReport


def run(words: list[str]) -> int:
    """Run the command."""
    arguments = _parser().parse_args(words)
    tasks = None if arguments.tasks is None else [task for word in arguments.tasks for task in word.split(",") if task]

    from twosome.collector import importing

    with importing():
        from twosome.language.evaluation import evaluate_language
        from twosome.language.harness import INSTALL, is_installed

    report = evaluate_language(
        Path(arguments.source),
        _settings(arguments, tasks),
        model=arguments.model,
        task=arguments.task,
        out=Path(arguments.out) if arguments.out else None,
        again=arguments.again,
        trust_remote_code=arguments.trust_remote_code,
        prompting=prompting_of(arguments),
        on_part=lambda name: print(f"measuring: {name}", file=sys.stderr, flush=True),
    )
    if arguments.json:
        print(json.dumps(report.to_json()))
        return 0
    _print(report)
    if tasks is None and not is_installed():
        print(f"without language tasks: they need lm-evaluation-harness 0.4.12 or newer, {INSTALL}")
    return 0


def _parser() -> Parser:
    parser = Parser(
        prog="twosome evaluate-language",
        description="Measure a model's language with its adapter off and on, paired, with 95 % intervals: loss on "
        "held-out text, the change of next-token distributions there and on the prompts of the training task, and "
        "tasks of lm-evaluation-harness. A finished part is not computed again.",
        epilog="Language tasks without network: copying, whereabouts, fitting-word, sensible-step. Any other task of "
        "the harness (arc_challenge, hellaswag, piqa, mmlu) gets its data from a hub. The harness: "
        'pip install "twosome[language]".',
    )
    parser.add_argument("source", metavar="RUN_OR_ADAPTER", help="whose language to measure")
    parser.add_argument(
        "--model", help="hub id, directory or GGUF file of the base (default: the one it was trained on)"
    )
    add_prompting_arguments(parser)
    add_trust_argument(parser)
    parser.add_argument("--task", help="environment whose prompts are read (default: the run's)")
    parser.add_argument("--decisions", type=positive, help="how many of its decisions are read (default: 64)")
    parser.add_argument(
        "--text",
        action="append",
        type=Path,
        metavar="FILE",
        help="text to measure on, a document a line; give one for each file (default: two that ship with twosome)",
    )
    parser.add_argument(
        "--tasks",
        nargs="*",
        metavar="TASK",
        help="tasks or groups of the harness, YAML files in its format, or none (default: those without network, "
        "where the harness is installed)",
    )
    parser.add_argument("--limit", type=positive, help="most examples of each language task (default: all)")
    parser.add_argument("--shots", type=not_negative, help="solved examples before a question (default: the task's)")
    parser.add_argument("--batch-size", type=positive, help="sequences in one forward pass of a task (default: 8)")
    parser.add_argument("--out", metavar="FILE", help="where to keep the measures (default: language.json of the run)")
    parser.add_argument("--again", action="store_true", help="compute finished parts again")
    add_json_argument(parser)
    return parser


def _settings(arguments: argparse.Namespace, tasks: list[str] | None) -> LanguageSettings:
    """The settings that were given, over their defaults."""
    from twosome.language.evaluation import LanguageSettings, default_tasks

    given = {
        "texts": arguments.text,
        "decisions": arguments.decisions,
        "tasks": default_tasks() if tasks is None else tasks,
        "limit": arguments.limit,
        "shots": arguments.shots,
        "batch_size": arguments.batch_size,
    }
    return LanguageSettings(**{name: value for name, value in given.items() if value is not None})


def _print(report: LanguageReport) -> None:
    """One table."""
    from rich.console import Console
    from rich.table import Table

    table = Table(title=f"{report.model}, adapter off and on, 95 % intervals", title_justify="left")
    table.add_column("measure")
    for name in ("off", "on", "change", "interval", "n"):
        table.add_column(name, justify="right")
    for measure in report.measures:
        off, on = ("" if value is None else f"{value:.4f}" for value in (measure.off, measure.on))
        sign = "" if measure.off is None else "+"
        interval = "" if measure.interval is None else "[{:{s}.4f}, {:{s}.4f}]".format(*measure.interval, s=sign)
        table.add_row(measure.name, off, on, f"{measure.difference:{sign}.4f}", interval, f"{measure.n} {measure.unit}")
    console = Console() if sys.stdout.isatty() else Console(width=120)
    console.print(table)
