"""A wording by name, or one that is made from another by other templates."""

from __future__ import annotations

import string
from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any, TypeVar

from twosome.errors import ConfigError

W = TypeVar("W")

FIRST = "first"
"""The wording of every run that does not say which: there was no other."""
EVERYDAY = "everyday"
"""The wording that was chosen on pretrained models (docs/words.md)."""


def find_wording(known: Mapping[str, W], given: str | Mapping[str, str]) -> W:
    """Return the wording of that name, or one that differs from it by the templates that are given.

    Args:
        known: The wordings of a world, by name.
        given: A name; or templates by name, with ``base`` for the name of the wording they are put into.

    Raises:
        ConfigError: If there is no such wording or template, or a template has a slot that nothing fills.
    """
    if isinstance(given, str):
        return _named(known, given)
    if not isinstance(given, Mapping):
        raise ConfigError(f"a wording is a name ({', '.join(known)}) or templates by name, got {given!r}")
    templates = dict(given)
    base = _named(known, templates.pop("base", FIRST))
    slots = {name: _slots(name, template) for name, template in asdict(base).items()}  # type: ignore[call-overload]
    for name, template in templates.items():
        if name not in slots:
            raise ConfigError(f"a wording has no template {name!r}: expected one of {', '.join(slots)}")
        allowed = frozenset().union(*(_slots(name, getattr(wording, name)) for wording in known.values()))
        allowed |= getattr(base, "further_slots", {}).get(name, frozenset())
        unknown = _slots(name, template) - allowed
        if unknown:
            raise ConfigError(
                f"the template {name!r} has the slot {sorted(unknown)[0]!r}, which nothing fills there: expected "
                f"{', '.join(sorted(allowed)) or 'no slot'}"
            )
    return replace(base, **templates)  # type: ignore[type-var]


def _named(known: Mapping[str, W], name: Any) -> W:
    if name not in known:
        raise ConfigError(f"unknown wording {name!r}: expected one of {', '.join(known)}")
    return known[name]


def _slots(name: str, template: Any) -> frozenset[str]:
    if not isinstance(template, str):
        raise ConfigError(f"the template {name!r} must be a text, got {template!r}")
    try:
        return frozenset(slot for _, slot, _, _ in string.Formatter().parse(template) if slot is not None)
    except ValueError as error:
        raise ConfigError(f"the template {name!r} cannot be read: {error}; write {{{{ for a brace") from None
