"""What a tokenizer was made of, given back once it is made: of a vocabulary of 262,144 words 150 MB."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterator
from contextlib import suppress
from types import CodeType, FunctionType
from typing import Any

_PARTS = ("_vocab", "_merges")
"""Words and merges in Python's own lists, which transformers' fast tokenizers are made from and keep."""


def without_parts(tokenizer: Any) -> Any:
    """The same tokenizer without the lists it was made from, and what that and its making took given to the system.

    Whatever it does from now on is done by the tokenizers library, which holds all of it once more. A class of which
    another method looks at a list (Whisper's, to save it) keeps that.
    """
    for name in _PARTS:
        if isinstance(vars(tokenizer).get(name), (dict, list)) and not _is_used(type(tokenizer), name):
            delattr(tokenizer, name)
    _give_back()
    return tokenizer


def _is_used(kind: type, attribute: str) -> bool:
    """Whether some code of a class, beside what makes its objects, looks at an attribute."""
    if not getattr(kind, "__module__", "").startswith("transformers."):
        return True  # anybody's own, whose code may reach it in any way
    return any(
        attribute in code.co_names
        for base in kind.__mro__
        for name, member in vars(base).items()
        if name != "__init__"
        for code in _codes(member)
    )


def _codes(member: Any) -> Iterator[CodeType]:
    """The code of a method, of a property or of what is wrapped, and of functions within."""
    functions = [member, getattr(member, "__func__", None), getattr(member, "__wrapped__", None)]
    functions += [getattr(member, name, None) for name in ("fget", "fset", "fdel")]
    pending = [function.__code__ for function in functions if isinstance(function, FunctionType)]
    while pending:
        code = pending.pop()
        yield code
        pending += [constant for constant in code.co_consts if isinstance(constant, CodeType)]


def _give_back() -> None:
    """Have GNU's C library return freed memory to the system, as it does not by itself; no other has the function."""
    if sys.platform == "linux":
        with suppress(AttributeError, OSError):
            ctypes.CDLL(None).malloc_trim(0)
