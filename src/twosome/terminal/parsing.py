"""Argument parsing shared by the commands."""

from __future__ import annotations

import argparse
import difflib
import json
import re
from typing import Any, NoReturn

from jsonargparse import ArgumentParser, DefaultHelpFormatter, set_parsing_settings

from twosome.errors import ConfigError

set_parsing_settings(docstring_parse_attribute_docstrings=True)


class Parser(argparse.ArgumentParser):
    """An argument parser whose complaints are one sentence."""

    def error(self, message: str) -> NoReturn:
        """Refuse the arguments."""
        raise ConfigError(_sentence(message, self))


class _Help(DefaultHelpFormatter):
    """Help that tells a default once, and none where there is none."""

    def _get_help_string(self, action: argparse.Action) -> str:
        own, told = action.help or "", str(super()._get_help_string(action))
        if "(default:" in own:
            return own
        return told.removesuffix(" (default: %(default)s)") if action.default is None else told


class ConfigParser(ArgumentParser):
    """The same for a whole configuration: flags over a file over defaults."""

    def __init__(self, **arguments: Any) -> None:
        super().__init__(formatter_class=_Help, print_config=None, **arguments)

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        """Refuse the arguments."""
        raise ConfigError(_sentence(" ".join(line.strip() for line in message.splitlines() if line.strip()), self))


def add_policy_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments that choose a model and its normalization, where no run says so."""
    parser.add_argument(
        "--model",
        help="hub id, directory or GGUF file of a causal language model (default: that of the run or the adapter, else "
        "the embedded one)",
    )
    parser.add_argument(
        "--normalization",
        help="sum, token, word, byte, one of them by a number (sum/3), or package.module:function (default: the run's, "
        "else word)",
    )
    add_prompting_arguments(parser)
    add_trust_argument(parser)


def policy_arguments(arguments: argparse.Namespace) -> dict[str, Any]:
    """What :func:`add_policy_arguments` read, as :func:`twosome.runs.agents.load_agent` takes it."""
    names = ("model", "normalization", "trust_remote_code")
    return {**{name: getattr(arguments, name) for name in names}, "prompting": prompting_of(arguments)}


def add_temperature_argument(parser: argparse.ArgumentParser) -> None:
    """The argument for what logits are divided by."""
    parser.add_argument(
        "--temperature", type=float, help="what logits are divided by (default: what was fitted to the agent, else 1)"
    )


def add_prompting_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments that say how prompts and phrases are put to a model, where no run says so."""
    parser.add_argument(
        "--template",
        choices=("none", "chat"),
        help="chat: the prompt as the user's turn of the tokenizer's chat template, the phrase as the beginning of the "
        "reply (default: none)",
    )
    parser.add_argument("--system", metavar="TEXT", help="with --template chat, the system text; '' for none at all")
    parser.add_argument(
        "--joiner",
        choices=("space", "none"),
        help="what stands between prompt and phrase (default: what the environment says, else a space)",
    )


def prompting_of(arguments: argparse.Namespace) -> Any:
    """What :func:`add_prompting_arguments` read; None if nothing was said."""
    from twosome.tokens.prompting import Prompting

    given = {name: getattr(arguments, name) for name in ("template", "system", "joiner")}
    given = {name: value for name, value in given.items() if value is not None}
    return Prompting(**given) if given else None


def add_trust_argument(parser: argparse.ArgumentParser) -> None:
    """The argument without which no code that comes with a model runs, whatever a run's files ask for."""
    parser.add_argument(
        "--trust-remote-code", action="store_true", help="run code that comes with the model, if you trust its author"
    )


def add_task_argument(parser: argparse.ArgumentParser) -> None:
    """The task that a command is about, where it cannot do without."""
    parser.add_argument("task", metavar="TASK", help="a task of `twosome tasks`, or a registered id (package:Name-v0)")


def add_seed_argument(parser: argparse.ArgumentParser, of: str) -> None:
    """The argument for what decides chance: ``of`` says whose."""
    parser.add_argument("--seed", type=not_negative, default=0, help=f"{of} (default: 0)")


def add_threads_argument(parser: argparse.ArgumentParser) -> None:
    """The argument for how many threads compute, where one is the measure of all figures."""
    parser.add_argument("--threads", type=positive, default=1, help="CPU threads to compute with (default: 1)")


def add_device_argument(parser: argparse.ArgumentParser) -> None:
    """The argument for where a benchmark computes."""
    parser.add_argument("--device", default="cpu", help="cpu (default) or cuda")


def add_json_argument(parser: argparse.ArgumentParser, what: str = "one JSON object") -> None:
    """The argument for answers that programs read."""
    parser.add_argument("--json", action="store_true", help=f"print {what}")


def add_listening_arguments(parser: argparse.ArgumentParser, number: int) -> None:
    """Where a server listens, with its usual port."""
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: 127.0.0.1, this machine)")
    parser.add_argument(
        "--port", type=port, default=number, help=f"port to listen on, 0 for any free one (default: {number})"
    )


def add_environment_argument(parser: argparse.ArgumentParser) -> None:
    """The argument for what the environment is made with, besides its task."""
    parser.add_argument(
        "--environment",
        type=json_object,
        default={},
        metavar="JSON",
        help='further arguments of the environment, such as \'{"layout": "C"}\'',
    )


def port(text: str) -> int:
    """A number of a port, or 0."""
    number = int(text)
    if not 0 <= number < 65_536:
        raise argparse.ArgumentTypeError(f"must be between 0 and 65535, got {number}")
    return number


def positive(text: str) -> int:
    """An integer of at least 1."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1, got {number}")
    return number


def not_negative(text: str) -> int:
    """An integer of at least 0."""
    number = int(text)
    if number < 0:
        raise argparse.ArgumentTypeError(f"must not be negative, got {number}")
    return number


def json_object(text: str) -> dict[str, Any]:
    """A JSON object, such as ``{"layout": "C"}``."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise argparse.ArgumentTypeError(
            f'{text[:60]!r} is no JSON ({error}); write it like \'{{"layout": "C"}}\''
        ) from None
    if not isinstance(value, dict):
        raise argparse.ArgumentTypeError(f'expected a JSON object like \'{{"layout": "C"}}\', got {text!r}')
    return value


def _sentence(message: str, parser: argparse.ArgumentParser) -> str:
    """A parser's complaint, with the flag that may have been meant."""
    refused = re.match(r"unrecognized arguments: --([\w.-]+)", message)
    meant = None if refused is None else _meant(refused[1], list(parser._option_string_actions))
    hint = "" if meant is None else f"; did you mean {meant}?"
    return f"{message}{hint} (see `{parser.prog} --help`)"


def _meant(name: str, flags: list[str]) -> str | None:
    """The flag that is spelt most like ``name``, with dashes or underscores; of a group, with its name or without."""
    known = {flag.lstrip("-").replace("-", "_"): flag for flag in flags if flag.startswith("--")}
    wanted = name.replace("-", "_")
    last = {flag.rpartition(".")[2]: flag for flag in reversed(known)}
    if wanted in known or wanted in last:
        return known[wanted] if wanted in known else known[last[wanted]]
    near = difflib.get_close_matches(wanted, known, n=1, cutoff=0.75)
    return known[near[0]] if near else None
