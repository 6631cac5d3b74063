"""Variants: an algorithm and the settings in which it differs from a preset, under a name."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import yaml

from twosome.errors import ConfigError
from twosome.settings.config import RunConfig, from_mapping
from twosome.settings.notation import with_numbers
from twosome.settings.shape import check_shape

BUILT_IN = Path(__file__).parent / "variants.yaml"
OWN = ("task", "seed", "decisions", "model")
"""Settings that a comparison decides for all variants."""

Variant = Mapping[str, Any]
"""Settings as in a YAML file of a run."""


def read_variants(file: Path | None = None) -> dict[str, Variant]:
    """The variants that come with the project, and those of a YAML file, which may replace some of them.

    Raises:
        ConfigError: If the file cannot be read, or one of its variants is none.
    """
    found = _read(BUILT_IN)
    return found if file is None else {**found, **_read(file)}


def vary(config: RunConfig, variant: Variant) -> RunConfig:
    """``config`` with the settings of a variant instead of its own.

    Raises:
        ConfigError: If they contradict each other there.
    """
    return from_mapping(_merged(asdict(config), variant))


def _read(file: Path) -> dict[str, Variant]:
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        raise ConfigError(f"the variants in {str(file)!r} cannot be read: {error}") from None
    if not isinstance(content, Mapping):
        raise ConfigError(f"{str(file)!r} must be a mapping from names to settings, got {type(content).__name__}")
    return {str(name): _checked(str(name), settings) for name, settings in content.items()}


def _checked(name: str, settings: Any) -> Variant:
    """The settings of one variant, if they are some."""
    if not re.fullmatch(r"[A-Za-z][\w.-]*", name):
        raise ConfigError(
            f"a variant is called by letters, digits, dots, - and _, as its runs' directory is, got {name!r}"
        )
    if settings is None:
        settings = {}
    if not isinstance(settings, Mapping):
        raise ConfigError(f"the variant {name!r} must be a mapping of settings, got {settings!r}")
    if decided := [setting for setting in OWN if setting in settings]:
        raise ConfigError(f"the variant {name!r} sets {decided[0]}, which a comparison decides for all; leave it out")
    settings = with_numbers(RunConfig, settings)
    check_shape(RunConfig, settings)
    return dict(settings)


def _merged(settings: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """``settings`` with ``changes``, group by group; the environment's arguments are one group."""
    found = dict(settings)
    for name, value in changes.items():
        both = isinstance(value, Mapping) and isinstance(found.get(name), Mapping)
        found[name] = _merged(found[name], value) if both else value
    return found
