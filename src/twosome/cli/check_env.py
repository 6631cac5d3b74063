"""``twosome check-env``: check a task's prompts, its interface, and what a tokenizer makes of them."""

from __future__ import annotations

import json
import textwrap
from dataclasses import asdict
from typing import TYPE_CHECKING

from twosome.terminal.parsing import (
    Parser,
    add_environment_argument,
    add_json_argument,
    add_prompting_arguments,
    add_seed_argument,
    add_task_argument,
    positive,
    prompting_of,
)

if TYPE_CHECKING:
    from twosome.evaluation.checking import Report


def run(words: list[str]) -> int:
    """Run the command; the exit status is 1 if there are errors."""
    parser = Parser(
        prog="twosome check-env",
        description="Check a text environment against the principles of prompting: in every state that can be reached "
        "where the world shows its states, else in those of random play.",
    )
    add_task_argument(parser)
    parser.add_argument(
        "--model",
        help="hub id, directory or GGUF file: whose tokenizer to read with (default: the embedded one's), and "
        "what to ask for phrases that it would hardly ever say",
    )
    parser.add_argument("--tokenizer-only", action="store_true", help="leave the weights of the --model where they are")
    add_prompting_arguments(parser)
    add_environment_argument(parser)
    parser.add_argument("--decisions", type=positive, default=2000, help="of random play (default: 2000)")
    add_seed_argument(parser, "of random play")
    add_json_argument(parser)
    arguments = parser.parse_args(words)

    from twosome.evaluation.checking import check_environment
    from twosome.terminal.waiting import waiting

    with waiting(f"checking {arguments.task}"):
        report = check_environment(
            arguments.task,
            model=arguments.model,
            environment=arguments.environment,
            decisions=arguments.decisions,
            seed=arguments.seed,
            prompting=prompting_of(arguments),
            say=False if arguments.tokenizer_only else None,
        )
    print(json.dumps(asdict(report)) if arguments.json else describe(report))
    return 1 if report.count("error") else 0


def describe(report: Report) -> str:
    """The report as text: what was looked at, each kind of fault with its count and first example, and the verdict."""
    where = "every reachable state" if report.exhaustive else "random play"
    measures = ", ".join(f"{number} {name.replace('_', ' ')}" for name, number in report.measures.items())
    success = {"told": "the world tells it", "paid": "the last step pays for it", None: "unknown"}[report.success_by]
    lines = [f"{report.task}: {where}; {measures}; success: {success}"]
    for finding in report.findings:
        lines.append(f"\n{finding.severity} ({finding.check}, {finding.count}x): {finding.message}")
        example = textwrap.shorten(finding.example, 400, placeholder=" ...")
        lines += textwrap.wrap(example, 112, initial_indent="    ", subsequent_indent="    ")
    if report.skipped:
        lines.append("")
    for reason in dict.fromkeys(report.skipped.values()):
        names = [name for name, other in report.skipped.items() if other == reason]
        lines.append(f"not checked: {', '.join(names)}, as {reason}")
    kinds = [f"{report.count(severity)} {severity}{'' if report.count(severity) == 1 else 's'}" for severity in _SHOWN]
    return "\n".join([*lines, f"\n{', '.join(kinds)}"])


_SHOWN = ("error", "warning", "note")
