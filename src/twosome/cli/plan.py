"""``twosome plan``: memory, time and a layout of a training, before any weights are loaded."""

from __future__ import annotations

import json

from twosome.terminal.parsing import Parser, add_json_argument


def run(words: list[str]) -> int:
    """Run the command."""
    parser = Parser(
        prog="twosome plan",
        description="Say what a training will take, in memory and time, and how to lay it out on devices, from the "
        "model's configuration and the headers of its files; no weights are loaded. All settings of `twosome train` "
        "may be given.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "--devices",
        nargs="+",
        default=["cpu"],
        metavar="KIND:COUNT",
        help="cpu:2 (this machine, a process on a core), a100:8, h100:8, h200:8; several are compared (default: cpu)",
    )
    parser.add_argument(
        "--assume",
        nargs="+",
        default=[],
        metavar="NAME=NUMBER",
        help="figures of the devices in place of those that are measured, of data sheets or assumed: share=0.5 "
        "call=1e-5 network=12.5e9 ... (docs/plan.md)",
    )
    add_json_argument(parser)
    arguments, settings = parser.parse_known_args(words)

    from twosome.planning.program import measure_imports, measure_program

    imported = measure_imports()  # before anything else is there that a training has not

    from twosome.cli.train import parse
    from twosome.planning.describing import describe

    config, _ = parse(settings)
    described = describe(config.model, config.loading)
    program = measure_program(imported, described.tokenizer_bytes)

    from twosome.planning.devices import Devices, assuming, parse_devices, this_machine
    from twosome.planning.plan import plan
    from twosome.planning.report import as_json, lines

    here = this_machine()
    asked = [parse_devices(text, here) for text in arguments.devices]
    asked = [Devices(assuming(each.device, arguments.assume), each.count) for each in asked]
    found = plan(config, described, program, asked)
    if arguments.json:
        print(json.dumps(as_json(found)))
        return 0
    for line in lines(found):
        print(line)
    return 0
