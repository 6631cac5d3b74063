"""``twosome serve``: answer questions over HTTP as an agent decides."""

from __future__ import annotations

import json
import os
import sys
from typing import Any

from twosome.errors import ConfigError
from twosome.terminal.parsing import (
    Parser,
    add_listening_arguments,
    add_policy_arguments,
    add_temperature_argument,
    add_threads_argument,
    not_negative,
    policy_arguments,
    positive,
)

KEY = "TWOSOME_KEY"
"""Environment variable with the key, which does not show in the list of processes as an argument does."""


def run(words: list[str]) -> int:
    """Run the command."""
    arguments = _parser().parse_args(words)
    key = arguments.key if arguments.key is not None else os.environ.get(KEY)
    if key is not None and (not key or not key.isascii() or not key.isprintable() or " " in key):
        raise ConfigError("the key must be a word of printable ASCII; leave it out to let everyone ask")
    try:
        import starlette  # noqa: F401
        import uvicorn  # noqa: F401
    except ImportError as error:
        raise ConfigError(f"serving needs {error.name}; install it with: pip install 'twosome[serve]'") from None

    import warnings
    from contextlib import ExitStack

    from twosome.collector import importing

    with importing():
        from twosome.journal.writing import JournalWriter
        from twosome.serving.app import Service
        from twosome.serving.engine import Engine, Limits
        from twosome.serving.loading import born, identities, load_agents, named_sources
        from twosome.serving.recording import Recording, Sampling
        from twosome.serving.server import address_of, listen, serve

    sources = named_sources(arguments.agents, arguments.model)
    if arguments.seed is not None and not arguments.sample:
        raise ConfigError("--seed decides what --sample draws; add --sample, or leave it out")
    with ExitStack() as held:
        listening = held.enter_context(listen(arguments.host, arguments.port))
        # Before a model is loaded: a journal may be damaged, or another server's.
        journal = held.enter_context(JournalWriter(arguments.record)) if arguments.record else None
        settings = {name: getattr(arguments, name) for name in ("temperature", "threads")}
        settings["memory_limit"] = arguments.memory_megabytes * 2**20
        agents = load_agents(sources, {**policy_arguments(arguments), **settings})
        warnings.simplefilter("ignore")  # from here on they would quote what clients send
        service = Service(
            Engine(agents, Limits(together=arguments.together), values=not arguments.no_values),
            key=key,
            recording=Recording(journal, identities(agents, sources)) if journal is not None else None,
            sampling=Sampling(arguments.seed or 0) if arguments.sample else None,
            most_bytes=arguments.most_bytes,
            log=_nothing if arguments.quiet else _write,
            born={name: born(source) for name, source in sources.items()},
        )
        _tell(agents, address_of(listening), key, arguments.host)
        if journal is not None:
            _tell_journal(str(journal.path), journal.count, sampling=arguments.sample)
        serve(service, listening)
    return 0


def _parser() -> Parser:
    parser = Parser(prog="twosome serve", description="Answer questions over HTTP as an agent decides.")
    parser.add_argument(
        "agents",
        nargs="*",
        metavar="RUN_OR_ADAPTER",
        help="a run, an adapter or a model; NAME=RUN for several by name; none for the untrained --model",
    )
    add_policy_arguments(parser)
    add_listening_arguments(parser, 8017)
    parser.add_argument("--key", help=f"what clients must send as their API key (default: ${KEY}, else no key)")
    add_temperature_argument(parser)
    add_threads_argument(parser)
    parser.add_argument("--together", type=positive, default=32, help="most decisions read at a time (default: 32)")
    parser.add_argument(
        "--memory-megabytes",
        type=not_negative,
        default=256,
        help="most memory for answers, and for how prompts begin, of each agent (default: 256)",
    )
    parser.add_argument("--most-bytes", type=positive, default=4 * 2**20, help="largest body (default: 4 MiB)")
    parser.add_argument("--no-values", action="store_true", help="do not ask the critic, which reads the prompt again")
    parser.add_argument(
        "--record",
        metavar="FILE_OR_DIR",
        help="write every decision, with its texts, to this journal, which twosome train --from learns from; takes "
        "outcomes at /v1/outcomes",
    )
    parser.add_argument(
        "--sample",
        action="store_true",
        help="answer with x_action, too: an action drawn by the probabilities, without which nothing is learned",
    )
    parser.add_argument("--seed", type=not_negative, help="with a decision's name decides what is drawn (default: 0)")
    parser.add_argument("--quiet", action="store_true", help="no log; it is a JSON object per request, without texts")
    return parser


def _tell(agents: dict[str, Any], address: str, key: str | None, host: str) -> None:
    for name, agent in agents.items():
        kind = "trained" if agent.trained else "untrained"
        print(f"{name}: {kind}, {agent.policy.normalization} normalisation, {agent.policy.scorer.reader.describe()}")
    print(f"System One clients: base_url {address}")
    print(f"OpenAI clients:     base_url {address}/v1")
    print(f"every field:        {address}/docs", flush=True)
    if key is None and host not in ("127.0.0.1", "localhost", "::1"):
        print("anyone who reaches this address may ask; give a --key to change that", file=sys.stderr, flush=True)


def _tell_journal(path: str, decisions: int, *, sampling: bool) -> None:
    print(f"decisions go to:    {path} ({decisions} are there), with all they say", flush=True)
    if not sampling:
        print(
            "who takes the most probable option always, tries no other, and nothing is learned from that: add --sample "
            "and do x_action, or draw by the probabilities and say so (drawn)",
            file=sys.stderr,
            flush=True,
        )


def _write(line: dict[str, Any]) -> None:
    print(json.dumps(line), file=sys.stderr, flush=True)


def _nothing(line: dict[str, Any]) -> None:
    """For nobody."""
