"""``twosome export``: take an agent elsewhere."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

from twosome.terminal.parsing import (
    Parser,
    add_environment_argument,
    add_json_argument,
    add_policy_arguments,
    policy_arguments,
)

KINDS = ("merged", "adapter", "gguf")


def run(words: list[str]) -> int:
    """Run the command."""
    from twosome.exporting.converting import CONVERTER, TYPES

    parser = Parser(
        prog="twosome export",
        description="Write an agent as others read it: a merged model, an adapter with a card, or one GGUF file; what "
        "was written is read back and compared with the agent.",
    )
    parser.add_argument("source", metavar="RUN_OR_ADAPTER", help="what to write")
    parser.add_argument("out", metavar="OUT", type=Path, help="a directory that is not there yet, or empty")
    parser.add_argument("--to", choices=KINDS, default=KINDS[0], help="default: merged")
    parser.add_argument("--task", help="whose words and results the card tells (default: the task of the run)")
    parser.add_argument("--no-results", action="store_true", help="do not evaluate it for the card")
    parser.add_argument("--outtype", choices=TYPES, default=TYPES[0], help="numbers of the GGUF file (default: f32)")
    parser.add_argument(
        "--converter", metavar="PROGRAM", help=f"llama.cpp's converter, a program or a script (default: {CONVERTER})"
    )
    add_json_argument(parser)
    add_environment_argument(parser)
    add_policy_arguments(parser)
    arguments = parser.parse_args(words)

    from twosome.collector import importing

    with importing():
        from twosome.exporting.converting import converter_command
        from twosome.exporting.writing import export
        from twosome.runs.agents import load_agent
        from twosome.terminal.waiting import waiting
        from twosome.text.trying import check_task

    convert = converter_command(arguments.converter) if arguments.to == "gguf" else []
    joined = check_task(arguments.task, arguments.environment) if arguments.task is not None else None
    with waiting("exporting") as told:
        agent = load_agent(arguments.source, joined=joined, **policy_arguments(arguments))
        setting = agent.setting(arguments.task)
        setting = replace(setting, environment={**setting.environment, **arguments.environment})

        def stage(words: str) -> None:
            told.status = words

        found = export(
            arguments.to,
            Path(arguments.source),
            arguments.out,
            agent.language,
            setting,
            measure=not arguments.no_results,
            convert=convert,
            outtype=arguments.outtype,
            on_stage=stage,
        )
    if arguments.json:
        print(json.dumps({"to": arguments.to, "out": str(arguments.out), **(asdict(found) if found else {})}))
        return 0
    print(f"{arguments.to} -> {arguments.out}")
    if found is not None:
        print(f"compared with the agent: {found.sentence()}")
    elif arguments.to == "gguf":
        print('not compared with the agent: reading GGUF needs pip install "twosome[gguf]"')
    return 0
