"""``twosome serve-env``: have a task's environments here for runs in other processes, or on other hosts."""

from __future__ import annotations

import sys
from contextlib import suppress

from twosome.terminal.parsing import (
    Parser,
    add_environment_argument,
    add_listening_arguments,
    add_task_argument,
    positive,
)


def run(words: list[str]) -> int:
    """Run the command until it is interrupted."""
    arguments = _parser().parse_args(words)

    from twosome.elsewhere.protocol import KEY_VARIABLE, shared_key
    from twosome.elsewhere.server import EnvironmentServer, listen
    from twosome.text.trying import check_task

    key = shared_key(arguments.key_file)
    check_task(arguments.task, arguments.environment)
    with listen(arguments.host, arguments.port) as listening:
        host, number = listening.getsockname()[:2]
        place = f"[{host}]:{number}" if ":" in host else f"{host}:{number}"
        server = EnvironmentServer(
            arguments.task,
            listening,
            arguments=arguments.environment,
            most=arguments.envs,
            key=key,
            tell=_nothing if arguments.quiet else _write,
        )
        print(f"{arguments.task}: up to {arguments.envs} environments at {place}")
        print(f"""for runs:  twosome train {arguments.task} --environment '{{"servers": ["{place}"]}}'""", flush=True)
        if key is None and host not in ("127.0.0.1", "::1"):
            print(
                f"anyone who reaches this address may use it; give a --key-file, or {KEY_VARIABLE}, to change that",
                file=sys.stderr,
                flush=True,
            )
        try:
            with suppress(KeyboardInterrupt):
                server.serve()
        finally:
            server.end()
    return 0


def _parser() -> Parser:
    parser = Parser(
        prog="twosome serve-env",
        description="Have a task's environments here, each in a process of its own, for runs in other processes or on "
        "other hosts (docs/environments-elsewhere.md).",
    )
    add_task_argument(parser)
    add_environment_argument(parser)
    add_listening_arguments(parser, 9117)
    parser.add_argument("--envs", type=positive, default=8, help="environments at a time, at most (default: 8)")
    parser.add_argument(
        "--key-file", metavar="FILE", help="with what clients must know (default: $TWOSOME_ENV_KEY, else nothing)"
    )
    parser.add_argument("--quiet", action="store_true", help="do not tell who comes and goes")
    return parser


def _write(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _nothing(line: str) -> None:
    """For nobody."""
