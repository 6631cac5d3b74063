"""Settings as files write them: YAML 1.1 takes the numbers ``5e-5`` and ``1e4`` for texts, as they have no point."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import is_dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, get_args, get_origin

import yaml

from twosome.settings.shape import hints_of

HOLDS_ITSELF = "a configuration must not hold itself; write its settings out instead of naming them by & and *"

_SCIENTIFIC = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+")


@cache
def settings_of(file: Path) -> Mapping[str, Any]:
    """What a file that ships with twosome sets, as YAML gives it; read once, so nobody may change what is in it."""
    found: dict[str, Any] = yaml.safe_load(file.read_text(encoding="utf-8"))
    return MappingProxyType(found)


def with_numbers(kind: Any, values: Mapping[str, Any]) -> dict[str, Any]:
    """Settings in which what reads like ``5e-5`` is a number, wherever their type takes one and takes no text.

    The branch of a model may be called ``12e4``; such names stay texts. Whatever fits nowhere is left as it is, for the
    check of types to refuse by name.

    Args:
        kind: The configuration dataclass that ``values`` are meant for.
        values: Settings by name, as a YAML or JSON file gives them.
    """
    hints = hints_of(kind)
    return {name: _converted(value, hints[name]) if name in hints else value for name, value in values.items()}


def _converted(value: Any, hint: Any) -> Any:
    if is_dataclass(hint):
        return with_numbers(hint, value) if isinstance(value, Mapping) else value
    kinds = set(_kinds(hint))
    if isinstance(value, list):
        return [_number(item, kinds) for item in value]
    if dict in kinds:
        return _everywhere(value)
    return _number(value, kinds)


def _kinds(hint: Any) -> list[Any]:
    """The plain types that a setting may have: of itself, or of the items of its list."""
    origin, parts = get_origin(hint), get_args(hint)
    if origin is Literal:
        return [str]
    if origin is dict:
        return [dict]
    return [kind for part in parts for kind in _kinds(part)] if parts else [hint]


def _number(value: Any, kinds: set[Any]) -> Any:
    if isinstance(value, str) and str not in kinds and {int, float} & kinds and _SCIENTIFIC.fullmatch(value.strip()):
        number = float(value)
        value = number if float in kinds or number.is_integer() else value  # half an environment is refused as written
    # A parser of YAML may already have made a float of 1e4, which is a whole number all the same.
    if isinstance(value, float) and int in kinds and float not in kinds and value.is_integer():
        return int(value)
    return value


def _everywhere(value: Any) -> Any:
    """The same in what has no types, the arguments of an environment."""
    if isinstance(value, Mapping):
        return {name: _everywhere(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_everywhere(item) for item in value]
    return float(value) if isinstance(value, str) and _SCIENTIFIC.fullmatch(value.strip()) else value


def whole_settings(kind: Any, prefix: str = "") -> list[str]:
    """Names of the settings that are whole numbers, those of groups with the group and a dot in front."""
    found = []
    for name, hint in hints_of(kind).items():
        if is_dataclass(hint):
            found += whole_settings(hint, f"{prefix}{name}.")
        elif int in _kinds(hint) and get_origin(hint) is not list:
            found.append(f"{prefix}{name}")
    return found


def whole_number(value: Any) -> Any:
    """The text ``1e4`` as the number 10000; anything else as it is."""
    return _number(value, {int})
