"""Packages that only an extra brings."""

from __future__ import annotations

import importlib
from typing import Any

from twosome.errors import ConfigError


def need(module: str, extra: str) -> Any:
    """The module, imported.

    Args:
        module: Its name.
        extra: Of twosome, which brings it.

    Raises:
        ConfigError: If it is not installed.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise ConfigError(f'this world needs {error.name}: pip install "twosome[{extra}]"') from None
