"""Whether settings, as YAML or flags give them, are of the types that a configuration's dataclasses say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import is_dataclass
from functools import cache
from types import MappingProxyType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from twosome.errors import ConfigError


@cache
def hints_of(kind: Any) -> Mapping[str, Any]:
    """The types of a configuration dataclass's settings by name; found out once, as every configuration asks."""
    return MappingProxyType(get_type_hints(kind))


def check_shape(kind: Any, values: Mapping[str, Any], prefix: str = "") -> None:
    """Refuse a group of settings that is no mapping, and a value that is not of its setting's type.

    Args:
        kind: The configuration dataclass that ``values`` are meant for.
        values: Settings by name; some may be missing.
        prefix: Name of the group they are in, with a dot.

    Raises:
        ConfigError: Naming the setting.
    """
    for name, hint in hints_of(kind).items():
        if name not in values:
            continue
        value = values[name]
        if is_dataclass(hint):
            if not isinstance(value, Mapping):
                raise ConfigError(f"{prefix}{name} must be a mapping of settings, got {value!r}")
            check_shape(hint, value, f"{prefix}{name}.")
        elif not _fits(value, hint):
            raise ConfigError(
                f"{prefix}{name} must be {_described(hint)}, got {'null' if value is None else repr(value)}"
            )


def _fits(value: Any, hint: Any) -> bool:
    """Whether a value, as YAML or JSON give it, is of a setting's type."""
    origin, parts = get_origin(hint), get_args(hint)
    if origin is Literal:
        return isinstance(value, str) and value in parts
    if origin in (Union, UnionType):
        return any(_fits(value, part) for part in parts)
    if origin is list:
        return isinstance(value, list) and all(_fits(item, parts[0]) for item in value)
    if origin is dict:
        return isinstance(value, Mapping) and all(isinstance(key, str) for key in value)
    if hint is float:
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    if hint is int:
        return isinstance(value, int) and not isinstance(value, bool)
    return isinstance(value, hint)


def _described(hint: Any) -> str:
    """A type in words: `a number`, `one of sum, token`..."""
    origin, parts = get_origin(hint), get_args(hint)
    if origin is Literal:
        return f"one of {', '.join(parts)}"
    if origin in (Union, UnionType):
        return " or ".join(_described(part) for part in parts)
    if origin is list:
        return f"a list, each item {_described(parts[0])}"
    return _WORDS.get(origin or hint, str(hint))


_WORDS: dict[Any, str] = {
    bool: "true or false",
    dict: "a mapping",
    float: "a number",
    int: "a whole number",
    str: "a text",
    type(None): "null",
}


def without_servers(environment: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments of an environment as they would be in this process: where it is changes no number."""
    return {name: value for name, value in environment.items() if name != "servers"}
