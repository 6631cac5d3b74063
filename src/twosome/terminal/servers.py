"""Arguments that say how a decision server is asked, and what is told of it beside a result."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from twosome.errors import ConfigError
from twosome.terminal.parsing import positive

if TYPE_CHECKING:
    from twosome.remote import ServerSettings
    from twosome.types import Policy

PREFIX = "server_"


def add_server_arguments(parser: argparse.ArgumentParser, named: str = "--model http://... or https://...") -> None:
    """Arguments for a decision server; each has its own default in :class:`twosome.remote.ServerSettings`."""
    group = parser.add_argument_group(f"a decision server ({named})")
    group.add_argument(
        "--server-format",
        choices=("systemone", "decisions"),
        help="System One or OpenAI Decisions (default: what the address ends in, else systemone)",
    )
    group.add_argument("--server-model", metavar="NAME", help="the model that is asked for (default: the usual one)")
    group.add_argument(
        "--server-instruction", metavar="TEXT", help="what is asked of every prompt; '' for nothing (default: neutral)"
    )
    group.add_argument(
        "--server-descriptions", metavar="FILE", type=Path, help="JSON object of phrases and what they mean"
    )
    group.add_argument("--server-in-flight", type=positive, help="requests under way at once, at most (default: 4)")
    group.add_argument("--server-options", type=positive, help="options that it takes, at most (default: 255)")
    group.add_argument("--server-decimals", type=positive, help="decimals that it rounds to (default: found out)")
    group.add_argument("--server-timeout", type=float, help="seconds that a request may take (default: 60)")


def server_settings(arguments: argparse.Namespace, address: str | None) -> ServerSettings | None:
    """How the server at ``address`` is asked, or None if that names no server.

    Raises:
        ConfigError: If a setting is wrong, or there are settings and no server.
    """
    given = {
        name.removeprefix(PREFIX): value
        for name, value in vars(arguments).items()
        if name.startswith(PREFIX) and value is not None
    }
    from twosome.addresses import is_server

    if address is None or not is_server(address):
        if address is not None and hasattr(arguments, "server"):
            raise ConfigError(f"--server {address!r} is no address of a decision server: expected http:// or https://")
        if given:
            flag = f"--{PREFIX}{next(iter(given))}".replace("_", "-")
            raise ConfigError(f"{flag} is about a decision server; name one by its address, http:// or https://")
        return None
    from twosome.remote import ServerSettings

    if "descriptions" in given:
        given["descriptions"] = _descriptions(given["descriptions"])
    return ServerSettings(address, **given)


def server_facts(policy: Policy) -> dict[str, Any] | None:
    """What a result must say of the decision server that was measured, or None if none was."""
    from twosome.remote import RemotePolicy

    return policy.facts() if isinstance(policy, RemotePolicy) else None


def server_lines(facts: dict[str, Any]) -> list[str]:
    """The same for people."""
    asked = facts["instruction"] or "nothing"
    lines = [
        f"server: {', '.join(facts['answered_by']) or 'a model without a name'} at {facts['url']}, asked {asked!r}",
        f"  {facts['answers']} decisions, {facts['from_disk']} of them answered before; {facts['requests']} requests",
    ]
    if facts["sum"] is not None:
        low, high = facts["sum"]
        lines.append(
            f"  {facts['decimals']} decimals; sums from {low:.6g} to {high:.6g} before they were made 1; "
            f"{facts['rounded_to_zero']} of {facts['options']} probabilities rounded to zero"
        )
    return lines


def _descriptions(path: Path) -> dict[str, str]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"cannot read the descriptions {str(path)!r}: {error.strerror or error}") from None
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"the descriptions {str(path)!r} are no JSON: {error}") from None
    if not isinstance(found, dict) or not all(isinstance(text, str) for text in found.values()):
        raise ConfigError(f'the descriptions {str(path)!r} must be a JSON object like {{"sit down": "on the sofa"}}')
    return found
